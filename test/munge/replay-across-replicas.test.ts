/**
 * One credential, used on two replicas at once: each has its own verifier and munged, of one key, and Postgres in common.
 * munged remembers only what it has decoded itself (measured), so the guard decides. REPLAY_TEST_CREDENTIALS: how many.
 */

import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { createMungedClient } from '../../src/munge/munged-client.ts'
import { findRuleAnswer, Outage } from '../../src/refusal.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { buildMungeKey } from '../support/munge-daemon.ts'
import { isMungedMissing } from '../support/missing-munged.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { Relay } from '../support/relay.ts'
import { Replica } from '../support/replica.ts'
import { createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const CREDENTIALS = Number(process.env['REPLAY_TEST_CREDENTIALS'] ?? 10_000)
/** Used up well within their 5 s. */
const BATCH = 250
const isRoot = process.getuid?.() === 0
const ORDINARY_UID = 61234

/** munged takes all of these for the same credential (measured). */
const RESPELL: readonly ((text: string) => string)[] = [
  (text) => `${text.slice(0, 20)} ${text.slice(20)}`,
  (text) => ` ${text}`,
  (text) => `${text}more`,
  flipUnusedBit,
]

function flipUnusedBit(text: string): string {
  const at = text.indexOf('=') - 1
  if (at < 0) return `${text} `
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  const flipped = alphabet[alphabet.indexOf(text.charAt(at)) ^ 1] ?? ''
  return text.slice(0, at) + flipped + text.slice(at + 1)
}

describe.skipIf(isMungedMissing('replay-across-replicas.test.ts'))('two replicas', () => {
  const base = mkdtempSync(join(tmpdir(), 'replicas-'))
  let store: TokenDatabase
  let relay: Relay
  let replicas: readonly [Replica, Replica]

  beforeAll(async () => {
    chmodSync(base, 0o755)
    store = await createTokenDatabase()
    const { hostname, port } = new URL(store.url)
    relay = await Relay.start({ host: hostname, port: Number(port) })
    const relayed = new URL(store.url)
    relayed.port = String(relay.port)
    const key = buildMungeKey()
    const minUid = isRoot ? 1000 : 1
    const start = (name: string) =>
      Replica.start({ directory: join(base, name), key, databaseUrl: relayed.href, minUid })
    replicas = [await start('one'), await start('two')]
  })
  afterAll(async () => {
    for (const replica of replicas) await replica.stop()
    await relay.stop()
    await store.sql.end()
    await stopOwnPostgres()
    rmSync(base, { recursive: true, force: true })
  })

  /** As root they are made as an ordinary user: munged asks the kernel who connects. */
  async function makeCredentials(count: number): Promise<string[]> {
    const client = createMungedClient(createMungedSocket({ path: replicas[0].munged.socketPath }))
    if (isRoot) process.seteuid?.(ORDINARY_UID)
    try {
      return await Promise.all(Array.from({ length: count }, () => client.encode({ ttlSeconds: 5 })))
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  }

  test(`of ${String(CREDENTIALS)} credentials, each used on both at once, none is accepted twice and none refused twice`, async () => {
    const refusals = new Map<string, number>()
    let acceptedTwice = 0
    let refusedTwice = 0
    for (let done = 0; done < CREDENTIALS; done += BATCH) {
      const credentials = await makeCredentials(BATCH)
      const uses = credentials.map(async (text, index) => {
        const respell = index % 2 === 0 ? null : RESPELL[((index - 1) / 2) % RESPELL.length]
        const [one, two] = index % 4 < 2 ? replicas : [replicas[1], replicas[0]]
        const outcomes = await Promise.all([one.use(text), two.use(respell?.(text) ?? text)])
        for (const outcome of outcomes) refusals.set(outcome, (refusals.get(outcome) ?? 0) + 1)
        const accepted = outcomes.filter((outcome) => outcome === 'accepted').length
        if (accepted === 2) acceptedTwice += 1
        if (accepted === 0) refusedTwice += 1
      })
      await Promise.all(uses)
    }
    expect({ acceptedTwice, refusedTwice }).toEqual({ acceptedTwice: 0, refusedTwice: 0 })
    const half = CREDENTIALS / 2
    expect(Object.fromEntries(refusals)).toEqual({
      accepted: CREDENTIALS,
      munge_replayed: half,
      munge_malformed: half,
    })
  })

  test('a munged that forgot everything in a restart lets nobody use a credential again', async () => {
    const credentials = await makeCredentials(100)
    const first = await Promise.all(credentials.map((text) => replicas[0].use(text)))
    expect(new Set(first)).toEqual(new Set(['accepted']))
    await replicas[0].munged.stop()
    await replicas[0].munged.start()
    const again = await Promise.all(
      credentials.flatMap((text) => [replicas[0].use(text), replicas[1].use(text)]),
    )
    expect(new Set(again)).toEqual(new Set(['munge_replayed']))
  })

  test('a guard that cannot be reached is 503, whatever munged says, and the next credential is accepted once it is back', async () => {
    await relay.cut()
    const [text = ''] = await makeCredentials(1)
    const failure: unknown = await replicas[0].use(text).catch((error: unknown) => error)
    await relay.restore()
    expect(failure).toBeInstanceOf(Outage)
    expect(failure).toMatchObject({ rule: 'replay_guard_unavailable' })
    expect(findRuleAnswer('replay_guard_unavailable').status).toBe(503)
    const [next = ''] = await makeCredentials(1)
    expect(await replicas[0].use(next)).toBe('accepted')
    expect(await replicas[1].use(next)).toBe('munge_replayed')
  })

  test('a digest is kept until 60 s after its credential has expired, by the clock of the database', async () => {
    const { db, close } = openDatabase(store.url)
    const guard = createPostgresReplayGuard(db, { clock: () => 0, log: { write: () => undefined } })
    const digest = 'ab'.repeat(32)
    const expiresAt = Math.floor(Date.now() / 1000) + 5
    await guard.claim(digest, expiresAt)
    const [row] = await store.sql<{ keep: number }[]>`
      select extract(epoch from keep_until)::float8 as keep from munge_replays
      where credential_digest = ${Buffer.from(digest, 'hex')}`
    await close()
    expect(row?.keep).toBe(expiresAt + 60)
  })
})
