/**
 * How YAML is read and written: each way that readers of YAML differ was measured on the serializers of Slurm 22.05.8,
 * 24.11.5 and 26.05.5. What is not plain goes upstream in our own writing, so what was judged is what is read.
 */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { JsonValue } from '../../src/document/json-document.ts'
import { parseLenientYaml } from '../../src/document/lenient-yaml.ts'
import { judgeMungeDocument } from '../../src/document/munge-document.ts'
import { isPlainYaml } from '../../src/document/plain-yaml.ts'
import { serializeYaml } from '../../src/document/serialize-yaml.ts'
import { JSON_VALUES_MAX, YAML_MARKS_MAX, YAML_MAX_BYTES } from '../../src/limits.ts'
import { ROUTES } from '../../src/policy/route-table.ts'
import { encode } from './in-memory-ports.ts'

const route = ROUTES.find(({ template }) => template === '/slurm/job/submit')
if (route === undefined) throw new Error('no route to submit')

/** What goes upstream, or why nothing does. */
function send(source: string | Uint8Array): string {
  const bytes = new Uint8Array(typeof source === 'string' ? encode(source) : source)
  if (route === undefined) throw new Error('no route')
  const judged = judgeMungeDocument({ bytes, contentType: 'application/x-yaml' }, { route, version: 42 })
  return 'kind' in judged
    ? `${judged.rule}: ${judged.description ?? ''}`
    : new TextDecoder().decode(judged.bytes)
}

const read = (source: string): JsonValue | null => {
  const parsed = parseLenientYaml(encode(source))
  return parsed.type === 'problem' ? null : parsed
}

describe('a plain document goes upstream as it came', () => {
  it.each([
    'a: b\n',
    '---\nscript: |\n  #!/bin/sh\n  echo "x: y" # z\n\n    deep\njob:\n  name: x\n  environment:\n    - PATH=/bin:/usr/bin\n    - A=b\n',
    'a: null\nb: 1\n',
    'job:\n  nice: 5\n  comment: "100 %: # {x}"\n  name: \'it "is"\'\n',
    'jobs:\n  - name: a b\n    tasks: 1\n  - name: c\n',
    'a:\n    - - b\n      - c\n    - - d\n',
    'a: |\n\n  x\n',
    'a: b\n\nc:    d\n',
    'a:\n  - |\n    x\n  - b\n',
  ])('%j', (source) => {
    expect(send(source)).toBe(source)
  })
})

