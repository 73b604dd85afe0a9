/** Changes of tokens as Postgres tells them: to every gateway, under the gateway's own role, or the feed is not current. */

import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { CHANGES_TOLD_MILLISECONDS } from '../../src/limits.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { createWarmTokens } from '../../src/tokens/warm-tokens.ts'
import { createChangeListener, type ChangeListener } from '../../src/tokens/change-listener.ts'
import { createMemoryLog } from '../gateway/in-memory-ports.ts'
import { findPgBouncer, PgBouncer } from '../support/pg-bouncer.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { sleep, waitUntil } from '../support/program.ts'
import { Relay } from '../support/relay.ts'
import { createRoleDatabase, type RoleDatabase } from '../support/role-database.ts'
import { buildTokenRow } from '../support/token-database.ts'

let database: RoleDatabase
let relay: Relay
let listeners: ChangeListener[]

beforeAll(async () => {
  database = await createRoleDatabase()
}, 180_000)
afterAll(async () => {
  await database.admin.sql.end()
  await stopOwnPostgres()
})
beforeEach(async () => {
  const { hostname, port } = new URL(database.gatewayUrl)
  relay = await Relay.start({ host: hostname, port: Number(port) })
  listeners = []
})
afterEach(async () => {
  await Promise.all(listeners.map((listener) => listener.close()))
  await relay.stop()
  await database.admin.sql`truncate api_tokens`
})

/** Started, and current. */
async function listen() {
  const url = new URL(database.gatewayUrl)
  url.host = `127.0.0.1:${String(relay.port)}`
  const log = createMemoryLog()
  const listener = createChangeListener({ url: url.href, log, now: Date.now, randomBytes })
  const told = { changes: 0 }
  listener.subscribe(() => (told.changes += 1))
  listener.start()
  listeners.push(listener)
  await waitUntil('the feed is current', () => listener.isCurrent())
  return { listener, told, log }
}

test.each([
  ['a new one', "insert into api_tokens (id, name, slurm_user, digest, scopes, format, created_at, issued_by) select 'tok_bbbbbbbbbbbbbbbb', name, slurm_user, sha256(digest), scopes, format, created_at, issued_by from api_tokens"],
  ['a revocation', 'update api_tokens set revoked_at = now()'],
  ['an end', "delete from api_tokens where id <> ''"],
  ['a table that is emptied', 'truncate api_tokens'],
])('%s is told to every gateway, whoever wrote it', async (_what, statement) => {
  const { sql } = database.admin
  await sql`insert into api_tokens ${sql(buildTokenRow())}`
  const [one, two] = await Promise.all([listen(), listen()])
  const before = [one.told.changes, two.told.changes]
  await sql.unsafe(statement)
  await waitUntil('both were told', () => one.told.changes > (before[0] ?? 0) && two.told.changes > (before[1] ?? 0), 5_000)
}) // prettier-ignore

test('a change that fires no trigger is told to nobody: what is kept counts by its age alone then', async () => {
  const { sql } = database.admin
  await sql`insert into api_tokens ${sql(buildTokenRow())}`
  const { told } = await listen()
  const before = told.changes
  await sql.begin(async (transaction) => {
    await transaction`set local session_replication_role = replica`
    await transaction`update api_tokens set revoked_at = now()`
  })
  await sleep(500)
  expect(told.changes).toBe(before)
  await sql`update api_tokens set revoked_at = now()`
  await waitUntil('the next one was told', () => told.changes === before + 1, 5_000)
})

test('many rows at once are told once', async () => {
  const { told } = await listen()
  const before = told.changes
  const { sql } = database.admin
  await sql`
    insert into api_tokens (id, name, slurm_user, digest, scopes, format, created_at, issued_by)
    select 'tok_' || translate(lpad(to_hex(n), 16, '0'), '0189', 'wxyz'), 'n', 'alice',
      sha256(n::text::bytea), array['slurm:read'], 'opaque', now(), 'x' from generate_series(1, 10000) n`
  await waitUntil('it was told', () => told.changes > before, 5_000)
  await sleep(500)
  expect(told.changes).toBe(before + 1)
})

