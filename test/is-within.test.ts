import { expect, it } from 'vitest'
import { isWithin } from '../src/is-within.ts'

it.each([
  [0, true],
  [999, true],
  [1_000, false],
  [-1, false],
  [-3_600_000, false],
])('what is %i ms old is within one second: %s', (age, expected) => {
  expect(isWithin(10_000, 1_000, 10_000 + age)).toBe(expected)
})

it('what never was is within no time', () => {
  expect(isWithin(Number.NEGATIVE_INFINITY, 1_000, 0)).toBe(false)
})