describe('what readers may differ about is written anew, as it was judged', () => {
  it.each([
    ['flow style', '{job: {name: x, environment: ["A=b"]}}', '{"job": {"name": "x", "environment": ["A=b"]}}'],
    ['a comment', 'job: x # y\n', '{"job": "x"}'],
    ['U+2028 ends a comment for libyaml', 'a: x #c\u2028 b: abc\n', '{"a": "x"}'],
    ['so does U+0085', 'a: x #c\u0085 b: abc\n', '{"a": "x"}'],
    ['`?` is a mark of a key for libyaml', '{a: {b: x, ?c: d}}', '{"a": {"b": "x", "?c": "d"}}'],
    ['a byte order mark in the middle is skipped', '{a: x,\n\ufeffb: c}', String.raw`{"a": "x", "\ufeffb": "c"}`],
    ['22.05 takes the end of a list under its key for the end of the mapping',
      'job:\n  environment:\n  - A=b\nscript: x\n', '{"job": {"environment": ["A=b"]}, "script": "x"}'],
    ['22.05 takes the next key for a value that was left out', 'a:\nb: c\n', '{"a": "", "b": "c"}'],
    ['22.05 takes a pair in a list for the end of it', '{x: [a: b, c: d]}', '{"x": [{"a": "b"}, {"c": "d"}]}'],
    ['24.11 puts the second list of a key into the first', 'a:\n  - b\na:\n  - c\n', '{"a": ["c"]}'],
    ['a last line without its end', 'a: |\n  b', String.raw`{"a": "b\n"}`],
    ['a cut at NUL', 'a: b\n\0c: d\n', '{"a": "b"}'],
    ['carriage returns', 'a: b\r\nc: d\r\n', '{"a": "b", "c": "d"}'],
    ['tabs in a script', 'a: |\n  b\tc\n', String.raw`{"a": "b\tc\n"}`],
    ['characters beyond ASCII', 'a: é\u{1f600}\n', '{"a": "é\u{1f600}"}'],
    ['escapes', String.raw`a: "\x41\e\u2028\xa0\"\\\U0001f600"`, String.raw`{"a": "A\x1b\u2028\xa0\"\\` + '\u{1f600}"}'],
    ['an escaped line break', 'a: "x\\\n   y"\n', '{"a": "xy"}'],
    ['a list that ends at its key’s own column', 'job:\n  environment: [\n    "A=b"\n  ]\n', '{"job": {"environment": ["A=b"]}}'],
    ['a mapping that does', 'job: {\n  "a": "]", # }\n  b: [\n]\n}\nc: |\n }\n', String.raw`{"job": {"a": "]", "b": []}, "c": "}\n"}`],
    ['text over several lines', 'a: "b\nc"\nd: e\n', '{"a": "b c", "d": "e"}'],
    ['scalars that are no text elsewhere', '{a: null, b: true, c: 1, d: ~, e: 2020-01-01, f: .inf}',
      '{"a": "null", "b": "true", "c": "1", "d": "~", "e": "2020-01-01", "f": ".inf"}'],
    ['tags as slurmrestd writes them', '%YAML 1.1\n---\n!!map\n!!str "a": !!null null\n!!str b: !!seq [!!int -5, !!bool true, !!float 2, !!str 1]\n...\n',
      '{"a": !!null "null", "b": [!!int "-5", !!bool "true", !!float "2.0", "1"]}'],
    ['tags that say nothing to it', 'a: !int 5\nb: !x y\n', '{"a": "5", "b": "y"}'],
    ['a merge key is a plain one', '<<: {a: b}\n', '{"<<": {"a": "b"}}'],
  ])('%s', (_, source, written) => {
    expect(send(source)).toBe(`${written}\n`)
  }) // prettier-ignore
})

describe('refused', () => {
  it.each([
    ['NUL in a key, where C ends it', 'job:\n "group_id\\0x": abc\n', 'contains NUL'],
    ['NUL in a value', 'a: "\\u0000"\n', 'contains NUL'],
    ['half a surrogate pair', 'a: "\\ud800"\n', 'surrogate'],
    ['a mapping as a key', 'job:\n ? {group_id: abc}\n : b\n', 'a key that is empty or no text'],
    ['an empty key, which 22.05 drops', '{"": x}', 'a key that is empty or no text'],
    ['a tag that does not fit', 'a: !!int x\n', 'not YAML'],
    ['an alias', 'a: &x b\nc: *x\n', 'alias'],
    ['two documents', 'a: b\n---\nc: d\n', 'one YAML document'],
  ])('%s', (_, source, words) => {
    expect(send(source)).toMatch(/^json_malformed: /)
    expect(send(source)).toContain(words)
  })

  it('bytes that are not UTF-8', () => {
    expect(send(new Uint8Array([0x61, 0x3a, 0x20, 0xff]))).toBe('json_malformed: the body is not UTF-8')
  })

  it('what is harmful, behind any trick', () => {
    for (const source of ['{job: {"nice": !!str "%n"}}', 'job:\n  nice: [\nx%n]\n', 'job: !!map {? nice : "\\x25n"}\n']) {
      expect(send(source)).toMatch(/^document_harmful: .*percent sign/)
    }
  }) // prettier-ignore
})

