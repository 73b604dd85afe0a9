/**
 * A bucket that fills at a steady rate: a mean per second, and room for a burst. Counts thousandths of a request, for whole
 * numbers do not drift. Says nothing about who is counted.
 */

import { RATE_BURST_SECONDS } from './limits.ts'

export interface RateBucket {
  /** Thousandths of a request until it is full. */
  missing: number
  /** When that was so. Unix milliseconds. */
  countedAt: number
}

const REQUEST = 1000

export function buildFullBucket(): RateBucket {
  return { missing: 0, countedAt: 0 }
}

/**
 * Takes one request out of the bucket.
 * @param requestsPerSecond whole, at least 1: then a second is always enough for the next one.
 * @returns whether there was one in it; if not, nothing is taken.
 */
export function takeRequest(bucket: RateBucket, requestsPerSecond: number, now: number): boolean {
  // A clock that was set back fills nothing, and shuts nobody out until it has caught up.
  const elapsedMilliseconds = Math.max(0, now - bucket.countedAt)
  const missing = Math.max(0, bucket.missing - elapsedMilliseconds * requestsPerSecond)
  const hasRoom = missing + REQUEST <= RATE_BURST_SECONDS * requestsPerSecond * REQUEST
  bucket.missing = hasRoom ? missing + REQUEST : missing
  bucket.countedAt = now
  return hasRoom
}
