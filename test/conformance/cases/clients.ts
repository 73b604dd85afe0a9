/** Every line of what was observed of off-the-shelf clients (clients.md), as they send it. */

import { expect } from 'vitest'
import { findHeader, type RawHeader } from '../../support/raw-http.ts'
import type { SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal, readJson, readPath, readSent } from '../expect-answer.ts'
import { postJson } from '../post-json.ts'

const credentials: readonly ConformanceCase[] = [
  ...(
    [
      [
        'both X-SLURM-USER-* headers',
        (token, user) => [
          ['X-SLURM-USER-NAME', user],
          ['X-SLURM-USER-TOKEN', token],
        ],
      ],
      ['the token header alone (no name)', (token) => [['X-SLURM-USER-TOKEN', token]]],
      ['Authorization: Bearer alone', (token) => [['Authorization', `Bearer ${token}`]]],
      ['x-slurm-user-token without a space after the colon', (token) => [`x-slurm-user-token:${token}`]],
      [
        'X-SLURM-USER-NAME without a space after the colon',
        (token, user) => [`X-SLURM-USER-NAME:${user}`, `X-SLURM-USER-TOKEN:${token}`],
      ],
      ['authorization without a space after the colon', (token) => [`authorization:Bearer ${token}`]],
      ['AUTHORIZATION in upper case', (token) => [`AUTHORIZATION: Bearer ${token}`]],
    ] as readonly (readonly [string, (token: string, user: string) => RawHeader[]])[]
  ).map(([habit, build]): ConformanceCase => ({
    name: `the habit: ${habit}`,
    source:
      'clients.md Credentials: three habits; header names in any case, also without a space after the colon',
    async run(bench) {
      expectForwarded(bench, await bench.send({ headers: build(bench.tokens.confined.text, bench.userName) }))
    },
  })),
  {
    name: 'one form on submit and another when polling',
    source: 'clients.md Credentials: some send one form on submit and another when polling',
    async run(bench) {
      const { text } = bench.tokens.confined
      const submit = postJson('/slurm/v0.0.42/job/submit', '{"job":{"script":"#!/bin/sh"}}')
      expect((await bench.sendAs('confined', submit)).status).toBe(200)
      bench.reset()
      const headers = [['X-SLURM-USER-TOKEN', text] as const]
      expectForwarded(bench, await bench.send({ target: '/slurm/v0.0.42/job/101', headers }))
    },
  },
  {
    name: 'a token in jwt format decodes locally to sun and exp, and its last part holds 256 bits',
    source: 'clients.md Credentials: some decode the token locally and want a JWT with sun and exp',
    run(bench) {
      const [head = '', claims = '', secret = '', ...rest] = bench.tokens.jwt.text.split('.')
      const decode = (part: string): Record<string, unknown> =>
        JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>
      expect(rest).toEqual([])
      expect(decode(head)['typ']).not.toBe('JWT')
      const { sun, exp, iss } = decode(claims)
      expect(sun).toBe(bench.userName)
      expect(exp).toBeGreaterThan(Date.now() / 1000 + 89 * 86_400)
      expect(iss).toEqual(expect.any(String))
      expect(Buffer.from(secret, 'base64url').length).toBeGreaterThanOrEqual(32)
      return Promise.resolve()
    },
  },
]

const ACCEPTS = [
  '*/*',
  'application/json, text/plain, */*',
  'application/json, application/yaml',
  'application/json',
  null,
]
const EMPTY_BODY: readonly RawHeader[] = [
  ['Content-Type', 'application/json'],
  ['Content-Length', '0'],
]