describe('not plain', () => {
  it.each([
    ...['', 'a: b', '\n', '---\n', ' a: b\n', 'a:\n', 'a:\nb: c\n', 'a:\n- b\n', '-\n', '- \n', 'a: b\n c: d\n', 'a:\n  b: c\n d: e\n'],
    ...['a: b\na: c\n', 'a: b\n- c\n', '- a\nb: c\n', 'a: b: c\n', 'a: b:\n', 'a: b #c\n', 'a: b#c\n', 'a:b\n', 'a : b\n', '"a": b\n'],
    ...['a: [b]\n', 'a: {}\n', 'a: *b\n', 'a: &b c\n', 'a: !!str b\n', 'a: -b\n', 'a: ~\n', 'a: >\n  b\n', 'a: |-\n  b\n', 'a: | \n  b\n'],
    ...['a: |\nb: c\n', 'a: |\n    b\n  c\n', 'a: |\n   \n  b\n', 'a: |\n  b\n   \n', 'a: |\n', 'a:\n  b: |\n   c\n d\n'],
    ...['a: "b\\n"\n', 'a: "b\n  c"\n', "a: 'b''c'\n", 'a: b\n  c\n', 'a: b \n', 'a: b\t\n', 'a: b\r\n', 'a: é\n', '\ufeffa: b\n'],
    ...['a: b\n---\n', 'a: b\n...\n', '--- a\n', '%YAML 1.1\n---\na: b\n', '? a\n: b\n', 'a: ? b\n', '{a: b}\n', '- a\n - b\n', `${'- '.repeat(40)}a\n`],
  ])('%j', (source) => {
    expect(isPlainYaml(encode(source))).toBe(false)
  }) // prettier-ignore
})

const KEY = fc.stringMatching(/^[A-Za-z0-9_]{1,12}$/)
const TEXT = fc.oneof(
  fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')),
  fc.constantFrom('', 'null', '~', 'true', '1', '%s%n', '"', "'", '\\', 'a: b', '# c', '- d', '|', '---', '\ufeff', '\u2028', '\r\n', ' '),
) // prettier-ignore
const LITERAL = fc.constantFrom('null', 'true', 'false', '0', '-7', '1.5', '2e10')

function treeOf(
  key: fc.Arbitrary<string>,
  leaf: fc.Arbitrary<JsonValue>,
  least: number,
): fc.Arbitrary<JsonValue> {
  const toObject = (members: [string, JsonValue][]): JsonValue => ({
    type: 'object',
    members: new Map(members),
  })
  const { root } = fc.letrec<{ root: JsonValue; value: JsonValue }>((tie) => ({
    root: fc.array(fc.tuple(key, tie('value')), { minLength: 1, maxLength: 4 }).map(toObject),
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(fc.tuple(key, tie('value')), { minLength: least, maxLength: 4 }).map(toObject),
      fc.array(tie('value'), { minLength: least, maxLength: 4 }).map((items): JsonValue => ({ type: 'array', items })),
    ),
  })) // prettier-ignore
  return root
}

