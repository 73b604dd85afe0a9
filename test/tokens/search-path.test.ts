/** Whose functions the statements of gateway, signer and commands call, whatever `search_path` was set for them. Real Postgres. */

import { afterAll, beforeAll, expect, test } from 'vitest'
import { sql } from 'drizzle-orm'
import { runCli } from '../support/cli.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { buildTokenRow, createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'
import { openDatabase, type OpenDatabase } from '../../src/tokens/database.ts'
import { createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { createSealedTokenStore } from '../../src/tokens/sealed-token-store.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { createMemoryLog } from '../gateway/in-memory-ports.ts'

/** Each with the very types that Postgres's own has: it is the path alone that decides. */
const SHADOWS = [
  'now() returns timestamptz',
  'clock_timestamp() returns timestamptz',
  'to_timestamp(double precision) returns timestamptz',
  'encode(bytea, text) returns text',
  'decode(text, text) returns bytea',
  'json_to_recordset(json) returns setof record',
  'pg_try_advisory_xact_lock(bigint) returns boolean',
  'extract(text, timestamptz) returns numeric',
  'to_char(timestamp, text) returns text',
]

let store: TokenDatabase
let database: OpenDatabase
let url: string
beforeAll(async () => {
  store = await createTokenDatabase()
  await store.sql`create schema evil`
  for (const shadow of SHADOWS) {
    await store.sql.unsafe(
      `create function evil.${shadow} language plpgsql as $$ begin raise 'shadowed'; end $$`,
    )
  }
  await store.sql`create function evil.plus(timestamptz, interval) returns timestamptz language plpgsql as $$ begin raise 'shadowed'; end $$`
  await store.sql`create operator evil.+ (leftarg = timestamptz, rightarg = interval, function = evil.plus)`
  url = `${store.url}?search_path=${encodeURIComponent('evil,pg_catalog,public')}`
  database = openDatabase(url)
})
afterAll(async () => {
  await database.close()
  await store.sql.end()
  await stopOwnPostgres()
})

test('in such a session a bare name is the other one', async () => {
  const asked = database.db.query((drizzle) => drizzle.execute(sql`select now()`))
  await expect(asked).rejects.toMatchObject({ cause: { message: 'shadowed' } })
})

test('the replay guard claims and forgets, and calls nothing of it', async () => {
  const log = createMemoryLog()
  const cleanups: Promise<void>[] = []
  const guard = createPostgresReplayGuard(database.db, {
    clock: Date.now,
    log,
    defer: (work) => void cleanups.push(work),
  })
  const digest = 'ab'.repeat(32)
  const expiresAt = Math.floor(Date.now() / 1000) + 5
  expect([await guard.claim(digest, expiresAt), await guard.claim(digest, expiresAt)]).toEqual([true, false])
  await Promise.all(cleanups)
  expect([cleanups.length, log.lines]).toEqual([1, []])
})

test('the replay guard calls no operator of somebody else for types that fit better than those of Postgres’s own', async () => {
  const { sql, url: ordinaryUrl } = store
  await sql`create function public.shorten(int, interval) returns interval language sql as $$ select interval '-1 day' $$`
  await sql`create operator public.* (leftarg = int, rightarg = interval, function = public.shorten)`
  const [shortened] = await sql`select 60 * interval '1 second' < interval '0' as is_shortened`
  expect(shortened).toEqual({ is_shortened: true })
  const { db, close } = openDatabase(ordinaryUrl)
  const guard = createPostgresReplayGuard(db, { clock: Date.now, log: createMemoryLog() })
  const digest = 'cd'.repeat(32)
  expect(await guard.claim(digest, Date.now() / 1000 + 5)).toBe(true)
  const [kept] = await sql<{ seconds: number }[]>`
    select extract(epoch from keep_until - now())::float8 as seconds from munge_replays
    where credential_digest = ${Buffer.from(digest, 'hex')}`
  expect(kept?.seconds).toBeGreaterThan(60)
  await close()
})

test('tokens are looked up, and call nothing of it', async () => {
  await createTokenStore(database.db).check()
  expect(await createSealedTokenStore(database.db).findSealedByDigest(new Uint8Array(32))).toBeNull()
})

test('tokens are listed, and call nothing of it', async () => {
  await store.sql`insert into api_tokens ${store.sql(buildTokenRow())}`
  const { exitCode, stdout, stderr } = await runCli(['token', 'list', '--json'], {
    environment: { DATABASE_URL: url },
  })
  expect([exitCode, stderr]).toEqual([0, ''])
  expect(JSON.parse(stdout)).toMatchObject([{ id: 'tok_aaaaaaaaaaaaaaaa' }])
})
