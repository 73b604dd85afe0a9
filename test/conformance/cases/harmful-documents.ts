/** What is known to end or to stall a daemon never gets there, whoever sends it. */

import { expect } from 'vitest'
import type { SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal } from '../expect-answer.ts'

const SUBMIT = '/slurm/v0.0.42/job/submit'
const UPDATE = '/slurm/v0.0.42/job/101'

function post(target: string, body: string, type = 'application/json'): SendOptions {
  return { method: 'POST', target, headers: [['Content-Type', type]], body }
}

/** Each ended a daemon when it was sent to one (24.11.5, 26.05.5). */
const DEADLY: readonly (readonly [name: string, request: SendOptions])[] = [
  ['a printf format in place of a number', post(SUBMIT, '{"script":"x","job":{"nice":"%s%n"}}')],
  ['a printf format in an update', post(UPDATE, '{"priority":"%n"}')],
  ['an empty output path', post(SUBMIT, '{"script":"x","job":{"standard_output":""}}')],
  [
    'the last task of an array',
    {
      method: 'DELETE',
      target: '/slurm/v0.0.42/jobs/',
      headers: [['Content-Type', 'application/json']],
      body: '{"jobs":["101_4294967295"]}',
    },
  ],
]

/** Fields or forms that only callers on the cluster may use. */
const DEADLY_BY_MUNGE: readonly (readonly [name: string, request: SendOptions])[] = [
  ['a group by name', post(UPDATE, '{"group_id":"alice"}')],
  ['a comment before it', post(UPDATE, '{/* */"nice":"%n"}')],
  ['its second reading', post(UPDATE, '{"nice":1,"nice":"%n"}')],
  ['YAML', post(UPDATE, 'nice: "%n"\n', 'application/yaml')],
  ['YAML without quotes', post(UPDATE, 'group_id: alice\n', 'application/x-yaml')],
]

/**
 * Some slurmrestd reads another document in the first text: 24.11 and 26.05 a group by name, which ends 24.11; in the
 * last, 22.05 does. What nobody can misread is sent instead.
 */
const MISREAD_BY_OTHERS: readonly (readonly [name: string, text: string, written: string])[] = [
  ['U+2028 ends its comment', 'name: x #c\u2028group_id: alice\n', '{"name": "x"}\n'],
  ['U+0085 ends its comment', 'name: x #c\u0085group_id: alice\n', '{"name": "x"}\n'],
  [
    'a question mark is a mark of a key',
    '{name: x, ?group_id: alice}',
    '{"name": "x", "?group_id": "alice"}\n',
  ],
  [
    'a byte order mark is nothing',
    '{name: x,\n\ufeffgroup_id: alice}',
    '{"name": "x", "\\ufeffgroup_id": "alice"}\n',
  ],
  [
    'a value left out is the next key',
    'name:\ncomment: group_id\nx: alice\n',
    '{"name": "", "comment": "group_id", "x": "alice"}\n',
  ],
]

/** Neither is anything that can be written for sure. */
const UNWRITABLE: readonly (readonly [name: string, text: string])[] = [
  ['NUL in a key', '"group_id\\0x": alice\n'],
  ['a mapping as a key', '? {group_id: alice}\n: b\n'],
]

export const HARMFUL_DOCUMENT_CASES: readonly ConformanceCase[] = [
  ...DEADLY.map(([name, request]): ConformanceCase => ({
    name: `a document that ends a daemon by ${name} is refused to everybody`,
    source: 'slurm.md 13: malformed parameters crash real daemons',
    async run(bench) {
      expectRefusal(bench, await bench.sendAs('confined', request), 'document_harmful')
      expectRefusal(bench, await bench.sendAs('free', request), 'document_harmful')
      expectRefusal(bench, await bench.sendAsMunge(request), 'document_harmful')
    },
  })),
  ...DEADLY_BY_MUNGE.map(([name, request]): ConformanceCase => ({
    name: `a document of a MUNGE caller that ends a daemon by ${name} is refused`,
    source: 'slurm.md 13: malformed parameters crash real daemons',
    async run(bench) {
      expectRefusal(bench, await bench.sendAsMunge(request), 'document_harmful')
    },
  })),
  {
    name: 'a document of a MUNGE caller that nobody can read is malformed, not harmful',
    source: 'CONTRACT HTTP: 400 JSON',
    async run(bench) {
      expectRefusal(bench, await bench.sendAsMunge(post(UPDATE, '{"comment":')), 'json_malformed')
    },
  },
  ...MISREAD_BY_OTHERS.map(([name, text, written]): ConformanceCase => ({
    name: `YAML of a MUNGE caller is written anew where readers differ: ${name}`,
    source: 'measured: what Slurm 22.05, 24.11 and 26.05 read in these',
    async run(bench) {
      const request = expectForwarded(bench, await bench.sendAsMunge(post(UPDATE, text, 'text/yaml')))
      expect(request.body.toString('utf8')).toBe(written)
    },
  })),
  ...UNWRITABLE.map(([name, text]): ConformanceCase => ({
    name: `YAML of a MUNGE caller with ${name} is refused`,
    source: 'measured: a group by name in these ended slurmrestd 24.11',
    async run(bench) {
      expectRefusal(bench, await bench.sendAsMunge(post(UPDATE, text, 'text/yaml')), 'json_malformed')
    },
  })),
  {
    name: 'YAML that every reader reads alike goes upstream as it came',
    source: 'CONTRACT Bodies',
    async run(bench) {
      const text =
        '---\nscript: |\n  #!/bin/sh\n  echo "a: b" # c\njob:\n  name: x\n  environment:\n    - A=b\n'
      const request = expectForwarded(bench, await bench.sendAsMunge(post(SUBMIT, text, 'text/yaml')))
      expect(request.body.toString('utf8')).toBe(text)
    },
  },
  {
    name: 'percent signs in text are honest',
    source: 'slurm.md 5: the documents that clients send',
    async run(bench) {
      const text = '{"comment":"100 %","standard_output":"/tmp/slurm-%j.out",}'
      expectForwarded(bench, await bench.sendAsMunge(post(UPDATE, text)))
    },
  },
]
