/** Header fields are looked up as the Web's Headers would have them, from the fields as they were received. */

import { expect, test } from 'vitest'
import { createHeaderFields, trimSpace } from '../../src/header-fields.ts'
import type { RawHeaders } from '../../src/ports.ts'

const NAMES = ['accept', 'content-length', 'if-none-match', 'x-other']

test.each<[string, RawHeaders]>([
  ['none', []],
  ['one in any case', [['ACCEPT', 'application/json']]],
  ['an empty one', [['Accept', '']]],
  ['one that is repeated', [['Accept', 'a'], ['X-Other', 'b'], ['accept', 'c'], ['Accept', '']]],
  ['one with white space around', [['Content-Length', ' \t7\t ']]],
  ['a longer and a shorter name', [['Accept-Encoding', 'gzip'], ['Acc', 'x']]],
]) ('%s: the same as with Headers', (_, raw) => {
  const web = new Headers(raw.map(([name, value]): [string, string] => [name, value]))
  const fields = createHeaderFields(raw)
  for (const name of NAMES) {
    expect(fields.get(name)).toBe(web.get(name))
    expect(fields.has(name)).toBe(web.has(name))
  }
}) // prettier-ignore

test('a no-break space belongs to the value (RFC 9110 section 5.6.3)', () => {
  expect(trimSpace(' \u00a0x\u00a0 ')).toBe('\u00a0x\u00a0')
  expect(trimSpace(' \t ')).toBe('')
})
