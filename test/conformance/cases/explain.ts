/** `POST /meta/explain`: the decision itself, asked without being carried out. */

import { expect } from 'vitest'
import { findRuleAnswer } from '../../../src/refusal.ts'
import type { Bench, SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectRefusal, readJson } from '../expect-answer.ts'
import type { TokenName } from '../issued-tokens.ts'

const SOURCE = 'the decision of the gate itself, without forwarding'

function ask(question: unknown, contentType = 'application/json'): SendOptions {
  const body = typeof question === 'string' ? question : JSON.stringify(question)
  return { method: 'POST', target: '/meta/explain', headers: [['Content-Type', contentType]], body }
}

async function explain(bench: Bench, question: unknown, token: TokenName = 'confined'): Promise<unknown> {
  const answer = await bench.sendAs(token, ask(question))
  expect(answer.status, answer.body.toString('utf8')).toBe(200)
  expect(bench.world.upstream.operations.filter(({ method }) => method !== 'GET')).toEqual([])
  return readJson(answer)
}

interface Asked {
  readonly name: string
  readonly as?: TokenName
  readonly question: Readonly<Record<string, unknown>>
  readonly answer: Readonly<Record<string, unknown>>
  /** Calls of the gate's own look at jobs. */
  readonly looks?: readonly string[]
}

const ASKED: readonly Asked[] = [
  {
    name: 'an own job may be cancelled',
    question: { method: 'DELETE', path: '/slurm/latest/job/101' },
    answer: {
      ...{ decision: 'allowed', rule: 'token_account', status: null, description: null },
      ...{ operation: 'DELETE /slurm/job/{job_id}', effect: 'write', version: 'v0.0.42' },
      ...{ access: 'slurm:jobs:manage', account: 'proj_a', accounts_in: 'named-job', checked_jobs: ['101'] },
      forwards: { method: 'DELETE', target: '/slurm/v0.0.42/job/101' },
    },
    looks: ['/slurm/v0.0.42/job/101'],
  },
  {
    name: 'a foreign one may not',
    question: { method: 'DELETE', path: '//slurm/latest//job/102/' },
    answer: { decision: 'refused', rule: 'account_mismatch', status: 403, checked_jobs: [], forwards: null },
    looks: ['/slurm/v0.0.42/job/102'],
  },
  {
    name: 'a missing scope is named',
    as: 'reader',
    question: { method: 'DELETE', path: '/slurm/v0.0.41/job/101' },
    answer: {
      decision: 'refused',
      rule: 'insufficient_scope',
      access: 'slurm:jobs:manage',
      version: 'v0.0.41',
    },
  },
  {
    name: 'another account in the document, given as JSON',
    question: { method: 'POST', path: '/slurm/latest/job/submit', body: { job: { account: 'proj_b' } } },
    answer: { decision: 'refused', rule: 'account_mismatch', accounts_in: 'submitted-jobs' },
  },
  {
    name: 'another account in the document, given as the text that would be sent',
    question: { method: 'POST', path: '/slurm/latest/job/submit', body: '{"job":{"account":"proj_a",},}' },
    answer: { decision: 'allowed', rule: 'token_account', status: null },
  },
  {
    name: 'text that is no JSON',
    question: { method: 'POST', path: '/slurm/latest/job/submit', body: '{"job":{"a":1,"a":2}}' },
    answer: { decision: 'refused', rule: 'json_malformed', status: 400 },
  },
  {
    name: 'a Content-Type that is not taken',
    question: {
      method: 'POST',
      path: '/slurm/latest/job/submit',
      body: 'job: {}',
      content_type: 'text/yaml',
    },
    answer: { decision: 'refused', rule: 'content_type_unsupported', status: 415 },
  },
  {
    name: 'a Content-Type that no header could carry',
    question: {
      method: 'POST',
      path: '/slurm/latest/job/submit',
      body: '{}',
      content_type: 'x\nX-Slurm: y\u20ac',
    },
    answer: { decision: 'refused', rule: 'content_type_unsupported', status: 415 },
  },
  {
    name: 'a path that no URL parser likes',
    question: { method: 'GET', path: '/%zz//[::/@?' },
    answer: { decision: 'refused', rule: 'path_unknown', status: 404 },
  },
  {
    name: 'a query parameter that is not taken',
    question: { method: 'GET', path: '/slurm/latest/jobs?user=x' },
    answer: { decision: 'refused', rule: 'query_not_allowed', operation: 'GET /slurm/jobs', effect: 'read' },
  },
  {
    name: 'a read, with what slurmrestd would be sent',
    question: { method: 'GET', path: '/slurm/latest/jobs?update_time=7' },
    answer: {
      ...{ decision: 'allowed', rule: 'token_scope', accounts_in: 'nothing' },
      forwards: { method: 'GET', target: '/slurm/v0.0.42/jobs?update_time=7' },
    },
  },
  {
    name: 'an unknown path',
    question: { method: 'GET', path: '/slurm/latest/nope' },
    answer: { decision: 'refused', rule: 'path_unknown', status: 404, operation: null, version: null },
  },
  {
    name: "the gate's own paths",
    question: { method: 'GET', path: '/meta/whoami' },
    answer: {
      ...{ decision: 'allowed', rule: 'any_credential', status: null, forwards: null },
      ...{ operation: 'GET /meta/whoami', effect: 'read', version: null },
    },
  },
  {
    name: "the gate's own path that slurmrestd answers",
    question: { method: 'GET', path: '/openapi/v3' },
    answer: { decision: 'allowed', forwards: { method: 'GET', target: '/openapi/v3' } },
  },
  ...(
    [
      ['DELETE', '/ping', 'method_not_allowed'],
      ['HEAD', '/ping', 'method_not_allowed'],
      ['POST', '/meta/whoami?x=1', 'method_not_allowed'],
      ['GET', '/meta/whoami?x=1', 'query_not_allowed'],
      ['GET', '/meta/explain', 'method_not_allowed'],
      ['POST', '/meta/explain', 'content_type_unsupported'],
      ['PUT', '/openapi/v3', 'method_not_allowed'],
    ] as const
  ).map(([method, path, rule]) => ({
    name: `${method} ${path} is refused by its own path's rules`,
    question: { method, path },
    answer: { decision: 'refused', rule, status: findRuleAnswer(rule).status },
  })),
]

