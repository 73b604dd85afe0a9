/**
 * Finds out a cache between the gate and its database. One that answers look-ups would let a revoked token live on: on
 * Workers, Hyperdrive's read cache keeps answers for a minute unless it is told not to.
 */

import { CachedAnswer } from './database-error.ts'

/** An answer with the time of the database that made it. */
export interface DatedAnswer {
  /** Unix seconds, with fractions. */
  readonly toldAt: number
}

/**
 * The time in every answer keeps caches out to begin with: Hyperdrive caches no statement with a function that Postgres
 * calls volatile or stable, and its documentation names NOW() (Hyperdrive, "Query caching"). clock_timestamp() is the
 * volatile one.
 */
export const DATABASE_TIME =
  'extract(epoch from greatest(pg_catalog.now(), pg_catalog.clock_timestamp()))::pg_catalog.float8'

/**
 * @param ask puts one question to the database: each time the same statement with the same parameters.
 * @returns the answer, which the database made after it was asked.
 * @throws CachedAnswer where it did not; what `ask` throws.
 */
export type WatchForCache = <T extends DatedAnswer>(ask: () => Promise<T>) => Promise<T>

/**
 * The first question is asked twice: word for word the same, so that a cache that keeps look-ups gives the same time
 * twice. Every later answer has to be of a later time than those that had come before it was asked for. Keeps plain data
 * only, so on Workers it may outlive the request.
 */
export function createCacheWatch(): WatchForCache {
  let latest: number | null = null
  return async function watchForCache(ask) {
    const floor = latest ?? (await ask()).toldAt
    const answer = await ask()
    if (answer.toldAt <= floor) {
      // To be proved anew: so a clock that was set back fails one look-up, and a cache fails all.
      latest = null
      throw new CachedAnswer()
    }
    latest = Math.max(latest ?? answer.toldAt, answer.toldAt)
    return answer
  }
}
