/**
 * No answer goes to the wrong caller through the shared upstream pool: fifty identities whose answers name them ask slurmrestd
 * 26.05 at once, good and bad, through one gateway, on Node and on workerd, without a cache and with it. `npm run test:identities`
 * is the long run, of a hundred thousand requests through each gateway's pool.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startNodeTarget, startWorkerdTarget, type StartTarget } from '../support/gateway-target.ts'
import type { Environment } from '../support/surroundings.ts'
import { runMixed, type MixedFigures } from './shared-pool/mixed-run.ts'
import type { PoolFigures } from './shared-pool/pool-relay.ts'
import { startPoolStand, type PoolStand } from './shared-pool/pool-stand.ts'
import { listKinds } from './shared-pool/question.ts'
import { readNumber, report, requireNone, SEED } from './share.ts'
import { findSlurmObstacle } from '../support/slurm-obstacle.ts'

/** Through each pool: by default as many as take seconds. */
const REQUESTS = readNumber('IDENTITY_REQUESTS', 1_500)
/** `UPSTREAM_MAX_CONCURRENCY` by default. */
const SLOTS = 16

interface Runtime {
  readonly name: string
  readonly start: StartTarget
  /** More than there are slots, so that all of these are taken. */
  readonly clients: number
}

const RUNTIMES: readonly Runtime[] = [
  { name: 'Node', start: startNodeTarget, clients: 40 },
  // Nobody waits for a slot there: those without one ask again.
  { name: 'workerd', start: startWorkerdTarget, clients: 24 },
]

interface Cache {
  readonly name: string
  readonly environment: Environment
  /** Answers go at their client's pace, and a client that leaves cuts a long one off in the pool. */
  readonly isStreamed: boolean
}

const CACHES: readonly Cache[] = [
  {
    name: 'without a cache',
    environment: { CACHE_TTL_SECONDS: '0', CACHE_MAX_BYTES: '0' },
    isStreamed: true,
  },
  { name: 'with the cache as it is by default', environment: {}, isStreamed: false },
]

let stand: PoolStand | null = null
let missing: string | null = null

beforeAll(async () => {
  missing = await findSlurmObstacle('forky')
  if (missing === null) stand = await startPoolStand()
  else report(`Slurm 26.05, identities: NOT TRIED, its packages do not install today: ${missing}`)
})
afterAll(() => stand?.stop())

for (const { name: runtime, start, clients } of RUNTIMES) {
  describe(`on ${runtime} every answer through the pool goes to who asked for it`, () => {
    let [asked, mixUps] = [0, 0]
    afterAll(() => report(`26.05, ${runtime} in all: ${asked} requests, ${mixUps} mix-ups`))

    for (const [index, { name, environment, isStreamed }] of CACHES.entries()) {
      test(name, async (context) => {
        if (stand === null) {
          context.skip(missing ?? 'the cluster did not start')
          return
        }
        const { target, relay, stop } = await stand.startGateway(start, environment)
        const startedAt = Date.now()
        try {
          const { identities } = stand
          const figures = await runMixed({
            target,
            identities,
            clients,
            seed: SEED,
            from: index * REQUESTS,
            count: REQUESTS,
          })
          asked += figures.asked
          mixUps += figures.mixUps.length
          reportFigures(`${runtime}, ${name}`, figures, relay.figures, startedAt)
          requireNone(figures.mixUps)
          expect(relay.figures.onUnfitConnections).toBe(0)
          requireMeaning(figures, relay.figures)
          expect(figures.byCache.has('HIT')).toBe(!isStreamed)
          if (isStreamed) expect(relay.figures.left).toBeGreaterThan(0)
        } finally {
          await stop()
        }
      })
    }
  })
}

/** A run without mix-ups says something only where there could have been one. */
function requireMeaning(figures: MixedFigures, pool: PoolFigures): void {
  const asked = new Set([...figures.byKind.keys()].map((key) => key.split(':')[0]))
  expect([...asked].sort()).toEqual([...listKinds()].sort())
  expect(figures.swapped).toBeGreaterThan(0)
  expect(figures.swapsMissed).toBe(0)
  expect(figures.leftWithin).toBeGreaterThan(0)
  // How many are under way at once is the machine's to say; one at a time would prove nothing.
  expect(pool.peak).toBeGreaterThanOrEqual(SLOTS / 2)
  expect(pool.onUsedConnections).toBeGreaterThan(pool.connections)
  expect(pool.sentTwice).toBeGreaterThan(0)
}

function reportFigures(name: string, figures: MixedFigures, pool: PoolFigures, startedAt: number): void {
  const seconds = Math.round((Date.now() - startedAt) / 1000)
  const list = (counts: Iterable<readonly [string, number]>): string =>
    [...counts].map(([kind, number]) => `${kind} ${String(number)}`).join(', ')
  const { asked, mixUps, byKind, byCache, overloaded, leftWithin, swapped, swapsMissed } = figures
  const { requests, connections, onUsedConnections, onUnfitConnections, sentTwice, left, peak } = pool
  report(`26.05, ${name}: ${asked} requests, ${mixUps.length} mix-ups; ${seconds} s, seed ${SEED}`)
  report(`  answers: ${list([...byKind].sort())}`)
  report(
    `  X-Cache: ${list([...byCache].sort())}; ${overloaded} without a slot, asked again; ` +
      `${leftWithin} clients left with a part of their answer; ` +
      `${swapped} answers swapped on purpose, ${swapped - swapsMissed} found`,
  )
  report(
    `  pool: ${requests} requests on ${connections} connections, ${onUsedConnections} of them on used ones ` +
      `(${onUnfitConnections} after an error), ${peak} at once; ` +
      `${sentTwice} answers sent twice by slurmrestd, ${left} left by the gateway`,
  )
}
