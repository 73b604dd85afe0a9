/** facts/slurm.md 5: slurmrestd's reader is lenient, so what is judged is read strictly and written anew. */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { parseJson, serializeJson } from '../../src/document/json-document.ts'
import { encode } from './in-memory-ports.ts'

/** What slurmrestd would be sent; null: refused. */
function rewrite(source: string | Uint8Array): string | null {
  const parsed = parseJson(typeof source === 'string' ? encode(source) : source)
  return parsed.type === 'problem' ? null : serializeJson(parsed)
}

const nest = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

describe('refused: what daemons read in their own way', () => {
  it.each([
    ['nothing', ''],
    ['blanks', ' \n\t '],
    ['a line comment', '{"a":1}// x'],
    ['a block comment', '{/* x */"a":1}'],
    ['a hash comment', '# x\n{"a":1}'],
    ['single quotes', "{'a':1}"],
    ['single-quoted values', '{"a":\'b\'}'],
    ['bare keys', '{a:1}'],
    ['NaN', '{"a":NaN}'],
    ['Infinity', '[Infinity]'],
    ['-Infinity', '[-Infinity]'],
    ['undefined', '[undefined]'],
    ['True', '[True]'],
    ['NULL', '[NULL]'],
    ['text behind the document', '{"a":1} x'],
    ['a second document', '{"a":1}{"a":2}'],
    ['a bracket too many', '{"a":1}}'],
    ['a bracket too few', '{"a":[1}'],
    ['an unfinished document', '{"a":'],
    ['crossed brackets', '[{]}'],
    ['a lone comma', '[,]'],
    ['a lone comma in an object', '{,}'],
    ['two commas', '[1,,2]'],
    ['two trailing commas', '[1,,]'],
    ['a leading comma', '[,1]'],
    ['no comma', '[1 2]'],
    ['no comma in an object', '{"a":1 "b":2}'],
    ['no colon', '{"a" 1}'],
    ['a key without a value', '{"a"}'],
    ['a key that is a number', '{1:2}'],
    ['a leading zero', '[01]'],
    ['a plus sign', '[+1]'],
    ['a hexadecimal number', '[0x1]'],
    ['a bare fraction', '[.5]'],
    ['a bare point', '[1.]'],
    ['an empty exponent', '[1e]'],
    ['a lone minus', '[-]'],
    ['a number separator', '[1_000]'],
    ['a line end in a string', '["a\nb"]'],
    ['a tab in a string', '["a\tb"]'],
    ['a control character in a string', '["a\u0001"]'],
    ['an unknown escape', '["\\x41"]'],
    ['a short escape', '["\\u12"]'],
    ['an escaped line end', '["a\\\nb"]'],
    ['a BOM', '\ufeff{"a":1}'],
    ['a BOM behind', '{"a":1}\ufeff'],
    ['a no-break space', '{\u00a0"a":1}'],
    ['a form feed', '[1,\f2]'],
    ['a line separator', '[1,\u20282]'],
    ['NUL behind the document', '{"a":1}\u0000'],
    ['NUL in a string', '["own\\u0000x"]'],
    ['NUL in a key', '{"account\\u0000":1}'],
    ['a raw NUL', '["a\u0000"]'],
    ['a key twice', '{"a":1,"a":2}'],
    ['a key twice, escaped', '{"account":1,"acc\\u006funt":2}'],
    ['a key twice, in another case', '{"account":1,"ACCOUNT":2}'],
    ['a key twice, both hidden', '{"acc\\u004funt":1,"\\u0061ccount":2}'],
    ['a key twice, with equal values', '{"a":1,"a":1}'],
    ['a key twice, further in', '{"jobs":[{"b":{"a":1,"A":2}}]}'],
    ['the empty key twice', '{"":1,"":2}'],
    ['__proto__ twice', '{"__proto__":1,"__proto__":2}'],
    ['33 levels', nest(33)],
  ])('%s', (_, text) => {
    const parsed = parseJson(encode(text))
    expect(parsed.type).toBe('problem')
    expect(parsed).not.toHaveProperty('members')
  })

  it.each([
    ['a bad byte', [0x22, 0xff, 0x22]],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['a surrogate in UTF-8', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a cut character', [0x22, 0xc3, 0x22]],
    ['a BOM in bytes', [0xef, 0xbb, 0xbf, 0x7b, 0x7d]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
    ['UTF-16 without a BOM', [0x7b, 0x00, 0x7d, 0x00]],
  ])('%s', (_, bytes) => {
    expect(rewrite(Uint8Array.from(bytes))).toBeNull()
  })
})

describe('kept', () => {
  it.each([
    ['trailing commas, as the published example has them', '{"a":[1,2,],"b":{"c":1,},}', '{"a":[1,2],"b":{"c":1}}'],
    ['a trailing comma after white space', '[1 , \n ]', '[1]'],
    ['64-bit integers', '[18446744073709551615,-9223372036854775808]', '[18446744073709551615,-9223372036854775808]'],
    ['numbers as they were written', '[1.0,1e5,1E+5,-0,0.10,1e999,100000000000000000000000.5]', '[1.0,1e5,1E+5,-0,0.10,1e999,100000000000000000000000.5]'],
    ['literals', '[true,false,null]', '[true,false,null]'],
    ['the order of keys', '{"b":1,"a":2,"10":3,"9":4}', '{"b":1,"a":2,"10":3,"9":4}'],
    ['hidden keys, in plain', '{"acc\\u006funt":"o\\u0077n"}', '{"account":"own"}'],
    ['the same key in different objects', '{"a":{"a":1},"b":{"a":1}}', '{"a":{"a":1},"b":{"a":1}}'],
    ['__proto__ as a key like any other', '{"__proto__":{"account":"oth"}}', '{"__proto__":{"account":"oth"}}'],
    ['a document that is one value', ' "x" ', '"x"'],
    ['escapes', '["\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"]', '["\\"\\\\/\\b\\f\\n\\r\\t\u00e9"]'],
    ['a surrogate pair', '["\\ud83d\\ude00"]', '["\u{1f600}"]'],
    ['a lone surrogate, as the escape it was', '["\\ud800"]', '["\\ud800"]'],
    ['DEL and line separators', '["\u007f\u2028"]', '["\u007f\u2028"]'],
    ['32 levels', nest(32), nest(32)],
    ['the empty key', '{"":{}}', '{"":{}}'],
  ])('%s', (_, text, expected) => {
    expect(rewrite(text)).toBe(expected)
  }) // prettier-ignore
})

it.each([['[', ''], ['{"a":', ''], ['[{"a":', '1'], ['[', ']']])(
  'a million times %j%j is answered quickly and does not exhaust the stack', (open, close) => {
    const start = performance.now()
    expect(rewrite(open.repeat(1e6) + close.repeat(1e6))).toBeNull()
    expect(performance.now() - start).toBeLessThan(30_000)
  },
) // prettier-ignore

it('problems name a place and no value', () => {
  for (const text of ['{"a":canary}', '{"canary":1,"canary":2}', '["canary\\u0000"]', 'canary']) {
    const parsed = parseJson(encode(text))
    expect(parsed.type === 'problem' && parsed.text).toMatch(/at character \d+$/)
    expect(JSON.stringify(parsed)).not.toContain('canary')
  }
})

/** Keys that fold together, or NUL: refused although JSON.parse takes them. */
function isRefusedOnPurpose(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\u0000')
  if (typeof value !== 'object' || value === null) return false
  const keys = Array.isArray(value) ? [] : Object.keys(value)
  if (new Set(keys.map((key) => key.toLowerCase())).size < keys.length) return true
  const members: unknown[] = Object.values(value)
  return [...keys, ...members].some(isRefusedOnPurpose)
}

it('what is written means what was read (RFC 8259), for generated documents', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }), fc.nat(3), (value, indent) => {
      fc.pre(!isRefusedOnPurpose(value))
      const text = JSON.stringify(value, null, indent)
      expect(JSON.parse(rewrite(text) ?? 'not JSON')).toEqual(JSON.parse(text))
    }),
    { numRuns: 2000 },
  )
})

it('nothing is taken that JSON.parse refuses, save trailing commas, for mutilated documents', () => {
  const piece = fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '"a"', '"b"', '1', '-', '0', '.', 'e', '+', 'true', 'null', ' ', '\n', '\\', '\\u', '/', '*', "'", 'N') // prettier-ignore
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join('')
      const written = rewrite(text)
      if (written === null || /,\s*[\]}]/.test(text)) return
      expect(JSON.parse(written)).toEqual(JSON.parse(text))
    }),
    { numRuns: 20_000 },
  )
})
