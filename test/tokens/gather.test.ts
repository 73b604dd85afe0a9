/** Calls that share a run, and what becomes of them where a run is slow, stuck or fails. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { gather } from '../../src/tokens/gather.ts'

const PATIENCE = 2
const WAIT_MAX = 1_000
const WAITING = {
  patienceMilliseconds: PATIENCE,
  waitMaxMilliseconds: WAIT_MAX,
  clock: () => Date.now(),
  buildLate: () => new Error('late'),
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

interface Run {
  readonly items: readonly string[]
  readonly end: () => void
  readonly fail: (cause: Error) => void
}

function setUp(limits: { itemsMax?: number; runsMax?: number } = {}) {
  const runs: Run[] = []
  const call = gather(
    (items: readonly string[]) =>
      new Promise<readonly string[]>((resolve, reject) => {
        const end = (): void => {
          resolve(items.map((item) => `${item}!`))
        }
        runs.push({ items, end, fail: reject })
      }),
    { itemsMax: 4, runsMax: 3, ...limits, ...WAITING },
  )
  return { call, runs, seen: () => runs.map(({ items }) => items.join('')) }
}

/** Whatever can go on by itself has gone on. */
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0)

test('a call starts at once where nothing is under way, and leaves no timer behind', async () => {
  const { call, runs, seen } = setUp()
  const answer = call('a')
  expect(seen()).toEqual(['a'])
  expect(vi.getTimerCount()).toBe(0)
  runs[0]?.end()
  expect(await answer).toBe('a!')
})

test('what comes during a run goes together when it ends, each with its own result', async () => {
  const { call, runs, seen } = setUp()
  const answers = ['a', 'b', 'c'].map((item) => call(item))
  await vi.advanceTimersByTimeAsync(PATIENCE - 1)
  expect(seen()).toEqual(['a'])
  runs[0]?.end()
  await settle()
  expect(seen()).toEqual(['a', 'bc'])
  expect(vi.getTimerCount()).toBe(0)
  runs[1]?.end()
  expect(await Promise.all(answers)).toEqual(['a!', 'b!', 'c!'])
})

test('a run that is stuck holds up the others for no longer than the patience', async () => {
  const { call, runs, seen } = setUp()
  void call('a')
  const answers = [call('b'), call('c')]
  await vi.advanceTimersByTimeAsync(PATIENCE)
  expect(seen()).toEqual(['a', 'bc'])
  runs[1]?.end()
  expect(await Promise.all(answers)).toEqual(['b!', 'c!'])
  void call('d')
  await vi.advanceTimersByTimeAsync(PATIENCE)
  expect(seen()).toEqual(['a', 'bc', 'd'])
})

test('no more run at once than may: the next starts when one ends', async () => {
  const { call, runs, seen } = setUp({ runsMax: 2 })
  for (const item of ['a', 'b', 'c', 'd']) {
    void call(item)
    await vi.advanceTimersByTimeAsync(PATIENCE)
  }
  await vi.advanceTimersByTimeAsync(100 * PATIENCE)
  expect(seen()).toEqual(['a', 'b'])
  expect(vi.getTimerCount()).toBe(0)
  runs[0]?.end()
  await settle()
  expect(seen()).toEqual(['a', 'b', 'cd'])
})

test('what is too much for one run goes in the next ones, in order', async () => {
  const { call, runs, seen } = setUp()
  const answers = 'a b c d e f g h'.split(' ').map((item) => call(item))
  runs[0]?.end()
  await settle()
  expect(seen()).toEqual(['a', 'bcde'])
  await vi.advanceTimersByTimeAsync(PATIENCE)
  expect(seen()).toEqual(['a', 'bcde', 'fgh'])
  for (const { end } of runs) end()
  expect((await Promise.all(answers)).join('')).toBe('a!b!c!d!e!f!g!h!')
})

test('what has waited too long when its turn comes is not run, and is told so', async () => {
  const { call, runs, seen } = setUp({ runsMax: 1 })
  void call('a')
  const late = call('b').catch((cause: unknown) => cause)
  await vi.advanceTimersByTimeAsync(WAIT_MAX)
  void call('c')
  runs[0]?.end()
  await settle()
  expect(await late).toEqual(new Error('late'))
  expect(seen()).toEqual(['a', 'c'])
})

test('a failure is that of each call in the run, and of no other', async () => {
  const { call, runs } = setUp()
  const first = call('a')
  const answers = [call('b'), call('c')].map((answer) => answer.catch((cause: unknown) => cause))
  runs[0]?.end()
  expect(await first).toBe('a!')
  await settle()
  const cause = new Error('down')
  runs[1]?.fail(cause)
  expect(await Promise.all(answers)).toEqual([cause, cause])
  const last = call('d')
  runs[2]?.end()
  expect(await last).toBe('d!')
})

test('a run with too few results fails those it forgot', async () => {
  const call = gather((items: readonly string[]) => Promise.resolve(items.slice(1)), {
    ...{ itemsMax: 4, runsMax: 1, ...WAITING },
  })
  await expect(call('a')).rejects.toThrow(TypeError)
})