const text = (value: string): JsonValue => ({ type: 'string', value })
const ANY_TREE = treeOf(
  fc.oneof(
    KEY,
    TEXT.filter((key) => key !== ''),
  ),
  fc.oneof(
    TEXT.map(text),
    LITERAL.map((literal): JsonValue => ({ type: 'literal', text: literal })),
  ),
  0,
)
const PLAIN_TREE = treeOf(
  KEY,
  fc.oneof(
    fc.stringMatching(/^[A-Za-z0-9_./][A-Za-z0-9,[\]{}"'%&*!|>@=./-]{0,20}( [a-z?-]{1,5}){0,2}$/),
    fc.stringMatching(/^[ -[\]-~]{0,20}$/),
    fc.array(fc.stringMatching(/^[ -~]{0,10}[!-~]$|^$/), { minLength: 1, maxLength: 5 }).map((lines) => `x\n${lines.join('\n')}y\n`),
  ).map(text),
  1,
) // prettier-ignore

/** A tree in the plain style, as people and dumpers write it; `indent` is how much deeper a block stands. */
function writePlain(value: JsonValue, column: number, indent: number): string {
  const margin = ' '.repeat(column)
  if (value.type === 'object') {
    const members = [...value.members].map(([key, member]) => `${margin}${key}:${writeMember(member, column, indent)}`)
    return members.join('')
  }
  if (value.type === 'array') {
    return value.items.map((item) => `${margin}-${writeItem(item, column, indent)}`).join('')
  }
  throw new Error('no block')
} // prettier-ignore

function writeMember(value: JsonValue, column: number, indent: number): string {
  if (value.type === 'string') return writeText(value.value, column, indent)
  return `\n${writePlain(value, column + indent, indent)}`
}

function writeItem(value: JsonValue, column: number, indent: number): string {
  if (value.type === 'string') return writeText(value.value, column, indent)
  return ` ${writePlain(value, column + 2, indent).trimStart()}`
}

function writeText(value: string, column: number, indent: number): string {
  if (value.includes('\n')) {
    const lines = value.slice(0, -1).split('\n')
    return ` |\n${lines.map((line) => (line === '' ? '\n' : `${' '.repeat(column + indent)}${line}\n`)).join('')}`
  }
  if (/^[A-Za-z0-9_./]/.test(value) && !/#|: |:$| $/.test(value)) return ` ${value}\n`
  return value.includes('"') ? ` '${value.replaceAll("'", '')}'\n` : ` "${value}"\n`
}

/** What cannot be written in one pair of quotes loses one kind of them. */
function withoutBothQuotes(value: JsonValue): JsonValue {
  if (value.type === 'array') return { type: 'array', items: value.items.map(withoutBothQuotes) }
  if (value.type === 'object') {
    return { type: 'object', members: new Map([...value.members].map(([key, member]) => [key, withoutBothQuotes(member)])) }
  }
  return value.type === 'string' ? text(value.value.includes('\n') ? value.value : value.value.replaceAll("'", '')) : value
} // prettier-ignore

describe('for every document', () => {
  it('plain text is recognised, and read as the tree it was written from', () => {
    fc.assert(
      fc.property(PLAIN_TREE, fc.integer({ min: 1, max: 8 }), fc.boolean(), (given, indent, isMarked) => {
        const tree = withoutBothQuotes(given)
        const source = `${isMarked ? '---\n' : ''}${writePlain(tree, 0, indent)}`
        expect([source, isPlainYaml(encode(source))]).toEqual([source, true])
        expect(read(source)).toEqual(tree)
      }),
    )
  })

  it('our own writing is read as the tree it was written from, in characters that every reader takes', () => {
    fc.assert(
      fc.property(ANY_TREE, (tree) => {
        const written = serializeYaml(tree)
        expect(read(written)).toEqual(tree)
        expect(written).not.toMatch(/[\0-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]/)
      }),
    )
  })

  it('what goes upstream is the caller’s own plain text, or is read again as what was judged', () => {
    const marks = ['a', 'b: ', ': ', '- ', '? ', '[', ']', '{', '}', ', ', '"', "'", '#', ' ', '\n', '\n  ', '|\n', '>-\n', '&x ', '!t ', '!!str ', '\\', '\\n', '\ufeff', '\u0085', '\r', '\t', '---\n', '...\n', '~'] // prettier-ignore
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...marks), { maxLength: 14 }), (parts) => {
        const source = `a: ${parts.join('')}`
        const sent = send(source)
        if (/^(json_malformed|document_harmful)/.test(sent)) return
        if (sent === source) expect(isPlainYaml(encode(source))).toBe(true)
        else expect(read(sent)).toEqual(read(source))
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('size', () => {
  it('is bounded before js-yaml collects what it reads: 8 MB of these took 1.9 GB and 3.4 s', () => {
    expect(send(`{a: [${':,'.repeat(YAML_MARKS_MAX)}x]}`)).toMatch(
      /lines, commas and brackets; send it as JSON$/,
    )
    expect(send(`a: [${':,'.repeat(YAML_MARKS_MAX - 10)}x]`)).toMatch(/more than \d+ values/)
  })

  it('of a long script is no matter in a plain document, whatever stands in it', () => {
    const source = `job:\n  script: |\n${'    a, [b]: {c}\n'.repeat(60_000)}`
    expect(source.length).toBeLessThan(YAML_MAX_BYTES)
    expect(send(source)).toBe(source)
    expect(send(`${source}# \n`)).toMatch(/send it as JSON$/)
  })

  it('of a plain document is counted by its values', () => {
    expect(isPlainYaml(encode(`a:\n${'  - b\n'.repeat(JSON_VALUES_MAX)}`))).toBe(false)
  })
})
