/** Bytes of the pool are handed out once, whatever lengths are asked for. */

import { expect, test } from 'vitest'
import { createRandomBytes } from '../../functions/node/random-bytes.ts'

test.each([1, 16, 33, 4096, 4097, 100_000])('%i bytes each time, and never the same', (length) => {
  const randomBytes = createRandomBytes()
  const seen = new Set<string>()
  const count = length === 1 ? 1 : 1_000
  for (let index = 0; index < count; index += 1) {
    const bytes = randomBytes(length)
    expect(bytes.length).toBe(length)
    seen.add(Buffer.from(bytes.subarray(0, 32)).toString('hex'))
  }
  expect(seen.size).toBe(count)
})

test('what was handed out does not change afterwards', () => {
  const randomBytes = createRandomBytes()
  const first = randomBytes(16)
  const copy = [...first]
  for (let index = 0; index < 1_000; index += 1) randomBytes(16)
  expect([...first]).toEqual(copy)
})
