/**
 * A gateway without a key and a verifier that signs, over a `fetch` in memory: what the wire shows of a Slurm token, and
 * how a gateway finds out that nobody signs for it.
 */

import type { Hono } from 'hono'
import { decodeJwt } from 'jose'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseCredentialString } from '../../src/munge/credential-string.ts'
import { createSignature, TO_VERIFIER } from '../../src/munge/exchange-signature.ts'
import { createVerifierEnd } from '../../src/munge/exchange.ts'
import { createRemoteVerifier } from '../../src/munge/remote-verifier.ts'
import { webSha256 } from '../../src/munge/sha256.ts'
import { createVerifierChannel, type VerifierChannel } from '../../src/munge/verifier-channel.ts'
import { createVerifierService } from '../../src/munge/verifier-service.ts'
import type { ClientAddress } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import { isKeyName } from '../../src/signer/answer-key.ts'
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

function startService(signer: Signer | null): Hono {
  return createVerifierService({
    end: createVerifierEnd({ keys: [KEY], clock: () => NOW }),
    verifier: {
      async verify(credential, _client, sign) {
        world.verified += 1
        const parsed = await parseCredentialString(credential)
        const credentialDigest = parsed?.digest ?? ''
        const expiresAt = NOW / 1000 + 5
        const identity = { user: 'alice', uid: 1234, credentialDigest, expiresAt, boundDigest: null }
        return sign === undefined ? identity : sign(identity)
      },
      check: () => Promise.resolve(),
    },
    signer,
    questionsPerSecond: 0,
    clock: () => NOW,
    log: world.log,
  })
}

/** @param signer what the verifier has. @param encryptionKey the gateway's `SIGNER_PUBLIC_KEY`. */
function connect(signer: Signer | null, encryptionKey: EncryptionKey = mine.encryptionKey): VerifierChannel {
  const service = startService(signer)
  return connectTo(() => service, encryptionKey)
}

