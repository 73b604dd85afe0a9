/** Bodies: which JSON is read, how much of it, and where none belongs. */

import { expect } from 'vitest'
import type { RawHeader } from '../../support/raw-http.ts'
import type { SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal } from '../expect-answer.ts'
import { SMALL, SUBMIT } from '../expect-submitted.ts'
import { postJson } from '../post-json.ts'

const MEBIBYTE = 1024 * 1024

const MALFORMED: readonly (readonly [name: string, body: string | Uint8Array])[] = [
  ['cut short', '{"job":{'],
  ['with text after its end', `${SMALL} x`],
  ['with a second document', `${SMALL}${SMALL}`],
  ['with a comment', '{"job":{/* x */"name":"n"}}'],
  ['with a line comment', '{"job":{"name":"n"} // x\n}'],
  ['with single quotes', "{'job':{}}"],
  ['with NaN', '{"job":{"nice":NaN}}'],
  ['with a bare key', '{job:{}}'],
  ['with a leading zero', '{"job":{"nice":01}}'],
  ['with a leading plus', '{"job":{"nice":+1}}'],
  ['with a raw line break in a string', '{"job":{"name":"a\nb"}}'],
  ['with an unknown escape', '{"job":{"name":"\\x41"}}'],
  ['with bytes that are not UTF-8', Buffer.from('{"job":{"name":"\xff"}}', 'latin1')],
  [
    'with an overlong UTF-8 slash',
    Buffer.from([...Buffer.from('{"job":{"name":"'), 0xc0, 0xaf, 0x22, 0x7d, 0x7d]),
  ],
  ['with two commas', '{"job":{"name":"n",,}}'],
  ['with a lone comma', '{"job":{,}}'],
  ['nested 10,000 deep', `{"job":${'['.repeat(10_000)}${']'.repeat(10_000)}}`],
  ['that only opens brackets', '['.repeat(200_000)],
]

const json: readonly ConformanceCase[] = [
  ...MALFORMED.map(([name, body]): ConformanceCase => ({
    name: `JSON by token ${name} is 400`,
    source: 'CONTRACT Bodies: read strictly',
    async run(bench) {
      const answer = await bench.sendAs('free', postJson(SUBMIT, body))
      expectRefusal(bench, answer, 'json_malformed', 'job_malformed')
      expect(answer.status).toBe(400)
    },
  })),
  {
    name: 'the trailing comma of the published submit example is taken, and slurmrestd gets clean JSON',
    source: 'slurm.md: the one leniency callers need is the trailing comma',
    async run(bench) {
      const body = '{"script":"#!/bin/sh","job":{"name":"n","environment":["A=1",],},}'
      const request = expectForwarded(bench, await bench.sendAs('confined', postJson(SUBMIT, body)))
      expect(JSON.parse(request.body.toString('utf8'))).toMatchObject({ job: { environment: ['A=1'] } })
    },
  },
  {
    name: "a MUNGE caller's bytes go upstream as they are: white space, trailing comma, big numbers",
    source: 'CONTRACT Bodies: the original bytes go upstream',
    async run(bench) {
      const body = ' {\n"script" : "#!/bin/sh",\t"job":{"nice":18446744073709551614 , },\r\n}\n'
      const request = expectForwarded(bench, await bench.sendAsMunge(postJson(SUBMIT, body)))
      expect(request.body.toString('utf8')).toBe(body)
    },
  },
]

const sizes: readonly ConformanceCase[] = [
  {
    name: 'a declared length over 8 MiB is 413 before the body is read',
    source: 'CONTRACT REQUEST_BODY_MAX_BYTES',
    async run(bench) {
      const headers: RawHeader[] = [
        ['Content-Type', 'application/json'],
        ['Content-Length', String(8 * MEBIBYTE + 1)],
      ]
      const request: SendOptions = { method: 'POST', target: SUBMIT, headers, framing: 'bare' }
      expectRefusal(bench, await bench.sendAs('free', request), 'body_too_large')
      expectRefusal(bench, await bench.sendAsMunge(request), 'body_too_large')
    },
  },
  {
    name: 'a chunked body is cut off at 8 MiB with 413',
    source: 'CONTRACT REQUEST_BODY_MAX_BYTES',
    async run(bench) {
      const body = `{"script":"${'x'.repeat(8 * MEBIBYTE)}"}`
      const request: SendOptions = { ...postJson(SUBMIT, body), framing: 'chunked', pieceBytes: 65_536 }
      expectRefusal(bench, await bench.sendAs('free', request), 'body_too_large')
    },
  },
  {
    name: 'REQUEST_BODY_MAX_BYTES is the last length that is taken',
    source: 'CONTRACT REQUEST_BODY_MAX_BYTES',
    run: (bench) =>
      bench.withSettings({ REQUEST_BODY_MAX_BYTES: '2048' }, async (limited) => {
        const build = (length: number): string => SMALL + ' '.repeat(length - SMALL.length)
        for (const framing of ['length', 'chunked'] as const) {
          expectForwarded(
            limited,
            await limited.sendAs('free', { ...postJson(SUBMIT, build(2048)), framing }),
          )
          limited.reset()
          const answer = await limited.sendAs('free', { ...postJson(SUBMIT, build(2049)), framing })
          expectRefusal(limited, answer, 'body_too_large')
        }
      }),
  },
]

const noBody: readonly ConformanceCase[] = [
  ...(['GET', 'DELETE'] as const).map((method): ConformanceCase => ({
    name: `a body on ${method} is 400, by length and chunked`,
    source: 'slurm.md: parameters travel in more than one place',
    async run(bench) {
      for (const framing of ['length', 'chunked'] as const) {
        const request: SendOptions = { ...postJson('/slurm/v0.0.42/job/101', '{}'), method, framing }
        expectRefusal(bench, await bench.sendAs('free', request), 'body_not_allowed')
        expectRefusal(bench, await bench.sendAsMunge(request), 'body_not_allowed')
      }
    },
  })),
  {
    name: 'a query on POST is 400 for tokens and for MUNGE callers',
    source: 'slurm.md: parameters travel in more than one place',
    async run(bench) {
      const request = postJson(`${SUBMIT}?account=proj_b`, SMALL)
      expectRefusal(bench, await bench.sendAs('free', request), 'query_on_post')
      expectRefusal(bench, await bench.sendAsMunge(request), 'query_on_post')
    },
  },
]

export const BODY_CASES: readonly ConformanceCase[] = [...json, ...sizes, ...noBody]
