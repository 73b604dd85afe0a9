/**
 * Bounds how many requests per second one caller makes through this process. Counts callers that were authenticated, and
 * nobody else: who has no credential cannot fill the table of those who have.
 */

import { RATE_BURST_SECONDS, RATED_CALLERS_MAX } from './limits.ts'
import type { Clock } from './ports.ts'
import { nameCaller, type Principal } from './principal.ts'
import { buildFullBucket, takeRequest, type RateBucket } from './rate-bucket.ts'
import { refuse, type Refusal } from './refusal.ts'

/** Counts one request. @returns null where the caller has room for it. */
export type LimitRate = (principal: Principal) => Refusal | null

export interface RateLimitOptions {
  /** `RATE_LIMIT_PER_SECOND`; 0: any number. */
  readonly requestsPerSecond: number
  readonly now: Clock
}

export function createRateLimit({ requestsPerSecond, now }: RateLimitOptions): LimitRate {
  const limitName = createNamedRateLimit({ requestsPerSecond, now })
  return requestsPerSecond === 0 ? () => null : (principal) => limitName(nameCaller(principal))
}

/** The same for whoever is counted by a name. */
export function createNamedRateLimit({
  requestsPerSecond,
  now,
}: RateLimitOptions): (name: string) => Refusal | null {
  if (requestsPerSecond === 0) return () => null
  const findBucket = createBuckets(RATED_CALLERS_MAX)
  return function limitRate(name) {
    const at = now()
    return takeRequest(findBucket(name, at), requestsPerSecond, at) ? null : refuse('rate_limited')
  }
}

/** In this time a bucket that nobody takes from is full. */
const FULL_AFTER_MILLISECONDS = 1000 * RATE_BURST_SECONDS

/**
 * Buckets by name. One that is not full is never forgotten, whatever others do: nobody gets a fresh one by pushing his own
 * out. Where there is no room, newcomers share one. In two generations, so that forgetting costs no request a search.
 */
export function createBuckets(maxBuckets: number): (name: string, now: number) => RateBucket {
  let young = new Map<string, RateBucket>()
  /** Not taken from since `young` began. */
  let old = new Map<string, RateBucket>()
  let youngSince = 0
  const shared = buildFullBucket()

  function age(now: number): void {
    const milliseconds = now - youngSince
    if (milliseconds >= 0 && milliseconds < FULL_AFTER_MILLISECONDS) return
    youngSince = now
    // A clock that was set back tells nothing.
    if (milliseconds < 0) return
    old = milliseconds < 2 * FULL_AFTER_MILLISECONDS ? young : new Map<string, RateBucket>()
    young = new Map()
  }

  return function findBucket(name, now) {
    age(now)
    const known = young.get(name)
    if (known !== undefined) return known
    const kept = old.get(name)
    if (kept === undefined && young.size + old.size >= maxBuckets) return shared
    const bucket = kept ?? buildFullBucket()
    old.delete(name)
    young.set(name, bucket)
    return bucket
  }
}
