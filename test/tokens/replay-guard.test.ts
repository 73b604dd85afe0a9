import { createHash, randomBytes } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Log, LogLevel, ReplayGuard } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { createLocalReplayGuard, createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { findFreePort } from '../support/free-port.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'
import { sleep, waitUntil } from '../support/program.ts'

const newDigest = () => createHash('sha256').update(randomBytes(16)).digest('hex')
const seconds = () => Math.floor(Date.now() / 1000)

class MemoryLog implements Log {
  readonly events: string[] = []
  write(_level: LogLevel, event: string) {
    this.events.push(event)
  }
}

const pick = (guards: readonly [ReplayGuard, ReplayGuard], index: number) => guards[index % 2 === 0 ? 0 : 1]

let store: TokenDatabase
const closers: (() => Promise<void>)[] = []
beforeAll(async () => {
  store = await createTokenDatabase()
}, 180_000)
afterAll(async () => {
  for (const close of closers) await close()
  await store.sql.end()
  await stopOwnPostgres()
})

function openGuard(
  options: { clock?: () => number; url?: string; log?: Log; maySharePromises?: boolean } = {},
) {
  const { db, close } = openDatabase(options.url ?? store.url)
  closers.push(close)
  return createPostgresReplayGuard(db, {
    clock: options.clock ?? Date.now,
    log: options.log ?? new MemoryLog(),
    maySharePromises: options.maySharePromises ?? true,
  })
}

describe('the guard in Postgres', () => {
  it('gives one of 200 concurrent claims on two gates the credential, twenty times over', async () => {
    const guards = [openGuard(), openGuard()] as const
    for (let round = 0; round < 20; round++) {
      const digest = newDigest()
      const claims = Array.from({ length: 200 }, (_, index) =>
        pick(guards, index).claim(digest, seconds() + 5),
      )
      expect((await Promise.all(claims)).filter((isFirst) => isFirst)).toHaveLength(1)
    }
  })

  it('gives two credentials to their first claims', async () => {
    const guard = openGuard()
    expect(await guard.claim(newDigest(), seconds() + 5)).toBe(true)
    expect(await guard.claim(newDigest(), seconds() + 5)).toBe(true)
  })

  it('has Postgres parse its statement once for each connection: a claim is one round trip', async () => {
    const { db, close } = openDatabase(store.url, { max: 1 })
    closers.push(close)
    const guard = createPostgresReplayGuard(db, { clock: Date.now, log: new MemoryLog() })
    for (let claim = 0; claim < 4; claim += 1) await guard.claim(newDigest(), seconds() + 5)
    // Of this session alone. The first claim parses and runs it.
    const kept = await db.query((drizzle) =>
      drizzle.execute<{ runs: number }>(
        sql`select (generic_plans + custom_plans)::int as runs from pg_prepared_statements where statement like 'insert%'`,
      ),
    )
    expect([...kept]).toEqual([{ runs: 4 }])
  })

  it('holds no claim up for one that went to Postgres before and waits there', async () => {
    const guard = openGuard()
    const held = [newDigest(), newDigest(), newDigest()]
    let release = (): void => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    let isHeld = false
    const holder = store.sql.begin(async (sql) => {
      for (const digest of held)
        await sql`insert into munge_replays values (${Buffer.from(digest, 'hex')}, now() + interval '1 minute')`
      isHeld = true
      await released
    })
    await waitUntil('the rows are held', () => isHeld)
    const countWaiting = async (): Promise<number> => {
      const [row] = await store.sql<{ count: number }[]>`
        select count(*)::int as count from pg_stat_activity
        where wait_event_type = 'Lock' and query like 'insert into "munge_replays"%'`
      return row?.count ?? 0
    }
    const waiting = []
    for (const digest of held) {
      waiting.push(guard.claim(digest, seconds() + 5))
      await waitUntil('it waits', async () => (await countWaiting()) === waiting.length)
      expect(await guard.claim(newDigest(), seconds() + 5)).toBe(true)
    }
    release()
    await holder
    expect(await Promise.all(waiting)).toEqual([false, false, false])
  })

  it("keeps a digest 60 s longer than the credential lives, by the database's clock at least", async () => {
    const guard = openGuard()
    const [future, past] = [newDigest(), newDigest()]
    await guard.claim(future, seconds() + 300)
    await guard.claim(past, 1)
    const keep = async (digest: string) => {
      const [row] = await store.sql<{ left: number }[]>`
        select extract(epoch from keep_until - now())::float8 as left from munge_replays
        where credential_digest = ${Buffer.from(digest, 'hex')}`
      return row?.left ?? 0
    }
    expect(await keep(future)).toBeGreaterThan(355)
    expect(await keep(past)).toBeGreaterThan(55)
    expect(await guard.claim(past, 1)).toBe(false)
  })

  it('removes what is past keeping, at most once a minute', async () => {
    let now = Date.now()
    const guard = openGuard({ clock: () => now })
    const old = async () => {
      const digest = randomBytes(32)
      await store.sql`insert into munge_replays values (${digest}, now() - interval '1 second')`
      return async () =>
        (await store.sql`select 1 from munge_replays where credential_digest = ${digest}`).length === 0
    }
    const first = await old()
    const kept = newDigest()
    await guard.claim(kept, seconds() + 5)
    await waitUntil('the first cleanup', first)

    const second = await old()
    now += 59_000
    await guard.claim(newDigest(), seconds() + 5)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await second()).toBe(false)
    now += 1_000
    await guard.claim(newDigest(), seconds() + 5)
    await waitUntil('the second cleanup', second)
    expect(await guard.claim(kept, seconds() + 5)).toBe(false)
  })

  it('removes all of many old digests, in portions, one cleanup at a time', async () => {
    const { sql, url } = await createTokenDatabase()
    await sql`
      insert into munge_replays
      select sha256(convert_to(number::text, 'UTF8')), now() - interval '1 second' from generate_series(1, 12000) number`
    const count = async () => Number((await sql`select count(*) from munge_replays`)[0]?.['count'])
    await sql.begin(async (other) => {
      await other`select pg_advisory_xact_lock(7239805113472095)`
      expect(await openGuard({ url }).claim(newDigest(), seconds() + 5)).toBe(true)
      await sleep(500)
      expect(await count()).toBe(12_001)
    })
    expect(await openGuard({ url }).claim(newDigest(), seconds() + 5)).toBe(true)
    await waitUntil('the cleanup', async () => (await count()) === 2)
    await sql.end()
  })

  it('answers claims while a cleanup is under way', async () => {
    const { sql, url } = await createTokenDatabase()
    // A cleanup that takes three seconds, with its rows locked.
    await sql.unsafe(`
      create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(3); return null; end $$;
      create trigger dawdle after delete on munge_replays for each statement execute function dawdle()`)
    await sql`insert into munge_replays values (${randomBytes(32)}, now() - interval '1 second')`
    const isCleaning = async () =>
      (
        await sql`select 1 from pg_stat_activity where query like 'delete%' and wait_event = 'PgSleep'
        and datname = current_database()`
      ).length > 0
    const guard = openGuard({ url })
    expect(await guard.claim(newDigest(), seconds() + 5)).toBe(true)
    await waitUntil('the cleanup is under way', isCleaning, 2_500)
    const claims = Array.from({ length: 200 }, () => guard.claim(newDigest(), seconds() + 5))
    expect((await Promise.all(claims)).every((isFirst) => isFirst)).toBe(true)
    expect(await isCleaning()).toBe(true)
    await sql.end()
  })

  it('gives claims that share a statement each its own answer, and an outage to all of them', async () => {
    const guards = [openGuard(), openGuard({ maySharePromises: false })] as const
    const digests = Array.from({ length: 300 }, newDigest)
    // Twice in one statement, in another order on another gate.
    const claims = await Promise.all(
      [...digests, ...digests.toReversed()].flatMap((digest) => [
        guards[0].claim(digest, seconds() + 5).then((isFirst) => ({ digest, isFirst })),
        guards[1].claim(digest, seconds() + 5).then((isFirst) => ({ digest, isFirst })),
      ]),
    )
    const claimed = claims.filter(({ isFirst }) => isFirst).map(({ digest }) => digest)
    expect(claimed.toSorted()).toEqual(digests.toSorted())
    const url = `postgres://gate@127.0.0.1:${String(await findFreePort())}/slurmgate`
    const guard = openGuard({ url })
    const failed = await Promise.allSettled(digests.map((digest) => guard.claim(digest, seconds())))
    expect(failed.every(({ status }) => status === 'rejected')).toBe(true)
  })

  it('answers a claim though the cleanup fails, and logs that', async () => {
    const { sql, url } = await createTokenDatabase()
    await sql.unsafe(`
      create function refuse() returns trigger language plpgsql as $$ begin raise 'no deletes'; end $$;
      create trigger refuse before delete on munge_replays for each row execute function refuse()`)
    await sql`insert into munge_replays values (${randomBytes(32)}, now() - interval '1 second')`
    const log = new MemoryLog()
    expect(await openGuard({ url, log }).claim(newDigest(), seconds() + 5)).toBe(true)
    await waitUntil('the log line', () => log.events.includes('replay_cleanup_failed'))
    await sql.end()
  })

  it('is an outage, not a yes and not a no, when Postgres does not answer', async () => {
    const url = `postgres://gate:hunter2@127.0.0.1:${String(await findFreePort())}/slurmgate`
    const error: unknown = await openGuard({ url })
      .claim(newDigest(), seconds())
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(Outage)
    expect(error).toMatchObject({ rule: 'replay_guard_unavailable' })
    expect(String(error)).not.toContain('hunter2')
  })

  it('throws on what is not a digest', async () => {
    for (const digest of ['', 'AB'.repeat(32), 'zz'.repeat(32), 'ab'.repeat(31)]) {
      await expect(openGuard().claim(digest, seconds())).rejects.toBeInstanceOf(TypeError)
    }
  })
})