const requests: readonly ConformanceCase[] = [
  ...['/slurm/v0.0.42/jobs/', '/slurm/v0.0.42/jobs', '//slurm/v0.0.42/jobs/', '//slurmdb/v0.0.42/jobs'].map(
    (target): ConformanceCase => ({
      name: `${target} is answered directly, never redirected`,
      source: 'clients.md Requests: with and without the trailing slash, and //slurm',
      async run(bench) {
        const answer = await bench.sendAs('free', { target })
        expect(findHeader(answer, 'location')).toBeNull()
        expectForwarded(bench, answer)
      },
    }),
  ),
  ...(
    [
      { method: 'GET', target: '/slurm/v0.0.42/jobs' },
      { method: 'GET', target: '/openapi/v3' },
      { method: 'GET', target: '/meta/whoami' },
      { method: 'DELETE', target: '/slurm/v0.0.42/job/101' },
    ] as const
  ).map((request): ConformanceCase => ({
    name: `${request.method} ${request.target} with Content-Type: application/json and Content-Length: 0 is served`,
    source: 'clients.md Requests: GET and DELETE arrive with Content-Type and Content-Length: 0',
    async run(bench) {
      expect((await bench.sendAs('free', { ...request, headers: EMPTY_BODY })).status).toBe(200)
      bench.reset()
      expect((await bench.sendAsMunge({ ...request, headers: EMPTY_BODY })).status).toBe(200)
    },
  })),
  ...(
    [
      ['Content-Type: application/json; charset=utf-8 on POST', { type: 'application/json; charset=utf-8' }],
      ['a chunked POST body', { framing: 'chunked' }],
      ['Expect: 100-continue', { expect: true }],
      ['a submission of 300 KB', { padding: 300_000 }],
    ] as readonly (readonly [
      string,
      { type?: string; framing?: 'chunked'; expect?: true; padding?: number },
    ])[]
  ).map(([habit, { type = 'application/json', framing, expect: expects, padding = 0 }]): ConformanceCase => ({
    name: `a submission with ${habit} reaches slurmrestd in its own terms`,
    source: 'clients.md Requests',
    async run(bench) {
      const body = JSON.stringify({
        script: `#!/bin/sh\n# ${'x'.repeat(padding)}`,
        job: { environment: ['A=1'] },
      })
      const headers: RawHeader[] = [['Content-Type', type]]
      if (expects === true) headers.push(['Expect', '100-continue'])
      const request: SendOptions = { ...postJson('/slurm/v0.0.42/job/submit', body), headers }
      const answer = await bench.sendAs('confined', framing === undefined ? request : { ...request, framing })
      const forwarded = expectForwarded(bench, answer)
      expect(readSent(forwarded, 'content-type')).toBe('application/json')
      expect(readSent(forwarded, 'content-length')).toBe(String(forwarded.body.length))
      expect(JSON.parse(forwarded.body.toString('utf8'))).toMatchObject({ job: { environment: ['A=1'] } })
    },
  })),
  ...ACCEPTS.map((accept): ConformanceCase => ({
    name: `Accept: ${accept ?? '(none)'} gets JSON`,
    source: 'clients.md Requests: Accept',
    async run(bench) {
      const headers: RawHeader[] = accept === null ? [] : [['Accept', accept]]
      const answer = await bench.sendAs('free', { headers })
      expectForwarded(bench, answer)
      expect(findHeader(answer, 'content-type')).toBe('application/json')
    },
  })),
  {
    name: 'no query parameter is added',
    source: 'clients.md Requests: never add any (500 on slurmdb of 22.05)',
    async run(bench) {
      for (const target of ['/slurm/v0.0.42/jobs', '/slurmdb/v0.0.42/jobs', '/slurmdb/v0.0.42/users']) {
        expect(expectForwarded(bench, await bench.sendAs('free', { target })).target).not.toContain('?')
        bench.reset()
      }
    },
  },
  {
    name: 'up to v0.0.38: environment is an object and script stands at top level',
    source: 'clients.md Requests: up to v0.0.38',
    run: (bench) =>
      bench.withSettings({ SLURM_API_VERSIONS: 'v0.0.38' }, async (old) => {
        const body = '{"script":"#!/bin/sh","job":{"name":"n","environment":{"PATH":"/bin","A":"1"}}}'
        const request = expectForwarded(
          old,
          await old.sendAs('confined', postJson('/slurm/v0.0.38/job/submit', body)),
        )
        expect(readJson(request)).toEqual({
          script: '#!/bin/sh',
          job: { name: 'n', environment: { PATH: '/bin', A: '1' }, account: 'proj_a' },
        })
        expect(readPath(request)).toBe('/slurm/v0.0.38/job/submit')
      }),
  },
  ...[
    '{"job":{"script":"#!/bin/sh","environment":["A=1"]}}',
    '{"script":"#!/bin/sh","job":{"environment":["A=1"]}}',
  ].map((body): ConformanceCase => ({
    name: `from v0.0.39: environment is a list, ${body.startsWith('{"script') ? 'script at top level' : 'script in job'}`,
    source: 'clients.md Requests: from v0.0.39',
    run: (bench) =>
      bench.withSettings({ SLURM_API_VERSIONS: 'v0.0.39,v0.0.42' }, async (both) => {
        for (const version of ['v0.0.39', 'v0.0.42']) {
          const submit = postJson(`/slurm/${version}/job/submit`, body)
          const request = expectForwarded(both, await both.sendAs('confined', submit))
          const sent = readJson(request) as { job: object }
          const given = JSON.parse(body) as { job: object }
          expect(sent).toEqual({ ...given, job: { ...given.job, account: 'proj_a' } })
          both.reset()
        }
      }),
  })),
  {
    name: 'five GETs at once are all served',
    source: 'clients.md Requests: exporters send five GETs at once',
    async run(bench) {
      const paths = ['jobs', 'nodes', 'partitions', 'diag', 'shares']
      const answers = await Promise.all(
        paths.map((path) => bench.sendAs('reader', { target: `/slurm/v0.0.42/${path}` })),
      )
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    },
  },
]

