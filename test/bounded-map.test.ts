/** What is forgotten where there is no room: the oldest, one at a time. */

import { expect, test } from 'vitest'
import { createBoundedMap } from '../src/bounded-map.ts'

test('for one entry too many the one that was set longest ago goes, and no other', () => {
  const map = createBoundedMap<string, number>(3)
  for (const [index, key] of ['a', 'b', 'c', 'd'].entries()) map.set(key, index)
  expect(['a', 'b', 'c', 'd'].map((key) => map.get(key))).toEqual([undefined, 1, 2, 3])
})

test('what is set again is the newest, and takes no second place', () => {
  const map = createBoundedMap<string, number>(2)
  map.set('a', 1)
  map.set('b', 2)
  map.set('a', 3)
  map.set('c', 4)
  expect(['a', 'b', 'c'].map((key) => map.get(key))).toEqual([3, undefined, 4])
})

test('what was deleted leaves its place', () => {
  const map = createBoundedMap<string, number>(2)
  map.set('a', 1)
  map.set('b', 2)
  map.delete('a')
  map.set('c', 3)
  expect(['a', 'b', 'c'].map((key) => map.get(key))).toEqual([undefined, 2, 3])
})
