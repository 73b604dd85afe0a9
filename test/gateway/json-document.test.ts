/** facts/slurm.md 5: slurmrestd's reader is lenient, so what is judged is read strictly and written anew. */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { parseJson, serializeJson, type JsonValue } from '../../src/document/json-document.ts'
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
    ['a key of 256 bytes', JSON.stringify({ ['k'.repeat(256)]: 1 })],
    ['a key of 256 bytes in fewer characters', JSON.stringify({ ['\u00e9'.repeat(128)]: 1 })],
    ['a variable twice', '{"environment":{"A":1,"A":2}}'],
    ['a folded key beside an environment', '{"environment":{"A":1,"a":2},"ENVIRONMENT":{}}'],
    ['a folded key inside a variable', '{"environment":{"x":{"A":1,"a":2}}}'],
    ['a folded key in a list of environments', '{"environment":[{"A":1,"a":2}]}'],
    ['a lone surrogate', '["\\ud800"]'],
    ['half a pair behind the other', '["\\ude00\\ud83d"]'],
    ['a lone surrogate in a key', '{"\\udc00":1}'],
    ['an integer above 64 bits', '[18446744073709551616]'],
    ['an integer below 64 bits', '[-9223372036854775809]'],
    ['a long integer', `[${'9'.repeat(1e6)}]`],
    ['an infinite number', '[1e999]'],
    ['an infinite negative number', '[-1E+999]'],
    ['a fraction above 64 bits', '[100000000000000000000000.5]'],
    ['an exponent above 64 bits', '[9223372036854775808e0]'],
    ['a negative exponent above 64 bits', '[-1e19]'],
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
    ['numbers as they were written', '[1.0,1e5,1E+5,-0,0.10,1e-999,9e18,0.1000000000000000000000000000001]', '[1.0,1e5,1E+5,-0,0.10,1e-999,9e18,0.1000000000000000000000000000001]'],
    ['literals', '[true,false,null]', '[true,false,null]'],
    ['the order of keys', '{"b":1,"a":2,"10":3,"9":4}', '{"b":1,"a":2,"10":3,"9":4}'],
    ['hidden keys, in plain', '{"acc\\u006funt":"o\\u0077n"}', '{"account":"own"}'],
    ['the same key in different objects', '{"a":{"a":1},"b":{"a":1}}', '{"a":{"a":1},"b":{"a":1}}'],
    ['__proto__ as a key like any other', '{"__proto__":{"account":"oth"}}', '{"__proto__":{"account":"oth"}}'],
    ['a document that is one value', ' "x" ', '"x"'],
    ['escapes', '["\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"]', '["\\"\\\\/\\b\\f\\n\\r\\t\u00e9"]'],
    ['a surrogate pair', '["\\ud83d\\ude00"]', '["\u{1f600}"]'],
    ['variables that differ in case', '{"job":{"environment":{"http_proxy":1,"HTTP_PROXY":2}}}', '{"job":{"environment":{"http_proxy":1,"HTTP_PROXY":2}}}'],
    ['keys that only Unicode folds together', '{"k":1,"\u212a":2}', '{"k":1,"\u212a":2}'],
    ['a key of 255 bytes', JSON.stringify({ ['k'.repeat(255)]: 1 }), JSON.stringify({ ['k'.repeat(255)]: 1 })],
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
  for (const text of [
    '{"a":canary}',
    '{"canary":1,"canary":2}',
    '["canary\\u0000"]',
    'canary',
    '["canary\\ud800"]',
    `{"${'canary'.repeat(50)}":1}`,
    '["canary",1e999]',
  ]) {
    const parsed = parseJson(encode(text))
    expect(parsed.type === 'problem' && parsed.text).toMatch(/at character \d+$/)
    expect(JSON.stringify(parsed)).not.toContain('canary')
  }
})

/** Refused although JSON.parse takes it: keys that fold together or are too long, NUL, lone surrogates, huge numbers. */
function isRefusedOnPurpose(value: unknown): boolean {
  if (typeof value === 'string') return /[\0\p{Surrogate}]/u.test(value)
  if (typeof value === 'number') return Math.abs(value) >= 2 ** 63
  if (typeof value !== 'object' || value === null) return false
  const keys = Array.isArray(value) ? [] : Object.keys(value)
  if (new Set(keys.map((key) => key.toLowerCase())).size < keys.length) return true
  if (keys.some((key) => key.length > 60)) return true
  const members: unknown[] = Object.values(value)
  return [...keys, ...members].some(isRefusedOnPurpose)
}

