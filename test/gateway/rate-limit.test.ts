/** CONTRACT "Configuration", RATE_LIMIT_PER_SECOND: the bucket, whom it belongs to, and what is never forgotten. */

import { describe, expect, it } from 'vitest'
import { RATED_CALLERS_MAX } from '../../src/limits.ts'
import type { Principal } from '../../src/principal.ts'
import { buildFullBucket, takeRequest } from '../../src/rate-bucket.ts'
import { createBuckets, createRateLimit } from '../../src/rate-limit.ts'
import { NOW } from './in-memory-gate.ts'
import { buildToken, MUNGE_ALICE } from './in-memory-ports.ts'

/** How many of `tries` requests at one moment are taken. */
function count(tries: number, take: () => boolean): number {
  return Array.from({ length: tries }, take).filter(Boolean).length
}

describe('a bucket', () => {
  it.each([1, 3, 7, 1000, 999_983])(
    'of %i a second takes two seconds’ worth at once, and no more',
    (rate) => {
      const bucket = buildFullBucket()
      expect(count(2 * rate + 10, () => takeRequest(bucket, rate, NOW))).toBe(2 * rate)
    },
  )

  it.each([1, 3, 7, 1000])('of %i a second takes exactly that many a second from then on', (rate) => {
    const bucket = buildFullBucket()
    let now = NOW
    const taken = () => count(2 * rate + 10, () => takeRequest(bucket, rate, now))
    taken()
    for (let second = 0; second < 5; second++) {
      now += 1000
      expect(taken()).toBe(rate)
    }
    now += 3_600_000
    expect(taken()).toBe(2 * rate)
  })

  it('does not drift: a third of a second at a time makes as many as a minute', () => {
    const bucket = buildFullBucket()
    let now = NOW
    let taken = count(20, () => takeRequest(bucket, 3, now))
    for (; now < NOW + 60_000; now += 1) if (takeRequest(bucket, 3, now)) taken += 1
    expect(taken).toBe(6 + 3 * 60 - 1)
  })

  it('has room for the next one within a second, whatever the rate: Retry-After is true', () => {
    for (const rate of [1, 2, 999]) {
      const bucket = buildFullBucket()
      count(2 * rate + 1, () => takeRequest(bucket, rate, NOW))
      expect(takeRequest(bucket, rate, NOW + 1000)).toBe(true)
    }
  })

  it('is not emptied by requests that are refused', () => {
    const bucket = buildFullBucket()
    count(2, () => takeRequest(bucket, 1, NOW))
    for (let millisecond = 1; millisecond < 1000; millisecond++)
      expect(takeRequest(bucket, 1, NOW + millisecond)).toBe(false)
    expect(takeRequest(bucket, 1, NOW + 1000)).toBe(true)
  })

  it('a clock that is set back fills nothing and shuts nobody out for longer than a second', () => {
    const bucket = buildFullBucket()
    count(2, () => takeRequest(bucket, 1, NOW))
    expect(takeRequest(bucket, 1, NOW - 3_600_000)).toBe(false)
    expect(takeRequest(bucket, 1, NOW - 3_600_000 + 1000)).toBe(true)
  })
})

