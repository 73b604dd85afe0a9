/** Where requests share data but no promises (workerd), one of them asks at a time, whatever becomes of it. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { TURN_LOOK_MILLISECONDS } from '../../src/limits.ts'
import { createSingleFlight } from '../../src/single-flight.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const TURN = 2_000

function setUp(maySharePromises = false) {
  const asked: { answer: (value: number) => void; fail: (cause: Error) => void }[] = []
  const run = createSingleFlight(
    () => new Promise<number>((answer, fail) => void asked.push({ answer, fail })),
    { maySharePromises, turnMilliseconds: TURN, now: Date.now },
  )
  const runMany = (count: number) => Array.from({ length: count }, run)
  return { asked, run, runMany }
}

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds)

describe('callers that come together', () => {
  it.each([true, false])(
    'run the task once and all get its answer (promises shared: %s)',
    async (mayShare) => {
      const { asked, runMany } = setUp(mayShare)
      const all = Promise.all(runMany(500))
      await pass(TURN / 2)
      asked[0]?.answer(7)
      await pass(TURN_LOOK_MILLISECONDS)
      expect(new Set(await all)).toEqual(new Set([7]))
      expect(asked).toHaveLength(1)
      expect(vi.getTimerCount()).toBe(0)
    },
  )

  it('leave the next answer to a run of its own', async () => {
    const { asked, run } = setUp()
    const first = run()
    asked[0]?.answer(1)
    expect(await first).toBe(1)
    const second = run()
    asked[1]?.answer(2)
    expect(await second).toBe(2)
  })
})

describe('where whoever has the turn gives no answer', () => {
  it('the others wait for one turn, and of who came later one takes the next', async () => {
    const { asked, run, runMany } = setUp()
    void run()
    const early = Promise.all(runMany(500))
    await pass(TURN / 2)
    const late = Promise.all(runMany(500))
    await pass(TURN / 2)
    expect(new Set(await early)).toEqual(new Set([null]))
    await pass(TURN_LOOK_MILLISECONDS)
    expect(asked).toHaveLength(2)
    asked[1]?.answer(3)
    await pass(TURN_LOOK_MILLISECONDS)
    expect(new Set(await late)).toEqual(new Set([3]))
    expect(vi.getTimerCount()).toBe(0)
  })

  it('a failure is its own, and another takes the turn', async () => {
    const { asked, run } = setUp()
    const first = run().catch((cause: unknown) => cause)
    const second = run()
    asked[0]?.fail(new Error('gone'))
    expect(await first).toBeInstanceOf(Error)
    await pass(TURN_LOOK_MILLISECONDS)
    asked[1]?.answer(4)
    expect(await second).toBe(4)
  })

  it('a clock that is set back ends the turn', () => {
    const { asked, run } = setUp()
    void run()
    vi.setSystemTime(Date.now() - 3_600_000)
    void run()
    expect(asked).toHaveLength(2)
  })
})
