/**
 * A gateway without a key and a verifier that signs, over a `fetch` in memory: what the wire shows of a Slurm token, and
 * how a gateway finds out that nobody signs for it.
 */

import { decodeJwt } from 'jose'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseCredentialString } from '../../src/munge/credential-string.ts'
import { createVerifierEnd } from '../../src/munge/exchange.ts'
import { createRemoteVerifier } from '../../src/munge/remote-verifier.ts'
import { createVerifierChannel, type VerifierChannel } from '../../src/munge/verifier-channel.ts'
import { createVerifierService } from '../../src/munge/verifier-service.ts'
import type { ClientAddress } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import {
  makeEncryptionKey,
  parseDecryptionKeys,
  parseEncryptionKey,
  takePublicHalf,
  type DecryptionKey,
  type EncryptionKey,
} from '../../src/signer/encryption-key.ts'
import { encryptToken } from '../../src/signer/encrypted-token.ts'
import { createSigner, type Signer, type SignerRow } from '../../src/signer/signer.ts'
import { createSlurmTokenMinter } from '../../src/slurm-token.ts'
import { createLocalReplayGuard } from '../../src/tokens/replay-guard.ts'
import { buildOpaqueToken } from '../../src/tokens/token-form.ts'
import { createMemoryLog } from '../gateway/in-memory-ports.ts'

const KEY = new Uint8Array(32).fill(1)
const NOW = 1_800_000_000_000
const CLIENT: ClientAddress = { address: '10.0.0.7', isDirectLoopback: false, hostAddresses: [] }
const CREDENTIAL = `MUNGE:${Buffer.alloc(60, 7).toString('base64')}:`
const TOKEN = buildOpaqueToken((length) => new Uint8Array(length).fill(7))
const ROW: SignerRow = {
  id: 'tok_aaaaaaaaaaaaaaaa',
  name: 'palma',
  slurmUser: 'alice',
  scopes: ['slurm:read'],
  account: null,
  expiresAt: null,
  revokedAt: null,
  uid: 6001,
  policyVersion: 1,
}

interface Pair {
  readonly encryptionKey: EncryptionKey
  readonly decryptionKeys: readonly DecryptionKey[]
}

async function makePair(): Promise<Pair> {
  const pair = await makeEncryptionKey()
  const encryptionKey = parseEncryptionKey(JSON.stringify(takePublicHalf(pair)))
  const decryptionKeys = parseDecryptionKeys(JSON.stringify(pair))
  if (typeof encryptionKey === 'string' || typeof decryptionKeys === 'string') throw new Error('no key')
  return { encryptionKey, decryptionKeys }
}

let mine: Pair
let others: Pair
beforeAll(async () => {
  mine = await makePair()
  others = await makePair()
})

const world = { wire: [] as string[], verified: 0, log: createMemoryLog(), store: () => Promise.resolve() }
beforeEach(() => {
  Object.assign(world, { wire: [], verified: 0, log: createMemoryLog(), store: () => Promise.resolve() })
})

function buildSigner(): Signer {
  const deniedUsers = new Set(['root'])
  const now = (): number => NOW
  return createSigner({
    decryptionKeys: mine.decryptionKeys,
    minter: createSlurmTokenMinter({
      key: { algorithm: 'HS256', bytes: new Uint8Array(32) },
      ...{ lifespanSeconds: 120, deniedUsers, now },
    }),
    tokens: { findByDigest: () => Promise.resolve(ROW), check: () => world.store() },
    replays: createLocalReplayGuard(now),
    calls: createLocalReplayGuard(now),
    checkRow: () => Promise.resolve(null),
    limitRate: () => null,
    log: world.log,
    ...{ deniedUsers, now },
  })
}

/** @param signer what the verifier has. @param encryptionKey the gateway's `SIGNER_PUBLIC_KEY`. */
function connect(signer: Signer | null, encryptionKey: EncryptionKey = mine.encryptionKey): VerifierChannel {
  const service = createVerifierService({
    end: createVerifierEnd({ keys: [KEY], clock: () => NOW }),
    verifier: {
      async verify(_credential, _client, sign = (identity) => Promise.resolve(identity)) {
        world.verified += 1
        const parsed = await parseCredentialString(CREDENTIAL)
        const credentialDigest = parsed?.digest ?? ''
        const expiresAt = NOW / 1000 + 5
        return sign({ user: 'alice', uid: 1234, credentialDigest, expiresAt, boundDigest: null })
      },
      check: () => Promise.resolve(),
    },
    signer,
    questionsPerSecond: 0,
    clock: () => NOW,
    log: world.log,
  })
  return createVerifierChannel({
    url: new URL('http://127.0.0.1:8081'),
    keys: [KEY],
    async fetch(url, init) {
      const response = await service.request(url, init)
      const text = await response.clone().text()
      world.wire.push(typeof init.body === 'string' ? init.body : '', text)
      return response
    },
    clock: () => NOW,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    encryptionKey,
  })
}

