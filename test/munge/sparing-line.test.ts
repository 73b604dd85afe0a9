/** Strangers cannot fill the log: a few lines a second, then one with the count of those left out. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SPARED_LINES_PER_SECOND } from '../../src/limits.ts'
import { createSparingLine } from '../../src/sparing-line.ts'
import { createMemoryLog } from '../gateway/in-memory-ports.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout'] }))
afterEach(() => void vi.useRealTimers())

function setUp() {
  const log = createMemoryLog()
  return { log, write: createSparingLine(log, 'warn', 'happened') }
}

test('the first lines of a second are written, the others counted, and the count is written without more to come', () => {
  const { log, write } = setUp()
  for (let number = 0; number < 1000; number++) write({ number })
  expect(log.lines.map(({ fields }) => fields)).toEqual(
    Array.from({ length: SPARED_LINES_PER_SECOND }, (_, number) => ({ number })),
  )
  log.lines.length = 0
  vi.advanceTimersByTime(1000)
  const leftOut = 1000 - SPARED_LINES_PER_SECOND
  expect(log.lines).toEqual([{ level: 'warn', event: 'happened', fields: { leftOut } }])
  vi.advanceTimersByTime(10_000)
  expect(log.lines).toHaveLength(1)
})

test('a flood of a minute is a few lines and a count a second, and loses no number', () => {
  const { log, write } = setUp()
  for (let tick = 0; tick < 6000; tick++) {
    for (let line = 0; line < 7; line++) write({})
    vi.advanceTimersByTime(10)
  }
  vi.advanceTimersByTime(1000)
  expect(log.lines.length).toBeLessThanOrEqual(61 * (SPARED_LINES_PER_SECOND + 1))
  const counts = log.lines.map(({ fields }) => Number(fields['leftOut'] ?? 1))
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(6000 * 7)
})

test('as many as are written at once anyway have no count beside them, and lines far apart are all written', () => {
  const { log, write } = setUp()
  for (let line = 0; line < SPARED_LINES_PER_SECOND; line++) write({ line })
  vi.advanceTimersByTime(5000)
  for (let line = 0; line < 20; line++) {
    write({ line })
    vi.advanceTimersByTime(1000)
  }
  expect(log.lines).toHaveLength(SPARED_LINES_PER_SECOND + 20)
  expect(log.lines.filter(({ fields }) => 'leftOut' in fields)).toEqual([])
})
