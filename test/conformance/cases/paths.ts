/** Paths, ids and methods: what is served, in which spellings, and that nothing odd is passed on. */

import { expect } from 'vitest'
import type { Rule } from '../../../src/refusal.ts'
import { findHeader, requestRaw, type RawAnswer } from '../../support/raw-http.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectNothingForwarded, expectRefusal, readPath } from '../expect-answer.ts'

const SOURCE = 'slurm.md What the gate has to be built on, 9'

const UNKNOWN = [
  '/nope',
  '/slurm',
  '/slurm/',
  '/slurm/v0.0.42',
  '/slurm/v0.0.42/',
  '/slurm/v0.0.42/nope',
  '/slurm/v0.0.42/job',
  '/slurm/v0.0.42/jobs/extra',
  '/slurm/v0.0.42/job/101/extra',
  '/slurm/v0.0.42/accounts',
  '/slurm/v0.0.42/Jobs',
  '/slurmdb/v0.0.42/partitions',
  '/slurm/v0.0.42/resources/101',
  '/slurm/v0.0.42/conf',
  '/slurm/v0.0.42/job/101/requeue',
  '/meta/nope',
  '/openapi/v2',
  '/slurm/v0.0.42/jobs.json',
  '/metrics',
]

const unknown: readonly ConformanceCase[] = UNKNOWN.map((target) => ({
  name: `${target} is 404`,
  source: 'CONTRACT HTTP: 404 path',
  async run(bench) {
    expectRefusal(bench, await bench.sendAs('free', { target }), 'path_unknown')
  },
}))

const METHODS: readonly (readonly [method: string, target: string])[] = [
  ['PUT', '/slurm/v0.0.42/jobs'],
  ['PATCH', '/slurm/v0.0.42/job/101'],
  ['POST', '/slurm/v0.0.42/jobs'],
  ['DELETE', '/slurm/v0.0.42/diag'],
  ['GET', '/slurm/v0.0.42/job/submit'],
  ['PUT', '/slurm/v0.0.42/job/submit'],
  ['DELETE', '/slurmdb/v0.0.42/jobs'],
  ['OPTIONS', '/slurm/v0.0.42/jobs'],
  ['HEAD', '/slurm/v0.0.42/jobs'],
  ['HEAD', '/openapi/v3'],
  ['POST', '/openapi/v3'],
  ['DELETE', '/meta/whoami'],
]

/** `GET job/submit` may as well be read as a job id that is not canonical. */
const methods: readonly ConformanceCase[] = METHODS.map(([method, target]) => ({
  name: `${method} ${target} is 405`,
  source: 'CONTRACT HTTP: 405 method (HEAD, OPTIONS too; no CORS)',
  async run(bench) {
    const headers = [['Origin', 'https://elsewhere.example'] as const]
    const answer = await bench.sendAs('free', { method, target, headers })
    if (method === 'HEAD') {
      expect(answer.status).toBe(405)
      expectNothingForwarded(bench)
    } else if (target.endsWith('submit') && method === 'GET') {
      expectRefusal(bench, answer, 'method_not_allowed', 'path_id_malformed')
    } else {
      expectRefusal(bench, answer, 'method_not_allowed')
    }
    expect(findHeader(answer, 'access-control-allow-origin')).toBeNull()
  },
}))

const allow: ConformanceCase = {
  name: 'a 405 says which methods there are',
  source: 'RFC 9110 section 15.5.6',
  async run(bench) {
    const answer = await bench.sendAs('free', { method: 'PUT', target: '/slurm/v0.0.42/job/101' })
    const allowed = (findHeader(answer, 'allow') ?? '').split(/\s*,\s*/).sort()
    expect(allowed).toEqual(['DELETE', 'GET', 'POST'])
  },
}

const preflight: ConformanceCase = {
  name: 'a browser preflight without a credential is refused and gets no CORS header',
  source: 'CONTRACT HTTP: no CORS',
  async run(bench) {
    const headers = [
      ['Origin', 'https://elsewhere.example'],
      ['Access-Control-Request-Method', 'POST'],
    ] as const
    const answer = await bench.send({ method: 'OPTIONS', headers })
    expectRefusal(bench, answer, 'credential_missing')
    expect(answer.headers.filter(([name]) => /^access-control/i.test(name))).toEqual([])
  },
}

const SLASHES = [
  '/slurm/v0.0.42/jobs/',
  '//slurm/v0.0.42/jobs',
  '///slurm/v0.0.42/jobs///',
  '/slurm//v0.0.42///jobs//',
  '//slurm/latest/jobs/',
]

