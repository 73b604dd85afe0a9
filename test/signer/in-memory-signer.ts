/** A gateway without a key and a verifier that signs, over a `fetch` in memory, where every byte between them is seen. */

import type { Hono } from 'hono'
import { beforeAll, beforeEach } from 'vitest'
import { parseCredentialString } from '../../src/munge/credential-string.ts'
import { createVerifierEnd } from '../../src/munge/exchange.ts'
import { createVerifierChannel, type VerifierChannel } from '../../src/munge/verifier-channel.ts'
import { createVerifierService } from '../../src/munge/verifier-service.ts'
import type { ClientAddress } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import type { EncryptionKey } from '../../src/signer/encryption-key.ts'
import { createSigner, type Signer, type SignerRow } from '../../src/signer/signer.ts'
import { createSlurmTokenMinter } from '../../src/slurm-token.ts'
import { createLocalReplayGuard } from '../../src/tokens/replay-guard.ts'
import { buildOpaqueToken } from '../../src/tokens/token-form.ts'
import { createMemoryLog } from '../gateway/in-memory-ports.ts'
import { makeSignerKeys, type SignerKeys } from './signer-keys.ts'

export const KEY = new Uint8Array(32).fill(1)
export const NOW = 1_800_000_000_000
export const CLIENT: ClientAddress = { address: '10.0.0.7', isDirectLoopback: false, hostAddresses: [] }
export const CREDENTIAL = `MUNGE:${Buffer.alloc(60, 7).toString('base64')}:`
export const TOKEN = buildOpaqueToken((length) => new Uint8Array(length).fill(7))
export const ROW: SignerRow = {
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

export let mine: SignerKeys
export let others: SignerKeys
beforeAll(async () => {
  mine = await makeSignerKeys()
  others = await makeSignerKeys()
})

export const world = {
  wire: [] as string[],
  verified: 0,
  log: createMemoryLog(),
  store: () => Promise.resolve(),
}
beforeEach(() => {
  Object.assign(world, { wire: [], verified: 0, log: createMemoryLog(), store: () => Promise.resolve() })
})

export function buildSigner(): Signer {
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

export function startService(signer: Signer | null): Hono {
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
export function connect(
  signer: Signer | null,
  encryptionKey: EncryptionKey = mine.encryptionKey,
): VerifierChannel {
  const service = startService(signer)
  return connectTo(() => service, encryptionKey)
}

/** @param findService the one that takes the next question: replicas behind one URL, or what was restarted. */
export function connectTo(
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
export function readWire(): string {
  const parts = world.wire.flatMap((text) => text.split(/[^\w-]+/))
  return [...world.wire, ...parts.map((part) => Buffer.from(part, 'base64url').toString('latin1'))]
    .flatMap((text) => [
      text,
      ...text.split(/[^\w-]+/).map((part) => Buffer.from(part, 'base64url').toString('latin1')),
    ])
    .join('\n')
}

export async function findOutage(promise: Promise<unknown>): Promise<readonly [string, string]> {
  const error: unknown = await promise.catch((caught: unknown) => caught)
  if (!(error instanceof Outage)) throw new Error('no outage')
  return [error.rule, error.message]
}