const answers: readonly ConformanceCase[] = [
  {
    name: 'Content-Type is exactly application/json, nothing is compressed, the connection stays, the bytes are untouched',
    source: 'clients.md Answers',
    async run(bench) {
      const connection = await bench.openConnection()
      const headers = [bench.bearer('free'), ['Accept-Encoding', 'identity'] as const]
      await connection.send({ method: 'GET', target: '/slurm/v0.0.42/job/101', headers })
      const answer = await connection.readAnswer()
      expect(findHeader(answer, 'content-type')).toBe('application/json')
      expect(findHeader(answer, 'content-encoding')).toBeNull()
      expect(answer.body.toString('utf8')).toContain('"number":18446744073709551614')
      expect(connection.isClosed).toBe(false)
      connection.close()
    },
  },
  {
    name: 'our own errors have the four keys clients read: description, error_number, error, source',
    source: 'clients.md Answers: the four keys are all read',
    async run(bench) {
      const answer = await bench.send({})
      const { errors } = readJson(answer) as { errors: Record<string, unknown>[] }
      expect(Object.keys(errors[0] ?? {}).sort()).toEqual(['description', 'error', 'error_number', 'source'])
    },
  },
  {
    name: 'an unknown job is 404 with 2017, as slurmrestd says it',
    source: 'clients.md Answers: an unknown job is 404 with 2017',
    async run(bench) {
      const answer = await bench.sendAs('reader', { target: '/slurm/v0.0.42/job/999' })
      expectForwarded(bench, answer, 404)
      expect(readJson(answer)).toMatchObject({ errors: [{ error_number: 2017, source: 'fake_slurmrestd' }] })
    },
  },
  {
    name: 'slurmdb answers an unknown job with 200 and an empty list',
    source: 'clients.md Answers: slurmdb answers 200 with an empty list',
    async run(bench) {
      bench.world.upstream.behaviour.answer = () => ({
        status: 200,
        contentType: 'application/json',
        body: '{"jobs":[],"errors":[],"warnings":[]}',
      })
      const answer = await bench.sendAs('accountingReader', { target: '/slurmdb/v0.0.42/job/999' })
      expectForwarded(bench, answer)
      expect(answer.body.toString('utf8')).toBe('{"jobs":[],"errors":[],"warnings":[]}')
    },
  },
  {
    name: 'probing versions downwards ends at the highest one served',
    source: 'clients.md Answers: an error object in an HTTP 400 is survived by clients that probe versions',
    async run(bench) {
      for (const version of ['v0.0.45', 'v0.0.44', 'v0.0.43']) {
        const answer = await bench.sendAs('free', { target: `/slurm/${version}/ping` })
        expectRefusal(bench, answer, 'version_not_served')
      }
      expectForwarded(bench, await bench.sendAs('free', { target: '/slurm/v0.0.42/ping' }))
    },
  },
]

export const CLIENT_CASES: readonly ConformanceCase[] = [...credentials, ...requests, ...answers]
