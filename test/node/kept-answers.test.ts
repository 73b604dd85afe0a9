/** SECURITY.md "Names": a name is believed for 60 s, an absence for 5 s, also when the clock is set back. */

import { expect, it } from 'vitest'
import { keepAnswers } from '../../functions/node/kept-answers.ts'

function setUp(name: string | null) {
  const world = { now: 36_000_000, name }
  const find = keepAnswers<number, string>({
    clock: () => world.now,
    maxEntries: 10,
    lookUp: () => Promise.resolve(world.name),
  })
  return { world, find }
}

it.each([
  ['alice', 60_000],
  [null, 5_000],
])('%s is believed for %i ms, and not at all once the clock was set back', async (name, milliseconds) => {
  for (const step of [milliseconds, -1, -3_600_000]) {
    const { world, find } = setUp(name)
    expect(await find(1001)).toBe(name)
    world.name = 'bob'
    world.now += step
    expect(await find(1001)).toBe('bob')
  }
  const { world, find } = setUp(name)
  await find(1001)
  world.name = 'bob'
  world.now += milliseconds - 1
  expect(await find(1001)).toBe(name)
})