const slashes: readonly ConformanceCase[] = SLASHES.map((target) => ({
  name: `${target} is answered directly`,
  source: 'CONTRACT HTTP: repeated and trailing slashes without a redirect',
  async run(bench) {
    const request = expectForwarded(bench, await bench.sendAs('free', { target }))
    expect(readPath(request)).toBe('/slurm/v0.0.42/jobs')
  },
}))

const WRONG_IDS = [
  '01', '0x1', '1e1', '+1', '1.0', '1.batch', '1_', '1_[1-2]', 's1', '0', '-1', '4294967294', '4294967296',
  '99999999999999999999', '%201', '1%20', '1%00', '1%0a', '%EF%BC%91', '1,2', '101%2f102', '101%3Fx', '101%23', '1%', 'NaN',
] // prettier-ignore

const ids: readonly ConformanceCase[] = [
  ...WRONG_IDS.map((id): ConformanceCase => ({
    name: `the job id ${id} is refused for reading, changing and cancelling`,
    source: SOURCE,
    async run(bench) {
      for (const method of ['GET', 'DELETE'] as const) {
        const target = `/slurm/v0.0.42/job/${id}`
        expectOdd(bench, await bench.sendAs('free', { method, target }))
        expectOdd(bench, await bench.sendAsMunge({ method, target }))
      }
      const accounting = await bench.sendAs('free', { target: `/slurmdb/v0.0.42/job/${id}` })
      // Accounting reads a step or an array task by its name; whatever is served must be canonical.
      if (accounting.status === 200) expectCanonicalTargets(bench)
      else expectOdd(bench, accounting)
    },
  })),
  ...['1', '101', '4294967293'].map((id): ConformanceCase => ({
    name: `the job id ${id} is passed on as it is`,
    source: SOURCE,
    async run(bench) {
      await bench.sendAs('free', { target: `/slurm/v0.0.42/job/${id}/` })
      expect(bench.world.upstream.operations.map(readPath)).toEqual([`/slurm/v0.0.42/job/${id}`])
    },
  })),
  {
    name: 'a percent-encoded id reaches slurmrestd decoded, or not at all',
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAs('free', { target: '/slurm/v0.0.42/job/%31%30%31' })
      if (answer.status === 200) {
        expect(bench.world.upstream.operations.map(readPath)).toEqual(['/slurm/v0.0.42/job/101'])
      } else {
        expectOdd(bench, answer)
      }
    },
  },
]

const TRICKS = [
  '/slurm/v0.0.42/jobs/../diag', '/slurm/v0.0.42/job/../jobs', '/slurm/v0.0.42/./jobs', '/slurm/v0.0.42/jobs/.',
  '/slurm/v0.0.42/%2e%2e/v0.0.42/jobs', '/slurm/v0.0.42/%2E%2e/diag', '/slurm/v0.0.42/job/..%2fjobs',
  '/slurm/v0.0.42/job%2f101', '/slurm/v0.0.42%2fjobs', '/slurm%2fv0.0.42%2fjobs', '/%2fslurm/v0.0.42/jobs',
  '/slurm/v0.0.42/jobs;x=1', '/slurm;/v0.0.42/jobs', '/slurm/v0.0.42/jobs%3b', '/slurm/v0.0.42/jobs%3fflags=1',
  '/slurm/v0.0.42/jobs%00', '/slurm/v0.0.42/jobs%0d%0aX-Injected:%201', '/slurm/v0.0.42/jobs%20HTTP/1.1%0d%0a',
  '/slurm/v0.0.42/%ff', '/slurm/v0.0.42/jo%62s', '/slurm/v0.0.42/jobs%', '/slurm/v0.0.42/jobs%zz',
  '/slurm/v0.0.42/node/a%2f..%2f..%2freconfigure', '/slurm/v0.0.42/node/%2e%2e', '/slurm/v0.0.42/node/..%5c',
  '/slurm/v0.0.42/node/n1%00', '/slurm/v0.0.42/partition/%2e%2e%2freconfigure', '/slurm/v0.0.42\\jobs',
  '/slurmdb/v0.0.42/../../slurm/v0.0.42/reconfigure', '/slurm/latest/../v0.0.42/reconfigure',
  '/slurm/v0.0.42/jobs/?/../x', '/slurm/v0.0.42/jobs#fragment',
] // prettier-ignore

/** What may reach slurmrestd at all: plain segments, percent-encoding only of what has to be encoded. */
const CANONICAL =
  /^\/(slurm|slurmdb|util)\/v0\.0\.\d+(\/(?!\.{1,2}(?:\/|$|\?))[A-Za-z0-9._~-]+)+\/?(\?[A-Za-z0-9._~%=&,:-]*)?$/

function expectCanonicalTargets(bench: Bench): void {
  for (const { target } of bench.world.upstream.operations) {
    expect(target).toMatch(CANONICAL)
    expect(target).not.toMatch(/reconfigure|x-injected/i)
  }
}