describe('the guard in one process', () => {
  it('gives one of 200 concurrent claims the credential', async () => {
    const guard = createLocalReplayGuard(() => 1_000_000)
    const digest = newDigest()
    const claims = await Promise.all(Array.from({ length: 200 }, () => guard.claim(digest, 1_005)))
    expect(claims.filter((isFirst) => isFirst)).toHaveLength(1)
  })

  it('is an outage when full of credentials that still count, and takes new ones when they do not', async () => {
    let now = 1_000_000
    const guard = createLocalReplayGuard(() => now, { entriesMax: 3 })
    const digests = [newDigest(), newDigest(), newDigest()]
    for (const digest of digests) expect(await guard.claim(digest, 1_005)).toBe(true)
    await expect(guard.claim(newDigest(), 1_005)).rejects.toMatchObject({ rule: 'replay_guard_unavailable' })
    expect(await guard.claim(digests[0] ?? '', 1_005)).toBe(false)
    now = 1_064_000
    await expect(guard.claim(newDigest(), 1_069)).rejects.toBeInstanceOf(Outage)
    now = 1_066_000
    expect(await guard.claim(newDigest(), 1_071)).toBe(true)
  })

  it('lets no replay through after the clock was set back, and takes what is of another time', async () => {
    let now = 1_000_000
    const guard = createLocalReplayGuard(() => now)
    const digest = newDigest()
    expect(await guard.claim(digest, 1_005)).toBe(true)
    now = 1_100_000
    expect(await guard.claim(newDigest(), 1_105)).toBe(true)
    now = 1_001_000
    await expect(guard.claim(digest, 1_005)).rejects.toMatchObject({ rule: 'replay_guard_unavailable' })
    now = 1_010_000
    expect(await guard.claim(newDigest(), 1_015)).toBe(true)
  })

  it('keeps every digest for its time and forgets it soon after, whatever came between', async () => {
    let now = 1_000_000
    const guard = createLocalReplayGuard(() => now, { entriesMax: 80 })
    const claimed: { digest: string; at: number }[] = []
    for (; now < 1_300_000; now += 1_000) {
      const digest = newDigest()
      expect(await guard.claim(digest, now / 1000 + 5)).toBe(true)
      claimed.push({ digest, at: now })
      for (const kept of claimed.filter(({ at }) => now - at <= 65_000)) {
        expect(await guard.claim(kept.digest, now / 1000 + 5)).toBe(false)
      }
    }
  })
})