describe('the buckets', () => {
  it('one that is not full is never forgotten, however many others come', () => {
    const findBucket = createBuckets(100)
    let now = NOW
    const attacker = findBucket('attacker', now)
    for (let step = 0; step < 50; step++) {
      count(2, () => takeRequest(findBucket('attacker', now), 1, now))
      for (let other = 0; other < 500; other++) findBucket(`other ${step} ${other}`, now)
      expect(findBucket('attacker', now)).toBe(attacker)
      expect(takeRequest(attacker, 1, now)).toBe(false)
      now += 970
    }
  })

  it('one that fills on its own is kept until it is full, and forgotten within four seconds', () => {
    for (const quiet of [1, 999, 1999]) {
      const findBucket = createBuckets(100)
      for (let offset = 0; offset < 2000; offset += 250) {
        const start = NOW + 10_000 * offset
        const bucket = findBucket('caller', start + offset)
        expect(findBucket('caller', start + offset + quiet)).toBe(bucket)
        for (let tick = 0; tick <= 4000; tick += 100) findBucket('somebody', start + offset + quiet + tick)
        expect(findBucket('caller', start + offset + quiet + 4000)).not.toBe(bucket)
      }
    }
  })

  it('their number is bounded: newcomers share one where there is no room, and have their own again later', () => {
    const findBucket = createBuckets(10)
    const own = Array.from({ length: 10 }, (_, index) => findBucket(`early ${index}`, NOW))
    expect(new Set(own).size).toBe(10)
    const shared = findBucket('late', NOW)
    expect(own).not.toContain(shared)
    for (let other = 0; other < 1000; other++) expect(findBucket(`late ${other}`, NOW)).toBe(shared)
    expect(findBucket('early 3', NOW)).toBe(own[3])
    expect(findBucket('late', NOW + 4000)).not.toBe(shared)
  })

  it('those that are not forgotten yet take room, each once', () => {
    const findBucket = createBuckets(10)
    const name = (count: number, prefix: string) =>
      Array.from({ length: count }, (_, index) => `${prefix} ${index}`)
    for (const early of name(10, 'early')) findBucket(early, NOW)
    const shared = findBucket('late', NOW + 2500)
    expect(findBucket('later', NOW + 2500)).toBe(shared)
    for (const early of name(6, 'early')) expect(findBucket(early, NOW + 2500)).not.toBe(shared)
    for (const early of name(6, 'early')) expect(findBucket(early, NOW + 4600)).not.toBe(shared)
    const newcomers = name(5, 'newcomer').map((newcomer) => findBucket(newcomer, NOW + 4600))
    expect(newcomers.map((bucket) => bucket === shared)).toEqual([false, false, false, false, true])
  })

  it('a clock that is set back or far ahead makes nobody a fresh one early', () => {
    const findBucket = createBuckets(10)
    const bucket = findBucket('caller', NOW)
    for (let step = 1; step < 5; step++) findBucket('somebody', NOW - step * 900_000)
    expect(findBucket('caller', NOW - 3_600_000)).toBe(bucket)
    expect(findBucket('caller', NOW - 3_600_000 + 1999)).toBe(bucket)
    expect(findBucket('caller', NOW + 3_600_000)).not.toBe(bucket)
  })

  it('hold more callers than send anything', () => {
    expect(RATED_CALLERS_MAX).toBeGreaterThanOrEqual(10_000)
  })
})

describe('the limit', () => {
  function setUp(requestsPerSecond: number) {
    const clock = { now: NOW, reads: 0 }
    const now = () => {
      clock.reads += 1
      return clock.now
    }
    const limitRate = createRateLimit({ requestsPerSecond, now })
    return { clock, take: (principal: Principal) => limitRate(principal) === null, limitRate }
  }
  const token = { ...buildToken(['slurm:read']), tokenId: 'tok_a' }
  const otherToken = { ...token, tokenId: 'tok_b' }

  it('is one per caller: a user by MUNGE, bound or not, each of its tokens, and nobody else’s', () => {
    const { take } = setUp(1)
    const callers: Principal[] = [MUNGE_ALICE, token, otherToken, { ...MUNGE_ALICE, slurmUser: 'bob' }]
    for (const caller of callers) expect(count(9, () => take(caller))).toBe(2)
    expect(take({ ...MUNGE_ALICE, boundDigest: 'ab'.repeat(32) })).toBe(false)
    expect(take({ ...token, tokenName: 'renamed', slurmUser: 'bob' })).toBe(false)
  })

  it('a user who is named like a token is another caller', () => {
    const { take } = setUp(1)
    count(9, () => take(token))
    for (const slurmUser of ['tok_a', 'token tok_a']) expect(take({ ...MUNGE_ALICE, slurmUser })).toBe(true)
  })

  it('is a refusal by its rule, and over after a second', () => {
    const { take, limitRate, clock } = setUp(1)
    count(2, () => take(token))
    expect(limitRate(token)).toEqual({ kind: 'refusal', rule: 'rate_limited' })
    clock.now += 1000
    expect(limitRate(token)).toBeNull()
    expect(limitRate(token)).not.toBeNull()
  })

  it('with 0 there is none, and not even the clock is read', () => {
    const { take, clock } = setUp(0)
    expect(count(10_000, () => take(token))).toBe(10_000)
    expect(clock.reads).toBe(0)
  })
})
