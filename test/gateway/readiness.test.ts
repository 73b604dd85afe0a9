/** CONTRACT `/readyz`: dependencies by name, cached one second; says nothing but "ok", "failed" or "off". */

import { describe, expect, it } from 'vitest'
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

  it.each([
    [true, 1],
    [false, 3],
  ])('of requests that come together is asked for together only where promises may be shared (%s: %i)', async (mayShare, asked) => {
    const { world, find } = setUp(mayShare)
    await Promise.all([find(), find(), find()])
    expect(world.asked).toBe(asked)
  }) // prettier-ignore
})