test('what begins to listen, and what lost its connection, forgets all: changes may have been missed', async () => {
  const { listener, told, log } = await listen()
  expect(told.changes).toBe(1)
  await relay.cut()
  await waitUntil('it is known', () => !listener.isCurrent(), 5_000)
  await waitUntil('everything is forgotten', () => told.changes === 2, 5_000)
  await relay.restore()
  await waitUntil('it listens again', () => listener.isCurrent())
  expect(told.changes).toBe(3)
  expect(log.lines.map(({ event }) => event)).toEqual([
    'token_changes_told',
    'token_changes_lost',
    'token_changes_told',
  ])
  expect(JSON.stringify(log.lines)).not.toContain(new URL(database.gatewayUrl).password)
})

test('a connection that falls silent is not believed for longer than the bound', async () => {
  const { listener } = await listen()
  relay.stall()
  const since = Date.now()
  await waitUntil('it is known', () => !listener.isCurrent(), 10_000)
  // At the latest then; how much sooner depends on the last beat.
  expect(listener.isCurrent()).toBe(false)
  expect(since).toBeLessThan(Date.now())
  await sleep(CHANGES_TOLD_MILLISECONDS)
  expect(listener.isCurrent()).toBe(false)
  await relay.restore()
  await waitUntil('it listens again', () => listener.isCurrent())
})

test('is never current by a clock that stands still or was set back', async () => {
  let now = 1_000_000
  const log = createMemoryLog()
  const listener = createChangeListener({ url: database.gatewayUrl, log, now: () => now, randomBytes })
  listener.start()
  listeners.push(listener)
  await waitUntil('the feed is current', () => listener.isCurrent())
  now -= 10_000
  expect(listener.isCurrent()).toBe(false)
})

test('a Postgres that is not there yet is listened to as soon as it is', async () => {
  await relay.cut()
  const url = new URL(database.gatewayUrl)
  url.host = `127.0.0.1:${String(relay.port)}`
  const listener = createChangeListener({ url: url.href, log: createMemoryLog(), now: Date.now, randomBytes })
  listeners.push(listener)
  listener.start()
  await sleep(300)
  expect(listener.isCurrent()).toBe(false)
  await relay.restore()
  await waitUntil('it listens', () => listener.isCurrent())
})

test('closing ends it at once, in whatever state', async () => {
  for (const state of ['listening', 'cut', 'stalled']) {
    const { listener } = await listen()
    if (state === 'cut') await relay.cut()
    if (state === 'stalled') relay.stall()
    await listener.close()
    expect(listener.isCurrent()).toBe(false)
    await relay.restore()
  }
})

test.skipIf(findPgBouncer() === null)(
  'behind PgBouncer that lends statements it is never current, and nothing is kept of a token',
  async () => {
    const { sql } = database.admin
    await sql`insert into api_tokens ${sql(buildTokenRow())}`
    const pooler = await PgBouncer.start({ gateway: database.gatewayUrl }, { mode: 'transaction' })
    const url = pooler.findUrl('gateway')
    const log = createMemoryLog()
    const listener = createChangeListener({ url, log, now: Date.now, randomBytes })
    listeners.push(listener)
    listener.start()
    const seen = { current: 0 }
    const { db, close } = openDatabase(url)
    const ports = { store: createTokenStore(db), changes: listener, maySharePromises: true, now: Date.now }
    const tokens = createWarmTokens(ports)
    const digest = Buffer.alloc(32, 7).toString('hex')
    await waitUntil('notifications were lost', () => {
      if (listener.isCurrent()) seen.current += 1
      return log.lines.length > 0
    })
    expect(seen.current).toBe(0)
    expect(log.lines.map(({ event }) => event)).toEqual(['token_changes_lost'])
    expect(await tokens.find(digest)).toMatchObject({ revokedAt: null })
    await sql`update api_tokens set revoked_at = now()`
    expect((await tokens.find(digest))?.revokedAt).toBeTypeOf('number')
    expect(listener.isCurrent()).toBe(false)
    await close()
    await pooler.stop()
  },
)
