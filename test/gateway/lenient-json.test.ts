/**
 * What slurmrestd's own JSON reader takes, measured on Slurm 22.05.8, 24.11.5 and 26.05.5: each of these documents was
 * submitted as a job's comment and read back; the three gave the same answers.
 */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { parseLenientJson } from '../../src/document/lenient-json.ts'
import { parseJson, type JsonValue } from '../../src/document/json-document.ts'
import { encode } from './in-memory-ports.ts'

const read = (source: string | Uint8Array) =>
  parseLenientJson(typeof source === 'string' ? encode(source) : source)

/** Strings as they are, literals as `=text`; null: refused. */
function show(source: string | Uint8Array): unknown {
  const parsed = read(source)
  return parsed.type === 'problem' ? null : simplify(parsed)
}

function simplify(value: JsonValue): unknown {
  if (value.type === 'object') {
    return Object.fromEntries([...value.members].map(([key, member]) => [key, simplify(member)]))
  }
  if (value.type === 'array') return value.items.map(simplify)
  return value.type === 'string' ? value.value : `=${value.text}`
}

describe('values that slurmrestd takes', () => {
  it.each([
    ['"ok"', 'ok'],
    ["'ok'", 'ok'],
    [`'o"k'`, 'o"k'],
    ['True', '=true'],
    ['tRuE', '=true'],
    ['FALSE', '=false'],
    ['NULL', '=null'],
    ['nan', '=NaN'],
    ['NAN', '=NaN'],
    ['infinity', '=Infinity'],
    ['-INFINITY', '=-Infinity'],
    ['01', '=01'],
    ['-01', '=-01'],
    ['5.', '=5.'],
    ['-.5', '=-.5'],
    ['1e', '=1'],
    ['1e+', '=1'],
    ['1.-', '=1.'],
    ['1E+2', '=1E+2'],
    ['18446744073709551616', '=18446744073709551616'],
    ['"o\nk"', 'o\nk'],
    ['"o\u0001k"', 'o\u0001k'],
    [String.raw`"\ud83d\ude00"`, '😀'],
    [String.raw`"o\ud800k"`, 'o\ufffdk'],
    [String.raw`"\ud800\u0041"`, '\ufffdA'],
    [String.raw`"o\u0000k"`, 'o'],
    [String.raw`"\/"`, '/'],
    ['["a",]', ['a']],
    ['/* x */ "ok" // y\n', 'ok'],
    ['1/**/', '=1'],
  ])('%s', (value, seen) => {
    expect(show(`{"comment":${value}}`)).toEqual({ comment: seen })
  })

  it('takes bytes that are not UTF-8', () => {
    const [before, after] = [encode('{"a":"'), encode('"}')]
    expect(show(new Uint8Array([...before, 0xff, ...after]))).toEqual({ a: '\ufffd' })
  })
})

describe('values that slurmrestd refuses', () => {
  it.each([
    ...['ok', 'inf', '-NaN', '+Infinity', '- Infinity', 'nul', 'nulll', 'truefalse', '+1', '0x10', '.5'],
    ...['1e5.5', '1.2.3', '--1', '-', '1-2', '1f', '1_000', '1 2', '"\\U0041"', '"\\x41"', '"\\\'"', '"\\0"'],
    ...['"a\\\nb"', '"\\u00g0"', '"o\u0000k"', '[,"a"]', '["a",,"b"]', '["a"}', '# x\n1', '/*/1', '/***/1'],
    ...['\u00a01', '\f1', '\u20281', '', ','],
  ])('%j', (value) => {
    expect(show(`{"comment":${value}}`)).toBeNull()
  })
})