const asked: readonly ConformanceCase[] = ASKED.map(({ name, as, question, answer, looks = [] }) => ({
  name,
  source: SOURCE,
  async run(bench) {
    expect(await explain(bench, question, as)).toMatchObject(answer)
    const targets = bench.world.upstream.operations.map(({ target }) => target.replace(/\/$/, ''))
    expect(targets).toEqual(looks)
  },
}))

export const EXPLAIN_CASES: readonly ConformanceCase[] = [
  ...asked,
  {
    name: 'a MUNGE caller asks too, and is told that its user decides',
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAsMunge(ask({ method: 'DELETE', path: '/slurm/latest/job/102' }))
      expect(readJson(answer)).toMatchObject({ decision: 'allowed', rule: 'munge_user', account: null })
      expect(bench.world.upstream.operations).toEqual([])
    },
  },
  {
    name: 'nobody asks without a credential, and only by POST, in JSON, without a query',
    source: SOURCE,
    async run(bench) {
      const question = { method: 'GET', path: '/slurm/latest/jobs' }
      expectRefusal(bench, await bench.send(ask(question)), 'credential_missing')
      expectRefusal(bench, await bench.sendAs('free', { target: '/meta/explain' }), 'method_not_allowed')
      const more = { ...ask(question), target: '/meta/explain?x=1' }
      expectRefusal(bench, await bench.sendAs('free', more), 'query_on_post')
      expectRefusal(
        bench,
        await bench.sendAs('free', ask(question, 'text/plain')),
        'content_type_unsupported',
      )
    },
  },
  ...[
    ...['', '{', '[]', '"x"', '{}', '{"method":"GET"}', '{"path":"/x"}', '{"method":"GET","path":"x"}'],
    ...[
      '{"method":"get","path":"/ping"}',
      '{"method":"GET","path":"/ping#x"}',
      '{"method":"GET","path":"/a b"}',
    ],
    ...['{"method":"GET","path":"/a\\\\b"}', '{"method":"GET","path":"/\\u00e9"}'],
    ...['{"method":1,"path":"/x"}', '{"method":"GET","path":"/x","token":"y"}'],
  ].map((text): ConformanceCase => ({
    name: `${text === '' ? 'nothing' : text} is no question`,
    source: SOURCE,
    async run(bench) {
      expectRefusal(bench, await bench.sendAs('free', ask(text)), 'json_malformed')
    },
  })),
]