function expectOdd(bench: Bench, answer: Parameters<typeof expectRefusal>[1]): void {
  const rules: readonly [Rule, ...Rule[]] = [
    'path_unknown',
    'path_id_malformed',
    'version_not_served',
    'query_malformed',
    'query_not_allowed',
    'method_not_allowed',
    'insufficient_scope',
    'operation_closed',
  ]
  // A runtime may refuse a target that is no URL at all in its own words.
  if (answer.status === 400 && findHeader(answer, 'content-type') !== 'application/json') {
    expectNothingForwarded(bench)
  } else {
    expectRefusal(bench, answer, ...rules)
  }
}

/** workerd answers what it cannot read as a URL with 500 in its own words, before any code of ours. */
function expectRefusedByRuntime(bench: Bench, answer: RawAnswer): void {
  expect([400, 404, 500]).toContain(answer.status)
  if (answer.status === 500) expect(findHeader(answer, 'content-type')).not.toBe('application/json')
  expectNothingForwarded(bench)
}

const tricks: readonly ConformanceCase[] = [
  ...TRICKS.map((target): ConformanceCase => ({
    name: `${target} reaches slurmrestd in plain canonical form, or not at all`,
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAs('free', { target })
      if (answer.status === 200) expectCanonicalTargets(bench)
      else expectOdd(bench, answer)
    },
  })),
  {
    name: 'a raw NUL, tab, space or DEL in the path does not reach slurmrestd',
    source: 'RFC 9112 section 3.2',
    async run(bench) {
      for (const odd of ['\0', '\t', ' ', '\x7f']) {
        const answer = await bench.sendAs('free', { target: `/slurm/v0.0.42/jobs${odd}x` })
        expect([200, 400, 404]).toContain(answer.status)
      }
      // A runtime may end the target at the space: then what stands before it was asked for.
      expectCanonicalTargets(bench)
    },
  },
  {
    name: 'an overlong path is refused',
    source: SOURCE,
    async run(bench) {
      for (const target of [`/slurm/v0.0.42/node/${'n'.repeat(9000)}`, `/${'x/'.repeat(5000)}`]) {
        expectOdd(bench, await bench.sendAs('free', { target }))
      }
    },
  },
  {
    name: 'a target with a host goes to our slurmrestd and nowhere else',
    source: 'RFC 9112 section 3.2.2',
    async run(bench) {
      const answer = await bench.sendAs('free', { target: 'http://127.0.0.1:1/slurm/v0.0.42/jobs' })
      if (answer.status === 200) expectCanonicalTargets(bench)
      else expectRefusedByRuntime(bench, answer)
    },
  },
  {
    name: 'the Host header chooses nothing',
    source: 'RFC 9112 section 3.2.2',
    async run(bench) {
      const headers = [['Host', 'evil.example/ping?'] as const, bench.bearer('free')]
      const answer = await requestRaw(bench.target, { method: 'GET', target: '/slurm/v0.0.42/jobs', headers })
      if (answer.status === 200) expectCanonicalTargets(bench)
      else expectRefusedByRuntime(bench, answer)
      const bare = await requestRaw(bench.target, {
        method: 'GET',
        target: '/slurm/v0.0.42/jobs',
        headers: [['Host', 'evil.example/ping?']],
      })
      expect(bare.status).toBeGreaterThanOrEqual(400)
    },
  },
]

const base: ConformanceCase = {
  name: 'under PUBLIC_BASE_PATH everything lives there and nothing elsewhere',
  source: 'CONTRACT PUBLIC_BASE_PATH',
  run: (bench) =>
    bench.withSettings({ PUBLIC_BASE_PATH: '/cluster/a' }, async (mounted) => {
      expect((await mounted.send({ target: '/cluster/a/ping' })).body.toString('utf8')).toBe('pong')
      const request = expectForwarded(
        mounted,
        await mounted.sendAs('free', { target: '/cluster/a/slurm/v0.0.42/jobs' }),
      )
      expect(readPath(request)).toBe('/slurm/v0.0.42/jobs')
      mounted.reset()
      expect((await mounted.send({ target: '/ping' })).status).not.toBe(200)
      expectRefusal(mounted, await mounted.sendAs('free'), 'path_unknown')
      expectRefusal(
        mounted,
        await mounted.sendAs('free', { target: '/cluster/ab/slurm/v0.0.42/jobs' }),
        'path_unknown',
      )
    }),
}

export const PATH_CASES: readonly ConformanceCase[] = [
  ...unknown,
  ...methods,
  allow,
  preflight,
  ...slashes,
  ...ids,
  ...tricks,
  base,
]