/** @param findService the one that takes the next question: replicas behind one URL, or what was restarted. */
function connectTo(
  findService: () => Pick<Hono, 'request'>,
  encryptionKey: EncryptionKey = mine.encryptionKey,
): VerifierChannel {
  return createVerifierChannel({
    url: new URL('http://127.0.0.1:8081'),
    keys: [KEY],
    async fetch(url, init) {
      const response = await findService().request(url, init)
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
    const token = 'slurmToken' in identity ? identity.slurmToken.token : ''
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
        return typeof seal === 'function' ? () => seal('the nonce of another question') : seal
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

describe('once a signer has the key of a gateway, its name goes in its place', () => {
  const FRESH = Array.from(
    { length: 8 },
    (_nothing, number) => `MUNGE:${Buffer.alloc(60, number).toString('base64')}:`,
  )
  /** Each question so far: what its `sign` was, and the credential. */
  const readQuestions = (): readonly { readonly sign: unknown; readonly credential: unknown }[] =>
    world.wire
      .filter((_text, index) => index % 2 === 0)
      .map((text) => JSON.parse(text) as { request: string; credential?: string })
      .map(({ request, credential }) => ({ sign: decodeJwt(request)['sign'], credential }))
  const readForms = (): readonly string[] =>
    readQuestions().map(({ sign }) =>
      typeof sign !== 'string' ? 'none' : isKeyName(sign) ? 'name' : 'whole',
    )
  const signOne = async (channel: VerifierChannel, number: number): Promise<string> => {
    const verifier = createRemoteVerifier({ channel, isSignedThere: true })
    const identity = await verifier.verify(FRESH[number] ?? '', CLIENT)
    if ('kind' in identity) return identity.rule
    return 'slurmToken' in identity ? String(decodeJwt(identity.slurmToken.token)['sun']) : 'unsigned'
  }

  test('and what is signed comes as before', async () => {
    const channel = connect(buildSigner())
    for (const number of [0, 1, 2]) expect(await signOne(channel, number)).toBe('alice')
    expect(readForms()).toEqual(['whole', 'name', 'name'])
    expect(world.verified).toBe(3)
    const [first = '', , second = ''] = world.wire
    expect(second.length).toBeLessThan(first.length - 500)
  })

  test('the proof that it signs takes the whole key each time, and shows that the signer has it', async () => {
    const channel = connect(buildSigner())
    await channel.checkSigner()
    expect(await signOne(channel, 0)).toBe('alice')
    await channel.checkSigner()
    expect(readForms()).toEqual(['whole', 'name', 'whole'])
  })

  test('an API token goes with the whole key, which it is bound to', async () => {
    const channel = connect(buildSigner())
    await channel.checkSigner()
    const pending = await channel.end.signTokenRequest((binding) =>
      encryptToken(TOKEN, binding, mine.encryptionKey),
    )
    expect((await channel.ask(pending, { encrypted: pending.encrypted })).kind).toBe('signed')
    expect(readForms()).toEqual(['whole', 'whole'])
  })

  test('a signer that was restarted asks for the whole key before it decodes anything, and no call fails', async () => {
    let service = startService(buildSigner())
    const channel = connectTo(() => service)
    expect(await signOne(channel, 0)).toBe('alice')
    service = startService(buildSigner())
    expect(await signOne(channel, 1)).toBe('alice')
    expect(await signOne(channel, 2)).toBe('alice')
    expect(readForms()).toEqual(['whole', 'name', 'whole', 'name'])
    // The same credential in both, decoded once.
    expect(readQuestions().map(({ credential }) => credential)).toEqual([
      FRESH[0],
      FRESH[1],
      FRESH[1],
      FRESH[2],
    ])
    expect(world.verified).toBe(3)
  })

  test('of replicas behind one URL each is sent it once', async () => {
    const replicas = [startService(buildSigner()), startService(buildSigner())]
    const turn = { now: 0 }
    const channel = connectTo(() => replicas[turn.now] ?? startService(null))
    for (const number of [0, 1, 2, 3]) {
      turn.now = number % 2
      expect(await signOne(channel, number)).toBe('alice')
    }
    expect(readForms()).toEqual(['whole', 'name', 'whole', 'name', 'name'])
  })

  test('callers that come at once while a signer is new are all served, each credential decoded once', async () => {
    let service = startService(buildSigner())
    const channel = connectTo(() => service)
    await signOne(channel, 0)
    service = startService(buildSigner())
    expect(await Promise.all([1, 2, 3, 4, 5].map((number) => signOne(channel, number)))).toEqual(
      Array.from({ length: 5 }, () => 'alice'),
    )
    expect(world.verified).toBe(6)
  })

  test('a question that was answered so, recorded and sent again, gets nothing: its credential counts once (replay)', async () => {
    let service = startService(buildSigner())
    const channel = connectTo(() => service)
    await signOne(channel, 0)
    service = startService(buildSigner())
    expect(await signOne(channel, 1)).toBe('alice')
    expect(decodeJwt(world.wire[3] ?? '')).toMatchObject({ keyUnknown: true })
    const response = await service.request('/verify', { method: 'POST', body: world.wire[2] ?? '' })
    expect(decodeJwt(await response.text())).toMatchObject({ refusal: 'munge_replayed' })
    // Nor does what was answered to it count for another question.
    const other = await channel.end.signRequest(FRESH[2] ?? '', CLIENT, 'short')
    expect(other.isKeyNamed).toBe(true)
    expect(await channel.end.openAnswer(world.wire[3] ?? '', other)).toMatchObject({ reason: 'binding' })
  })

  test('whoever knows the name of another gateway’s key gets nothing by it', async () => {
    const service = startService(buildSigner())
    const theirs = connectTo(() => service)
    await signOne(theirs, 0)
    await signOne(theirs, 1)
    const name = readQuestions()[1]?.sign
    // With MUNGE_VERIFIER_KEY, and a credential that was presented to him.
    const jws = await createSignature([KEY], TO_VERIFIER, () => NOW).sign({
      ...decodeJwt((JSON.parse(world.wire[2] ?? '{}') as { request: string }).request),
      nonce: 'AAAAAAAAAAAAAAAAAAAAAAAA',
      credential: await webSha256.hashToHex(FRESH[2] ?? ''),
      sign: name,
    })
    const response = await service.request('/verify', {
      method: 'POST',
      body: JSON.stringify({ credential: FRESH[2], request: jws }),
    })
    const { identity } = decodeJwt<{ identity: { user: string; slurmToken: { token: string } } }>(
      await response.text(),
    )
    expect(identity.user).toBe('alice')
    const his = await connectTo(() => service).end.signRequest(FRESH[3] ?? '', CLIENT, 'whole')
    expect(await his.answerKey?.open(identity.slurmToken.token)).toBeNull()
    const owner = await theirs.end.signRequest(FRESH[3] ?? '', CLIENT, 'short')
    expect(decodeJwt((await owner.answerKey?.open(identity.slurmToken.token)) ?? '')['sun']).toBe('alice')
  })

  test('a name goes with a credential only: not with an API token, nor where nothing is presented', async () => {
    const service = startService(buildSigner())
    const channel = connectTo(() => service)
    await signOne(channel, 0)
    const { answerKey } = await channel.end.signRequest(FRESH[1] ?? '', CLIENT, 'short')
    const encrypted = await encryptToken(
      TOKEN,
      { nonce: 'AAAAAAAAAAAAAAAAAAAAAAAA', answerKey: answerKey?.name ?? '', madeAt: NOW / 1000 },
      mine.encryptionKey,
    )
    for (const about of [{}, { encrypted }]) {
      const claims = {
        nonce: 'AAAAAAAAAAAAAAAAAAAAAAAA',
        credential: null,
        client: null,
        sign: answerKey?.name,
        ...('encrypted' in about && { encrypted: await webSha256.hashToHex(encrypted) }),
      }
      const request = await createSignature([KEY], TO_VERIFIER, () => NOW).sign(claims)
      const body = JSON.stringify({ ...about, request })
      expect((await service.request('/verify', { method: 'POST', body })).status).toBe(401)
    }
    expect(world.log.lines).toMatchObject([
      { event: 'verifier_request_refused', fields: { reason: 'form' } },
      { event: 'verifier_request_refused', fields: { reason: 'form' } },
    ])
  })

  test('that a whole key is unknown is no answer: nobody is asked a third time', async () => {
    const signer = buildSigner()
    const channel = connect({ ...signer, openAnswerKey: () => Promise.resolve('unknown') })
    expect((await findOutage(signOne(channel, 0)))[1]).toContain('(verdict)')
    expect(readForms()).toEqual(['whole'])
    expect(world.verified).toBe(0)
  })

  test('a signer of before, which knows keys by no name, is sent them whole', async () => {
    const signer = buildSigner()
    const old: Signer = {
      ...signer,
      openAnswerKey: (text) => (isKeyName(text) ? Promise.resolve(null) : signer.openAnswerKey(text)),
    }
    let service = startService(signer)
    const channel = connectTo(() => service)
    expect(await signOne(channel, 0)).toBe('alice')
    service = startService(old)
    expect((await findOutage(signOne(channel, 1)))[0]).toBe('signer_unavailable')
    expect(world.verified).toBe(1)
    expect(await signOne(channel, 1)).toBe('alice')
    expect(readForms()).toEqual(['whole', 'name', 'whole'])
  })
})