/** All that somebody between the two reads, each base64url part of it read too. */
function readWire(): string {
  const parts = world.wire.flatMap((text) => text.split(/[^\w-]+/))
  return [...world.wire, ...parts.map((part) => Buffer.from(part, 'base64url').toString('latin1'))]
    .flatMap((text) => [
      text,
      ...text.split(/[^\w-]+/).map((part) => Buffer.from(part, 'base64url').toString('latin1')),
    ])
    .join('\n')
}

async function findOutage(promise: Promise<unknown>): Promise<readonly [string, string]> {
  const error: unknown = await promise.catch((caught: unknown) => caught)
  if (!(error instanceof Outage)) throw new Error('no outage')
  return [error.rule, error.message]
}

describe('whoever reads the way between gateway and signer gets no Slurm token', () => {
  test('for a MUNGE credential', async () => {
    const channel = connect(buildSigner())
    const identity = await createRemoteVerifier({ channel, isSignedThere: true }).verify(CREDENTIAL, CLIENT)
    const token = 'kind' in identity ? '' : (identity.slurmToken?.token ?? '')
    expect(decodeJwt(token)['sun']).toBe('alice')
    const [header = '-', claims = '-', signature = '-'] = token.split('.')
    const wire = readWire()
    expect(wire).toContain(CREDENTIAL)
    for (const part of [header, claims, signature, '"sun"']) expect(wire).not.toContain(part)
  })

  test('for an API token', async () => {
    const channel = connect(buildSigner())
    const pending = await channel.end.signTokenRequest((binding) =>
      encryptToken(TOKEN, binding, mine.encryptionKey),
    )
    const verdict = await channel.ask(pending, { encrypted: pending.encrypted })
    const token = verdict.kind === 'signed' ? verdict.signed.slurmToken.token : ''
    expect(decodeJwt(token)['sun']).toBe('alice')
    const wire = readWire()
    expect(wire).toContain(ROW.id)
    for (const part of [...token.split('.'), '"sun"', TOKEN]) expect(wire).not.toContain(part)
  })
})

describe('a gateway asks whether it is signed for', () => {
  test('yes: the signer has the key and its store answers', async () => {
    await expect(connect(buildSigner()).checkSigner()).resolves.toBeUndefined()
    expect(world.log.lines).toEqual([])
  })

  test('a verifier that signs nothing is no signer, however well it is', async () => {
    const channel = connect(null)
    await expect(channel.check()).resolves.toBeUndefined()
    expect(await findOutage(channel.checkSigner())).toEqual([
      'signer_unavailable',
      expect.stringContaining('VERIFIER_SIGNS'),
    ])
    expect(world.log.lines).toMatchObject([
      {
        level: 'warn',
        event: 'signer_cannot_answer',
        fields: { detail: expect.stringContaining('VERIFIER_SIGNS=no') as string },
      },
    ])
  })

  test('a signer with another key than SIGNER_PUBLIC_KEY is none for this gateway', async () => {
    const channel = connect(buildSigner(), others.encryptionKey)
    await expect(channel.check()).resolves.toBeUndefined()
    expect(await findOutage(channel.checkSigner())).toEqual([
      'signer_unavailable',
      expect.stringContaining('SIGNER_PUBLIC_KEY'),
    ])
    expect(world.log.lines).toMatchObject([
      {
        event: 'signer_cannot_answer',
        fields: { detail: expect.stringContaining('SIGNER_PUBLIC_KEY') as string },
      },
    ])
  })

  test('nor is a signer whose store does not answer', async () => {
    world.store = () => Promise.reject(new Outage('token_store_unavailable', 'down'))
    expect((await findOutage(connect(buildSigner()).checkSigner()))[0]).toBe('token_store_unavailable')
  })

  test('a proof is one of this question: no other answer is believed for it', async () => {
    const signer = buildSigner()
    const channel = connect({
      ...signer,
      openAnswerKey: async (encrypted) => {
        const seal = await signer.openAnswerKey(encrypted)
        return seal && (() => seal('the nonce of another question'))
      },
    })
    expect(await findOutage(channel.checkSigner())).toEqual([
      'verifier_unavailable',
      expect.stringContaining('(encryption)'),
    ])
  })
})

test.each<[string, () => Signer | null, () => EncryptionKey]>([
  ['where nothing is signed', () => null, () => mine.encryptionKey],
  ['where the signer has another key', buildSigner, () => others.encryptionKey],
])('a credential is not used up in vain %s', async (_what, findSigner, findKey) => {
  const channel = connect(findSigner(), findKey())
  const asked = createRemoteVerifier({ channel, isSignedThere: true }).verify(CREDENTIAL, CLIENT)
  expect((await findOutage(asked))[0]).toBe('signer_unavailable')
  expect(world.verified).toBe(0)
})

test('a Slurm token that did not come encrypted is not believed', async () => {
  const signer = buildSigner()
  const channel = connect({
    ...signer,
    openAnswerKey: () => Promise.resolve((text) => Promise.resolve(text)),
  })
  const asked = createRemoteVerifier({ channel, isSignedThere: true }).verify(CREDENTIAL, CLIENT)
  expect(await findOutage(asked)).toEqual(['verifier_unavailable', expect.stringContaining('(verdict)')])
})
