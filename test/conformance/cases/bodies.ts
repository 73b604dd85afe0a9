/** Bodies and queries: what is read, in which framing and encoding, and how much of it. */

import { expect } from 'vitest'
import { findHeader, type RawHeader } from '../../support/raw-http.ts'
import type { Bench, SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import {
  expectForwarded,
  expectNothingForwarded,
  expectRefusal,
  readPath,
  readSent,
} from '../expect-answer.ts'
import { postJson } from './accounts.ts'

const SOURCE = 'CONTRACT Bodies'
const SUBMIT = '/slurm/v0.0.42/job/submit'
const SMALL = '{"script":"#!/bin/sh\\ntrue","job":{"name":"n"}}'
const MEBIBYTE = 1024 * 1024

const typed = (type: string, body = SMALL): SendOptions => ({
  ...postJson(SUBMIT, body),
  headers: [['Content-Type', type]],
})

/** As a token and as a MUNGE caller, whose bytes go upstream as they are. */
async function expectSubmitted(bench: Bench, request: SendOptions, body = SMALL): Promise<void> {
  const byToken = expectForwarded(bench, await bench.sendAs('confined', request))
  expect(readSent(byToken, 'content-length')).toBe(String(byToken.body.length))
  expect(readSent(byToken, 'content-type')).toBe('application/json')
  bench.reset()
  const byMunge = expectForwarded(bench, await bench.sendAsMunge(request))
  expect(byMunge.body.equals(Buffer.from(body))).toBe(true)
  for (const sent of [byToken, byMunge]) {
    for (const name of ['transfer-encoding', 'expect', 'content-encoding'])
      expect(readSent(sent, name)).toBeNull()
  }
}

const BIG = JSON.stringify({
  script: `#!/bin/sh\n${'# a long script\n'.repeat(10_000)}`,
  job: {
    name: 'big',
    environment: Array.from({ length: 5_000 }, (_, at) => `VARIABLE_${String(at)}=value of it`),
  },
})

const framing: readonly ConformanceCase[] = [
  {
    name: 'a chunked body is taken and sent on whole with Content-Length',
    source: 'slurm.md HTTP towards slurmrestd',
    run: (bench) => expectSubmitted(bench, { ...postJson(SUBMIT, SMALL), framing: 'chunked', pieceBytes: 5 }),
  },
  {
    name: 'a body in many small TCP pieces is taken',
    source: SOURCE,
    run: (bench) => expectSubmitted(bench, { ...postJson(SUBMIT, SMALL), pieceBytes: 3 }),
  },
  {
    name: 'a request whose head arrives in small TCP pieces is taken, and slurmrestd gets its head at once',
    source: 'slurm.md: a request head split over several TCP reads fails',
    run: (bench) => expectSubmitted(bench, { ...postJson(SUBMIT, SMALL), splitHead: true, pieceBytes: 11 }),
  },
  {
    name: 'a submission of 300 KB is taken',
    source: 'clients.md Requests: submissions of 300 KB',
    run: (bench) => {
      expect(BIG.length).toBeGreaterThan(300_000)
      return expectSubmitted(bench, postJson(SUBMIT, BIG), BIG)
    },
  },
  {
    name: 'a chunked submission of 300 KB is taken',
    source: 'clients.md Requests: chunked POST bodies',
    run: (bench) =>
      expectSubmitted(bench, { ...postJson(SUBMIT, BIG), framing: 'chunked', pieceBytes: 8192 }, BIG),
  },
  {
    name: 'Expect: 100-continue is served',
    source: 'clients.md Requests: Expect: 100-continue',
    async run(bench) {
      const connection = await bench.openConnection()
      const headers: RawHeader[] = [
        bench.bearer('confined'),
        ['Content-Type', 'application/json'],
        ['Content-Length', String(SMALL.length)],
        ['Expect', '100-continue'],
      ]
      await connection.send({ method: 'POST', target: SUBMIT, headers, framing: 'bare' })
      // RFC 9110 section 10.1.1: a client does not wait for ever; curl sends after one second.
      await connection.waitForContinue(1000)
      await connection.write(SMALL)
      const request = expectForwarded(bench, await connection.readAnswer('POST'))
      connection.close()
      expect(readSent(request, 'expect')).toBeNull()
    },
  },
  {
    name: 'Expect: 100-continue without a credential is answered 401 at once',
    source: 'CONTRACT HTTP, Credentials: read before any body',
    async run(bench) {
      const headers: RawHeader[] = [
        ['Content-Type', 'application/json'],
        ['Content-Length', '1000000'],
        ['Expect', '100-continue'],
      ]
      const answer = await bench.send({ method: 'POST', target: SUBMIT, headers, framing: 'bare' })
      expectRefusal(bench, answer, 'credential_missing')
    },
  },
  {
    name: 'a body that ends before its Content-Length is not forwarded',
    source: SOURCE,
    async run(bench) {
      const connection = await bench.openConnection()
      const headers: RawHeader[] = [
        bench.bearer('confined'),
        ['Content-Type', 'application/json'],
        ['Content-Length', '500'],
      ]
      await connection.send({ method: 'POST', target: SUBMIT, headers, body: SMALL, framing: 'bare' })
      connection.close()
      await new Promise((resolve) => setTimeout(resolve, 300))
      expectNothingForwarded(bench)
    },
  },
  ...(
    [
      ['both lengths, Content-Length and chunked', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
      ['two different lengths', ['Content-Length: 5', 'Content-Length: 6']],
      ['a length that is not a number', ['Content-Length: +5']],
      ['an unknown transfer coding', ['Transfer-Encoding: xchunked']],
      ['a folded header line', ['X-Odd: a\r\n b', 'Content-Length: 2']],
    ] as const
  ).map(([name, lines]): ConformanceCase => ({
    name: `smuggling: ${name} never yields a second request`,
    source: 'RFC 9112 sections 5.2, 6.1 and 6.3',
    async run(bench) {
      const connection = await bench.openConnection()
      const smuggled = `0\r\n\r\nGET /slurm/v0.0.42/diag HTTP/1.1\r\nHost: x\r\n\r\n`
      const headers = [bench.bearer('free'), 'Content-Type: application/json', ...lines]
      await connection.send({ method: 'POST', target: SUBMIT, headers, body: smuggled, framing: 'bare' })
      const status = await connection.readAnswer('POST').then(
        (answer) => answer.status,
        () => 400,
      )
      connection.close()
      expect(status).toBeGreaterThanOrEqual(400)
      expectNothingForwarded(bench)
    },
  })),
]

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

const types: readonly ConformanceCase[] = [
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

const JOBS = '/slurm/v0.0.42/jobs'
const QUERIES_REFUSED = [
  '?bogus=1', '?update_time=1&bogus=1', '?account=proj_b', '?update_time=1&update_time=2', '?update_time=%zz',
  '?update_time=%ff', '?update_time=abc', '?update_time=-1', '?update_time=1%00', '?flags=DETAIL%26x%3D1',
  '?flags=%0d%0aX: 1', '?UPDATE_TIME=1', '?update_time', '?=1', '?update_time=99999999999999999999',
] // prettier-ignore

const queries: readonly ConformanceCase[] = [
  ...[
    '?update_time=1700000000',
    '?flags=DETAIL',
    '?update_time=1700000000&flags=DETAIL',
    '?flags=ALL&update_time=5',
  ].map((query): ConformanceCase => ({
    name: `the query ${query} reaches slurmrestd`,
    source: 'slurm-routes and the OpenAPI document',
    async run(bench) {
      const request = expectForwarded(bench, await bench.sendAs('free', { target: `${JOBS}${query}` }))
      const sent = new URL(request.target, 'http://upstream').searchParams
      expect([...sent].sort()).toEqual([...new URLSearchParams(query)].sort())
    },
  })),
  {
    name: 'a question mark without a query is no query',
    source: 'RFC 3986 section 3.4',
    async run(bench) {
      const request = expectForwarded(bench, await bench.sendAs('free', { target: `${JOBS}?` }))
      expect(request.target).not.toContain('?')
    },
  },
  ...QUERIES_REFUSED.map((query): ConformanceCase => ({
    name: `the query ${query} is refused for tokens and for MUNGE callers`,
    source: 'slurm.md: malformed ids and parameters crash real daemons',
    async run(bench) {
      for (const answer of [
        await bench.sendAs('free', { target: `${JOBS}${query}` }),
        await bench.sendAsMunge({ target: `${JOBS}${query}` }),
      ]) {
        // A raw space ends the target of a request line: the runtime's parser may say so itself.
        const isRuntime = query.includes(' ') && findHeader(answer, 'content-type') !== 'application/json'
        if (isRuntime) expect(answer.status).toBe(400)
        else expectRefusal(bench, answer, 'query_not_allowed', 'query_malformed')
      }
      expectNothingForwarded(bench)
    },
  })),
  {
    name: 'signal names of DELETE are checked and passed on',
    source: 'slurm.md: malformed ids and parameters crash real daemons',
    async run(bench) {
      const target = '/slurm/v0.0.42/job/101'
      const good = await bench.sendAs('free', { method: 'DELETE', target: `${target}?signal=KILL` })
      const request = expectForwarded(bench, good)
      expect([readPath(request), request.target.split('?')[1]]).toEqual([target, 'signal=KILL'])
      bench.reset()
      const bad = await bench.sendAs('free', { method: 'DELETE', target: `${target}?signal=%00KILL` })
      expectRefusal(bench, bad, 'query_malformed', 'query_not_allowed')
    },
  },
]

export const BODY_CASES: readonly ConformanceCase[] = [
  ...framing,
  ...types,
  ...json,
  ...sizes,
  ...noBody,
  ...queries,
]
