/** Who remembers the MUNGE credentials that a signer has claimed: `REPLAY_GUARD` in the verifier's environment. */

import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSigner } from '../../functions/node/local-signer.ts'
import type { SealAnswer } from '../../src/signer/answer-key.ts'
import type { SignerSettings } from '../../src/signer/signer-settings.ts'
import { createMemoryLog } from '../gateway/in-memory-ports.ts'
import { makeSignerKeys } from './signer-keys.ts'

const ALICE = { user: 'alice', uid: 6001, credentialDigest: 'ab'.repeat(32), boundDigest: null }
const seal: SealAnswer = (text) => Promise.resolve({ jwe: `sealed ${text}`, digest: 'ab'.repeat(32) })
/** Counts who comes, and says nothing. */
const world = { calls: 0, port: 0, server: null as Server | null, settings: null as SignerSettings | null }

beforeAll(async () => {
  const { decryptionKeys } = await makeSignerKeys()
  const server = createServer((socket) => {
    world.calls += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  world.server = server
  world.settings = {
    key: { algorithm: 'HS256', bytes: new Uint8Array(32) },
    lifespanSeconds: 120,
    databaseUrl: `postgres://signer@127.0.0.1:${String(port)}/gate`,
    decryptionKeys,
    seals: { keys: [new Uint8Array(32)], notBefore: null },
    replayGuard: 'postgres',
    requestsPerSecond: 0,
  }
})
afterAll(() => {
  world.server?.close()
})

async function claimTwice(replayGuard: SignerSettings['replayGuard']): Promise<readonly string[]> {
  if (world.settings === null) throw new Error('not begun')
  world.calls = 0
  const opened = openSigner(
    { ...world.settings, replayGuard },
    { policy: { deniedUsers: new Set(), minUid: 1000 }, now: Date.now, log: createMemoryLog() },
  )
  const sign = async (): Promise<string> => {
    const signed = await opened.signer.signForMunge({ ...ALICE, expiresAt: Date.now() / 1000 + 5 }, seal)
    return 'kind' in signed ? signed.rule : 'signed'
  }
  const describeError = (error: unknown): string =>
    error instanceof Error && 'rule' in error ? String(error.rule) : 'a bug'
  try {
    return [await sign().catch(describeError), await sign().catch(describeError)]
  } finally {
    await opened.close()
  }
}

test('local: this process, which asks nobody and signs for each credential once (replay)', async () => {
  expect(await claimTwice('local')).toEqual(['signed', 'munge_replayed'])
  expect(world.calls).toBe(0)
})

test('by default Postgres: where it does not answer, nothing is signed', async () => {
  expect(await claimTwice('postgres')).toEqual(['replay_guard_unavailable', 'replay_guard_unavailable'])
  expect(world.calls).toBeGreaterThan(0)
})
