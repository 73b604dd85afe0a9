/**
 * Remembers the digests of accepted MUNGE credentials. munged refuses a replay by itself, but only one it has decoded
 * itself: with a second munged or verifier, a credential could be used once on each (replay).
 */

import { and, lt, sql } from 'drizzle-orm'
import { createClockAlarm, type WatchClock } from '../clock-alarm.ts'
import { isWithin } from '../is-within.ts'
import type { Clock, Log, ReplayGuard } from '../ports.ts'
import { Outage } from '../refusal.ts'
import { describeDatabaseError } from './database-error.ts'
import type { Database } from './database.ts'
import { gather } from './gather.ts'
import { prepareOnce } from './prepare-once.ts'
import { mungeReplays } from './schema.ts'

/** How long a digest is kept after the credential's own end: clocks differ. */
const KEEP_LONGER_SECONDS = 60
const CLEANUP_INTERVAL_MILLISECONDS = 60_000
/** A portion never holds locks for long; all of them keep up with 5,000 credentials a second. */
const CLEANUP_ROWS_MAX = 5_000
const CLEANUP_PORTIONS_MAX = 60
/** Of Postgres's advisory locks: any number that nobody else uses. */
const CLEANUP_LOCK = '7239805113472095'
const CLAIMS_PER_INSERT_MAX = 128
/** What claims together costs least (measured), but not for longer than a Postgres nearby takes: one that is stuck holds up nobody. */
const CLAIM_PATIENCE_MILLISECONDS = 2
/** Who asked has little time left then for the insert itself. Told when a turn comes, and no insert is longer than its deadline. */
const CLAIM_WAIT_MILLISECONDS_MAX = 1_000
/** Leaves connections of the pool to look-ups. */
const INSERTS_MAX = 6
const DIGEST_HEX = /^[0-9a-f]{64}$/

/**
 * Functions are named with their schema here, and so is the operator that tells how long a claim is kept: `search_path` may be set for
 * a role or a database, and who can make one of the same name in a schema on it would otherwise have his called; an operator
 * even where `pg_catalog` comes first, if its types fit better.
 */
const NOW = sql`pg_catalog.now()`

/** When old rows were last removed. Plain data: on Workers it may outlive the request that owns the database. */
export interface CleanupSchedule {
  /** Unix milliseconds. */
  lastStartedAt: number
}

export interface PostgresReplayGuardOptions {
  readonly clock: Clock
  readonly log: Log
  /** Milliseconds, never set back or forward. Default: `clock`. */
  readonly uptime?: Clock
  /** Default: a new one, right where the guard lives as long as the process. */
  readonly schedule?: CleanupSchedule
  /** Whether claims that come together may share one statement: not on workerd. Default false. */
  readonly maySharePromises?: boolean
  /** Takes work that may end after the answer was sent: `waitUntil` on Workers. Default: just let it run. */
  readonly defer?: (work: Promise<void>) => void
}

/** One guard for all gates that share a database. */
export function createPostgresReplayGuard(db: Database, options: PostgresReplayGuardOptions): ReplayGuard {
  const { clock, log, defer, maySharePromises = false } = options
  const schedule = options.schedule ?? { lastStartedAt: Number.NEGATIVE_INFINITY }

  const startCleanup = (): void => {
    if (isWithin(schedule.lastStartedAt, CLEANUP_INTERVAL_MILLISECONDS, clock())) return
    schedule.lastStartedAt = clock()
    const work = removeOldRows(db).catch((error: unknown) => {
      log.write('warn', 'replay_cleanup_failed', { detail: describeDatabaseError(error) })
    })
    defer?.(work)
  }

  const watchClock = createClockAlarm({ clock, log })
  const insert = (claims: readonly Claim[]): Promise<readonly boolean[]> =>
    insertClaims(db, claims, { clock, watchClock })
  const insertOne = maySharePromises
    ? gather(insert, {
        itemsMax: CLAIMS_PER_INSERT_MAX,
        runsMax: INSERTS_MAX,
        patienceMilliseconds: CLAIM_PATIENCE_MILLISECONDS,
        waitMaxMilliseconds: CLAIM_WAIT_MILLISECONDS_MAX,
        clock: options.uptime ?? clock,
        buildLate: () => new Outage('replay_guard_unavailable', 'too many claims wait for Postgres'),
      })
    : async (claim: Claim) => (await insert([claim]))[0] === true

  return {
    async claim(credentialDigest, expiresAt) {
      requireDigest(credentialDigest)
      const isFirst = await insertOne({ credentialDigest, expiresAt })
      startCleanup()
      return isFirst
    },
  }
}

interface Claim {
  readonly credentialDigest: string
  readonly expiresAt: number
}

/**
 * Atomic by the primary key: of concurrent inserts of one digest, one returns a row. One digest twice in here: the first.
 * Sorted, so that two gates that insert the same digests never wait for each other in a circle (deadlock).
 */
async function insertClaims(
  db: Database,
  claims: readonly Claim[],
  { clock, watchClock }: { readonly clock: Clock; readonly watchClock: WatchClock },
): Promise<readonly boolean[]> {
  const digests = [...new Set(claims.map(({ credentialDigest }) => credentialDigest))].sort()
  const lives = new Map(claims.map(({ credentialDigest, expiresAt }) => [credentialDigest, expiresAt]))
  const rows = JSON.stringify(digests.map((digest) => ({ digest, expires_at: lives.get(digest) })))
  try {
    const askedAt = clock() / 1000
    const inserted = await db.query((drizzle) => findInsert(drizzle).execute({ rows }))
    const told = inserted[0]?.told
    if (told !== undefined) {
      watchClock('database', { askedAt, answeredAt: clock() / 1000, told, precisionSeconds: 0 })
    }
    const unclaimed = new Set(inserted.map(({ digest }) => digest))
    return claims.map(({ credentialDigest }) => unclaimed.delete(credentialDigest))
  } catch (error) {
    throw new Outage('replay_guard_unavailable', describeDatabaseError(error))
  }
}