describe('documents', () => {
  it.each([
    ['a trailing comma, as in the published example', '{"a":1,}', { a: '=1' }],
    ['text behind it', '{"a":1} junk', { a: '=1' }],
    ['a second one', '{"a":1}{"a":2}', { a: '=1' }],
    ['NUL behind it', '{"a":1}\u0000', { a: '=1' }],
    ['the last of two keys', '{"a":1,"a":2}', { a: '=2' }],
    ['keys by what they mean', String.raw`{"a":1,"\u0061":2}`, { a: '=2' }],
    ['a key up to its NUL', String.raw`{"a":1,"a\u0000x":2}`, { a: '=2' }],
    ['keys in their case', '{"a":1,"A":2}', { a: '=1', A: '=2' }],
    ['single-quoted keys', `{'a':1}`, { a: '=1' }],
    ['an empty key', '{"":1}', { '': '=1' }],
    ['comments anywhere', '/*a*/{//b\n"a"/*c*/:/*d*/1/*e*/,/**/}', { a: '=1' }],
    ['a key called __proto__', '{"__proto__":1}', JSON.parse('{"__proto__":"=1"}')],
  ])('takes %s', (_what, source, seen) => {
    expect(show(source)).toEqual(seen)
  })

  it.each([
    ...['', ' \n', '/* x */', '}', '({})', '{a:1}', '{"a":1,,"b":2}', '{,}', '{"a":1 "b":2}', '{"a"=1}'],
    ...['{"a"}', '{"a":}', '{"a":1', '[1', '\ufeff{}', '\u000b{}', '\u0000{}'],
  ])('refuses %j', (source) => {
    expect(show(source)).toBeNull()
  })

  it('counts what stands before a NUL only: json-c takes an inner object there for the whole document', () => {
    expect(show('{"x":{"jobs":[]}/*\u0000*/}')).toBeNull()
  })

  it('does not take a comment for closed that json-c has open', () => {
    expect(show('{"a":1/***/,"b":2*/}')).toEqual({ a: '=1' })
  })
})

describe('bounds', () => {
  const nest = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

  it('takes the depth of json-c and no more', () => {
    expect(read(nest(32)).type).toBe('array')
    expect(read(nest(33))).toEqual({
      type: 'problem',
      text: expect.stringContaining('deeper than 32') as string,
    })
    expect(read('['.repeat(1_000_000)).type).toBe('problem')
    expect(read('{"a":'.repeat(1_000_000)).type).toBe('problem')
  })

  it('caps the number of values', () => {
    expect(read(`[${'1,'.repeat(99_999)}]`).type).toBe('array')
    expect(read(`[${'1,'.repeat(100_000)}]`).type).toBe('problem')
  })

  it.each([
    ['a long string', `"${'x'.repeat(8_000_000)}"`],
    ['many escapes', `"${'\\n'.repeat(2_000_000)}"`],
    ['a long comment', `/*${'* '.repeat(2_000_000)}*/1`],
    ['many comments', '/**/'.repeat(1_000_000)],
    ['many blanks', ' '.repeat(8_000_000)],
    ['a long number', `[${'1'.repeat(4_000_000)}]`],
    ['an open string', `["${"'".repeat(4_000_000)}`],
  ])('reads %s in a moment', (_what, source) => {
    const start = performance.now()
    read(source)
    expect(performance.now() - start).toBeLessThan(30_000)
  })
})

describe('against the strict reader', () => {
  it('sees the same in every document that both take', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        // At the top slurmrestd refuses numbers and words (measured).
        const source = `[${json}]`
        const strict = parseJson(encode(source))
        if (strict.type !== 'problem') expect(read(source)).toEqual(strict)
      }),
    )
  })

  it('never throws', () => {
    const piece = fc.constantFrom(
      ...['{', '}', '[', ']', ',', ':', '"', "'", '\\', '/', '*', ' ', '\n', '-', '1', 'e', '.', '\u0000'],
      ...['null', 'true', 'NaN', '"a":', '//', '/*', '*/'],
    )
    fc.assert(
      fc.property(
        fc.array(piece).map((pieces) => pieces.join('')),
        (source) => void read(source),
      ),
    )
  })
})
