/** Who has a pool: nothing is begun on one for a caller that was told already how it ended. */

import { expect, test } from 'vitest'
import { DatabaseDeadline } from '../../src/tokens/database-error.ts'
import { Use, type Pool } from '../../src/tokens/database-pool.ts'

function setUp() {
  const released: string[] = []
  const buildPool = (name: string): Pool & { readonly name: string } =>
    ({ name, uses: 0 }) as unknown as Pool & { readonly name: string }
  const use = new Use((pool) => {
    pool.uses -= 1
    released.push((pool as Pool & { readonly name: string }).name)
  })
  return { use, released, first: buildPool('first'), second: buildPool('second') }
}

test('a query has one pool at a time, and gives back each once', () => {
  const { use, released, first, second } = setUp()
  use.take(first)
  use.take(first)
  expect(first.uses).toBe(1)
  use.take(second)
  expect([first.uses, second.uses, released]).toEqual([0, 1, ['first']])
  use.end()
  use.end()
  expect([second.uses, released, use.pool]).toEqual([0, ['first', 'second'], null])
})

test('after its end it gets none, not even the one it had', () => {
  const { use, first } = setUp()
  use.take(first)
  use.end()
  expect(() => use.take(first)).toThrow(DatabaseDeadline)
  expect([first.uses, use.pool]).toEqual([0, null])
})