/** `rows`: JSON text, `[{"digest": hex, "expires_at": Unix seconds}, …]`. */
const findInsert = prepareOnce((drizzle) =>
  drizzle
    .insert(mungeReplays)
    .select(
      sql`select pg_catalog.decode(claim.digest, 'hex'), greatest(pg_catalog.to_timestamp(claim.expires_at), ${NOW}) operator(pg_catalog.+) interval '${sql.raw(String(KEEP_LONGER_SECONDS))} seconds'
      from pg_catalog.json_to_recordset(${sql.placeholder('rows')}::pg_catalog.text::pg_catalog.json) as claim(digest pg_catalog.text, expires_at double precision)`,
    )
    .onConflictDoNothing()
    .returning({
      digest: sql<string>`pg_catalog.encode(${mungeReplays.credentialDigest}, 'hex')`,
      told: sql<number>`extract(epoch from pg_catalog.clock_timestamp())::double precision`,
    })
    .prepare('claim_munge_credentials'),
)

/** In portions, each a transaction of its own; where somebody else is at it, it is left to him. */
async function removeOldRows(db: Database): Promise<void> {
  const isNobodyElse = sql`(select pg_catalog.pg_try_advisory_xact_lock(${CLEANUP_LOCK}::bigint))`
  for (let portion = 0; portion < CLEANUP_PORTIONS_MAX; portion += 1) {
    const removed = await db.query((drizzle) => {
      // Without FOR UPDATE, which takes the right to change rows: no gateway has that.
      const old = drizzle
        .select({ credentialDigest: mungeReplays.credentialDigest })
        .from(mungeReplays)
        .where(lt(mungeReplays.keepUntil, NOW))
        .limit(CLEANUP_ROWS_MAX)
      // As an array, found first: as a join, statistics of before the rows were over make it compare each with each.
      const isOld = sql`${mungeReplays.credentialDigest} = any(array(${old}))`
      return drizzle
        .delete(mungeReplays)
        .where(and(isNobodyElse, isOld))
        .returning({ isRemoved: sql`true` })
    })
    if (removed.length < CLEANUP_ROWS_MAX) return
  }
}

export interface LocalReplayGuardOptions {
  /** Digests remembered at most. Default 500,000: some 7,500 credentials each second for their 65 s. */
  readonly entriesMax?: number
}

/** Digests are forgotten together with those claimed within so many seconds: one by one would cost each claim more. */
const GENERATION_SECONDS = 8

/** When credentials end, the first and the last of some; Unix seconds. */
interface Ends {
  first: number
  last: number
}

interface Generation {
  readonly ends: Ends
  readonly openedAt: number
  readonly digests: Set<string>
  /** Of all its digests the latest; Unix seconds. */
  keepUntil: number
}

/**
 * A guard within one process: a promise that this gate's verifier is the only one. A clock that is set back makes credentials
 * good again that were forgotten (replay): of what ends when those did, nobody can tell, and that is an outage.
 */
export function createLocalReplayGuard(clock: Clock, options: LocalReplayGuardOptions = {}): ReplayGuard {
  const entriesMax = options.entriesMax ?? 500_000
  let generations: readonly Generation[] = []
  const forgotten = buildNoEnds()

  const forget = (now: number): void => {
    const over = generations.filter(({ keepUntil }) => keepUntil < now)
    if (over.length === 0) return
    for (const { ends } of over) widen(forgotten, ends)
    generations = generations.filter(({ keepUntil }) => keepUntil >= now)
  }

  const findGeneration = (now: number): Generation => {
    const last = generations.at(-1)
    if (last !== undefined && Math.abs(now - last.openedAt) < GENERATION_SECONDS) return last
    const opened = { openedAt: now, digests: new Set<string>(), keepUntil: now, ends: buildNoEnds() }
    generations = [...generations, opened]
    return opened
  }

  return {
    claim(credentialDigest, expiresAt) {
      requireDigest(credentialDigest)
      if (generations.some(({ digests }) => digests.has(credentialDigest))) return Promise.resolve(false)
      const now = clock() / 1000
      forget(now)
      if (expiresAt >= forgotten.first && expiresAt <= forgotten.last) {
        return Promise.reject(
          new Outage(
            'replay_guard_unavailable',
            'the clock is back at a time whose credentials are forgotten',
          ),
        )
      }
      const generation = findGeneration(now)
      if (generations.reduce((count, { digests }) => count + digests.size, 0) >= entriesMax) {
        return Promise.reject(
          new Outage('replay_guard_unavailable', `${entriesMax} credentials are remembered`),
        )
      }
      generation.digests.add(credentialDigest)
      widen(generation.ends, { first: expiresAt, last: expiresAt })
      generation.keepUntil = Math.max(generation.keepUntil, Math.max(expiresAt, now) + KEEP_LONGER_SECONDS)
      return Promise.resolve(true)
    },
  }
}

function buildNoEnds(): Ends {
  return { first: Number.POSITIVE_INFINITY, last: Number.NEGATIVE_INFINITY }
}

function widen(ends: Ends, { first, last }: Readonly<Ends>): void {
  ends.first = Math.min(ends.first, first)
  ends.last = Math.max(ends.last, last)
}

/** @throws TypeError: a bug of the caller, not a refusal. */
function requireDigest(hex: string): void {
  if (!DIGEST_HEX.test(hex)) throw new TypeError('a credential digest is 64 lower-case hexadecimal digits')
}
