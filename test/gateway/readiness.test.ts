/** CONTRACT `/readyz`: dependencies by name, cached one second; says nothing but "ok", "failed" or "off". */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { READINESS_TURN_MILLISECONDS } from '../../src/limits.ts'
import { createReadiness } from '../../src/readiness.ts'
import { createMemoryLog } from './in-memory-ports.ts'

function setUp(maySharePromises = true) {
  const world = { now: 10_000, asked: 0, isUp: true }
  const log = createMemoryLog()
  const database = (): Promise<void> => {
    world.asked += 1
    return world.isUp ? Promise.resolve() : Promise.reject(new Error('canary'))
  }
  const checks = { database, munge: null }
  return { world, log, find: createReadiness({ checks, maySharePromises, now: () => world.now, log }) }
}

describe('readiness', () => {
  it('names each dependency, and those that are off do not make the gate unready', async () => {
    expect(await setUp().find()).toEqual({ isReady: true, dependencies: { database: 'ok', munge: 'off' } })
  })

  it('says nothing of a failure but that it is one, and the operator is told', async () => {
    const { world, log, find } = setUp()
    world.isUp = false
    const readiness = await find()
    expect(readiness).toEqual({ isReady: false, dependencies: { database: 'failed', munge: 'off' } })
    expect(JSON.stringify(readiness)).not.toContain('canary')
    expect(log.lines.map(({ event, fields }) => [event, fields['dependency']])).toEqual([['dependency_failed', 'database']])
  }) // prettier-ignore

  it('is asked for once a second at most, and changes after it', async () => {
    const { world, find } = setUp()
    await find()
    world.isUp = false
    world.now += 999
    expect((await find()).isReady).toBe(true)
    expect(world.asked).toBe(1)
    world.now += 1
    expect((await find()).isReady).toBe(false)
    expect(world.asked).toBe(2)
  })

  it('is asked for again once the clock was set back', async () => {
    const { world, find } = setUp()
    await find()
    world.isUp = false
    world.now -= 1
    expect((await find()).isReady).toBe(false)
  })
})

describe('readiness asked for by many at once', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it.each([true, false])('asks the dependencies once (promises shared: %s)', async (mayShare) => {
    const { world, find } = setUp(mayShare)
    const all = Promise.all(Array.from({ length: 500 }, find))
    await vi.advanceTimersByTimeAsync(READINESS_TURN_MILLISECONDS)
    expect((await all).every(({ isReady }) => isReady)).toBe(true)
    expect(world.asked).toBe(1)
  })

  it('is not ready, without promises to share, where nobody gets an answer in time', async () => {
    const checks = { database: () => new Promise<void>(() => undefined), munge: null }
    const find = createReadiness({ checks, maySharePromises: false, now: () => 0, log: createMemoryLog() })
    void find()
    const second = find()
    await vi.advanceTimersByTimeAsync(READINESS_TURN_MILLISECONDS)
    expect(await second).toEqual({ isReady: false, dependencies: { database: 'failed', munge: 'off' } })
  })
})