/** Strings kept, commas between a value and a closing bracket dropped. */
const withoutTrailingCommas = (text: string) =>
  text.replace(/"(?:[^"\\]|\\.)*"|(?<=[\]}"\w]\s*),(?=\s*[\]}])/gs, (found) => (found === ',' ? '' : found))

/** Numbers by their text, in order. */
const numbersOf = (text: string) => text.replace(/"(?:[^"\\]|\\.)*"/gs, '""').match(/-?\d[\d.eE+-]*/g) ?? []

it('what is written means what was read (RFC 8259), for generated documents', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }), fc.nat(3), (value, indent) => {
      fc.pre(!isRefusedOnPurpose(value))
      const text = JSON.stringify(value, null, indent)
      expect(JSON.parse(rewrite(text) ?? 'not JSON')).toEqual(JSON.parse(text))
    }),
    { numRuns: 500 },
  )
})

/** Trees that are no problem, built by hand and not by the reader. */
const { tree } = fc.letrec<{ tree: JsonValue }>((tie) => {
  const key = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !isRefusedOnPurpose(text))
  const literal = fc.oneof(
    fc.constantFrom('null', 'true', 'false', '-0', '1.50', '1e5', '18446744073709551615', '-9223372036854775808'),
    fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n).map(String),
  )
  return {
    tree: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      literal.map((text): JsonValue => ({ type: 'literal', text })),
      key.map((value): JsonValue => ({ type: 'string', value })),
      fc.array(tie('tree'), { maxLength: 4 }).map((items): JsonValue => ({ type: 'array', items })),
      fc
        .uniqueArray(fc.tuple(key, tie('tree')), { maxLength: 4, selector: ([name]) => name.toLowerCase() })
        .map((members): JsonValue => ({ type: 'object', members: new Map(members) })),
    ),
  }
}) // prettier-ignore

it('what is written is read as the same tree, in the same order, for generated trees', () => {
  fc.assert(
    fc.property(tree, (value) => {
      const read = parseJson(encode(serializeJson(value)))
      expect(read).toEqual(value)
      expect(read.type === 'problem' ? '' : serializeJson(read)).toBe(serializeJson(value))
    }),
    { numRuns: 500 },
  )
})

/** What JSON.parse says of a text, trailing commas aside; undefined: it refuses. */
function parseByEngine(text: string): unknown {
  try {
    return JSON.parse(withoutTrailingCommas(text))
  } catch {
    return undefined
  }
}

/** Taken means: JSON.parse takes it too, and reads the same values from it and from what is written. */
function expectAgreement(text: string): void {
  const written = rewrite(text)
  if (written === null) return
  const expected = parseByEngine(text)
  expect(expected).not.toBeUndefined()
  expect(JSON.parse(written)).toEqual(expected)
  expect(numbersOf(written)).toEqual(numbersOf(text))
}

const PIECES = ['{', '}', '[', ']', ',', ':', '"', '"a"', '"b"', '1', '-', '0', '.', 'e', '+', 'true', 'null', ' ', '\n', '\\', '\\u', '\\ud800', '/', '//', '/*', '*/', "'", 'N', '\0', '\ufeff', '\u00a0'] // prettier-ignore

it('nothing is taken that JSON.parse refuses, save trailing commas, for texts made of pieces', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }), (pieces) => {
      expectAgreement(pieces.join(''))
    }),
    { numRuns: 10_000 },
  )
})

it('nor for documents with a piece put in, put in the place of others, or cut out', () => {
  const edit = fc.record({ at: fc.nat(), cut: fc.nat(3), piece: fc.constantFrom('', ...PIECES) })
  fc.assert(
    fc.property(tree, fc.array(edit, { minLength: 1, maxLength: 3 }), (value, edits) => {
      const characters = Array.from(serializeJson(value))
      for (const { at, cut, piece } of edits)
        characters.splice(at % (characters.length + 1), cut, ...Array.from(piece))
      expectAgreement(characters.join(''))
    }),
    { numRuns: 5_000 },
  )
})
