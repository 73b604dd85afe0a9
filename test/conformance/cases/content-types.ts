/** What a body says that it is, and what slurmrestd is told. */

import { expect } from 'vitest'
import type { RawHeader } from '../../support/raw-http.ts'
import type { SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal, readSent } from '../expect-answer.ts'
import { expectSubmitted, SMALL, SUBMIT } from '../expect-submitted.ts'
import { postJson } from '../post-json.ts'

const SOURCE = 'CONTRACT Bodies'

const typed = (type: string, body = SMALL): SendOptions => ({
  ...postJson(SUBMIT, body),
  headers: [['Content-Type', type]],
})

const JSON_TYPES = [
  'application/json; charset=utf-8',
  'application/json;charset=UTF-8',
  'Application/JSON',
  'application/json ; charset="utf-8"',
]
const WRONG_TYPES = [
  'application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x', 'application/jsonp',
  'application/json, text/yaml', 'text/json', '*/*', 'application', '',
] // prettier-ignore
const YAML_TYPES = ['application/x-yaml', 'text/yaml', 'application/yaml']

export const CONTENT_TYPE_CASES: readonly ConformanceCase[] = [
  ...JSON_TYPES.map((type): ConformanceCase => ({
    name: `Content-Type: ${type} is taken, and slurmrestd is told application/json`,
    source: 'slurm.md What the gate has to be built on, 4',
    async run(bench) {
      await expectSubmitted(bench, typed(type))
      const [request] = bench.world.upstream.operations
      expect(request && readSent(request, 'content-type')).toBe('application/json')
    },
  })),
  ...WRONG_TYPES.map((type): ConformanceCase => ({
    name: `Content-Type: "${type}" is 415 for tokens and for MUNGE callers`,
    source: SOURCE,
    async run(bench) {
      expectRefusal(bench, await bench.sendAs('free', typed(type)), 'content_type_unsupported')
      expectRefusal(bench, await bench.sendAsMunge(typed(type)), 'content_type_unsupported')
    },
  })),
  {
    name: 'a missing Content-Type is 415 for tokens and for MUNGE callers: slurmrestd would read it as a form',
    source: SOURCE,
    async run(bench) {
      const request = { ...typed(''), headers: [] }
      expectRefusal(bench, await bench.sendAs('free', request), 'content_type_unsupported')
      expectRefusal(bench, await bench.sendAsMunge(request), 'content_type_unsupported')
    },
  },
  ...YAML_TYPES.map((type): ConformanceCase => ({
    name: `YAML as ${type} is 415 by token, and the same bytes upstream for MUNGE callers`,
    source: SOURCE,
    async run(bench) {
      const body = 'script: "#!/bin/sh"\njob:\n  name: yaml\n  account: proj_b\n'
      expectRefusal(bench, await bench.sendAs('free', typed(type, body)), 'content_type_unsupported')
      const request = expectForwarded(bench, await bench.sendAsMunge(typed(type, body)))
      expect(request.body.toString('utf8')).toBe(body)
      expect(YAML_TYPES).toContain(readSent(request, 'content-type'))
    },
  })),
  {
    name: 'a compressed body is refused',
    source: 'slurm.md: no compressed request bodies',
    async run(bench) {
      const headers: RawHeader[] = [
        ['Content-Type', 'application/json'],
        ['Content-Encoding', 'gzip'],
      ]
      const answer = await bench.sendAs('free', { ...typed(''), headers })
      expectRefusal(bench, answer, 'body_malformed', 'content_type_unsupported')
    },
  },
]
