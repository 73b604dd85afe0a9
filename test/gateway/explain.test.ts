/** `POST /meta/explain`: what it says of a request is what the gate does with it. */

import { describe, expect, it } from 'vitest'
import { explain, type Explanation } from '../../src/explain.ts'
import { createJudge } from '../../src/judge.ts'
import { createOwnPathJudge } from '../../src/own-path.ts'
import { findRuleAnswer, Outage, refuse } from '../../src/refusal.ts'
import { bearer, createInMemoryGate, json, munge, type GateRequestInit } from './in-memory-gate.ts'
import { buildAnswer, buildToken, encode, MUNGE_ALICE } from './in-memory-ports.ts'

interface Asked {
  readonly method: string
  readonly path: string
  readonly body?: string
  readonly content_type?: string
}

const OWN_PATHS = [
  ...['/ping', '/healthz', '/readyz', '/meta/versions/supported', '/meta/versions/latest', '/meta/whoami'],
  ...['/openapi', '/openapi.json', '/openapi.yaml', '/openapi/v3', '/meta/explain', '//meta//whoami/', '/ping/'],
] // prettier-ignore
const NO_PATHS = ['/', '/pin', '/meta', '/meta/whoami/x', '/openapi/v2', '/PING', '/meta%2Fwhoami', '/%zz']
const SLURM_PATHS = [
  ...['/slurm/latest/jobs', '/slurm/v0.0.42/jobs?update_time=7', '/slurm/v0.0.42/jobs?bogus=1'],
  ...['/slurm/v0.0.99/jobs', '/slurm/v0.0.42/nope', '/slurm/v0.0.42/job/7', '/slurm/v0.0.42/job/07'],
  ...['/slurm/v0.0.42/job/submit', '/slurm/v0.0.42/job/allocate', '/slurm/v0.0.42/reconfigure'],
  ...['/slurmdb/v0.0.42/jobs', '/slurmdb/v0.0.42/config', '/util/v0.0.42/hostnames', '/slurm/v0.0.42/diag'],
] // prettier-ignore
const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND']

const QUESTION = '{"method":"GET","path":"/ping"}'
const BODIES: readonly Pick<Asked, 'body' | 'content_type'>[] = [
  ...['', '{', '[]', QUESTION, '{"job":{"account":"own"}}', '{"job":{"account":"oth"}}'].map((body) => ({ body })),
  { body: '{}'.padEnd(1001) },
  { body: QUESTION, content_type: 'text/plain' },
  { body: QUESTION, content_type: 'application/json; charset=latin1' },
  { content_type: 'application/json' },
] // prettier-ignore

const ASKED: readonly Asked[] = [
  ...[...OWN_PATHS, ...NO_PATHS, ...SLURM_PATHS].flatMap((path) =>
    METHODS.map((method) => ({ method, path })),
  ),
  ...[...OWN_PATHS, '/slurm/v0.0.42/jobs', '/slurm/v0.0.42/job/submit'].flatMap((path) => [
    ...['?', '?x=1', '?x', '?%zz'].flatMap((end) => [
      { method: 'GET', path: path + end },
      { method: 'POST', path: path + end, body: QUESTION },
    ]),
    ...BODIES.flatMap((body) => [
      { method: 'POST', path, ...body },
      { method: 'GET', path, ...body },
      { method: 'DELETE', path, ...body },
    ]),
  ]),
  ...['/ping', '/meta/whoami', '/slurm/v0.0.42/jobs'].map((path) => ({
    method: 'GET',
    path: `${path}?${'x'.repeat(17_000)}`,
  })),
]

const CALLERS = {
  munge,
  free: bearer('free'),
  reader: bearer('reader'),
  bound: bearer('bound'),
}

/** As the request itself; a body that no client would send with its method is announced only. */
function buildRequest({ method, body, content_type }: Asked): GateRequestInit {
  const type = content_type ?? (body === undefined ? null : json[1])
  const headers = type === null ? [] : [['Content-Type', type] as const]
  if (body === undefined) return { method, headers }
  if (!/^(get|head)$/i.test(method)) return { method, headers, body }
  return { method, headers: [...headers, ['Content-Length', String(Buffer.byteLength(body))]] }
}

type Gate = ReturnType<typeof createInMemoryGate>
type Caller = keyof typeof CALLERS

function createGate(): Gate {
  // A question about a long path has to fit.
  const gate = createInMemoryGate({ bodyMaxBytes: 30_000 })
  gate.world.answer = () => buildAnswer(200, { jobs: [{ job_id: 7, account: 'own' }] })
  return gate
}

/** Such as `405 method_not_allowed`, or `let through`. */
type Decision = string

async function send(gate: Gate, caller: Caller, asked: Asked): Promise<Decision> {
  const { headers = [], ...init } = buildRequest(asked)
  const answer = await gate.send(asked.path, { ...init, headers: [CALLERS[caller], ...headers] })
  if (answer.status === 200) return 'let through'
  // Only the body names the rule, and HEAD has none.
  return asked.method === 'HEAD' ? String(answer.status) : `${answer.status} ${answer.rule ?? '?'}`
}

async function ask(gate: Gate, caller: Caller, asked: Asked): Promise<Decision> {
  const headers = [CALLERS[caller], json]
  const answer = await gate.send('/meta/explain', { method: 'POST', headers, body: JSON.stringify(asked) })
  expect(answer.status, answer.text).toBe(200)
  const { decision, rule, status } = JSON.parse(answer.text) as Explanation
  if (decision === 'allowed') return 'let through'
  return asked.method === 'HEAD' ? String(status) : `${String(status)} ${rule}`
}

const EVERY_CALLER_SEES = [
  'let through',
  ...['400 version_not_served', '404 path_unknown', '404 path_id_malformed', '405 method_not_allowed', '405'],
  ...['400 query_not_allowed', '400 query_on_post', '400 body_not_allowed', '415 content_type_unsupported'],
  ...['400 json_malformed', '431 head_too_large'],
] // prettier-ignore

describe('what explain says is what the gate does', () => {
  it.each(Object.keys(CALLERS) as Caller[])('with every request of %s', async (caller) => {
    const [asking, sending] = [createGate(), createGate()]
    const seen = new Set<Decision>()
    const differences: string[] = []
    for (const asked of ASKED) {
      const said = await ask(asking, caller, asked)
      const done = await send(sending, caller, asked)
      seen.add(done)
      if (said !== done) differences.push(`${JSON.stringify(asked).slice(0, 100)}: ${said}, but ${done}`)
    }
    expect(differences).toEqual([])
    expect([...seen]).toEqual(expect.arrayContaining(EVERY_CALLER_SEES))
    // Looks at jobs are the only thing that asking sends.
    expect(asking.world.sent.filter(({ target }) => target !== '/slurm/v0.0.42/job/7')).toEqual([])
  })

  it.each<Asked>([
    { method: 'GET', path: '/ping' },
    { method: 'GET', path: '/meta/whoami' },
    { method: 'DELETE', path: '/meta/whoami' },
    { method: 'GET', path: '/slurm/latest/jobs' },
    { method: 'GET', path: '/nope' },
  ])('while nobody knows the versions: $method $path', async (asked) => {
    const gate = createGate()
    gate.world.findVersions = () => {
      throw new Outage('versions_unknown', 'down')
    }
    expect(await ask(gate, 'free', asked)).toBe(await send(gate, 'free', asked))
  })
})

describe('the whole explanation', () => {
  const LIMITS = { bodyMaxBytes: 10, areWritesBound: false }
  const judges = {
    judgeOwnCall: createOwnPathJudge(LIMITS),
    judge: createJudge({
      ...LIMITS,
      findVersions: () => Promise.resolve([40, 42]),
      checkJobs: () => Promise.reject(new Outage('job_check_failed', 'down')),
    }),
  }
  const question = { contentType: 'application/json', body: null }
  const nothing = {
    ...{ operation: null, effect: null, version: null, access: null, account: null, accounts_in: null },
    ...{ checked_jobs: [], forwards: null },
  }

  it('of an own path names the operation, and what slurmrestd would be sent', async () => {
    const whoami = await explain(judges, MUNGE_ALICE, { ...question, method: 'GET', target: '/meta/whoami' })
    const allowed = { decision: 'allowed', rule: 'any_credential', status: null, description: null }
    const own = { ...nothing, ...allowed, effect: 'read', access: 'any' }
    expect(whoami).toEqual({ ...own, operation: 'GET /meta/whoami' })
    const openapi = { ...question, method: 'GET', target: '//openapi/v3/' }
    expect(await explain(judges, MUNGE_ALICE, openapi)).toEqual({
      ...own,
      operation: 'GET /openapi/v3',
      forwards: { method: 'GET', target: '/openapi/v3' },
    })
  })

  it.each(['/meta/explain', '/slurm/latest/job/submit'])(
    'of a body that is too large: %s',
    async (target) => {
      const large = { ...question, method: 'POST', target, body: encode('{}'.padEnd(11)) }
      expect(await explain(judges, buildToken(['slurm:jobs:manage']), large)).toMatchObject({
        decision: 'refused',
        rule: 'body_too_large',
        status: 413,
      })
    },
  )

  it('of a credential that is refused says so of every path but the public ones, as the gate does', async () => {
    const refusal = refuse('token_revoked')
    const known = { decision: 'refused', rule: 'token_revoked', status: 401 }
    for (const target of ['/slurm/latest/jobs', '/meta/whoami', '/nope']) {
      const { description, ...rest } = await explain(judges, refusal, { ...question, method: 'PUT', target })
      expect(rest).toEqual({ ...nothing, ...known })
      expect(description).toContain('was revoked')
    }
    const ping = { ...question, method: 'GET', target: '/ping' }
    expect(await explain(judges, refusal, ping)).toMatchObject({ decision: 'allowed', rule: 'public' })
  })

  it('of what is undecided names the outage and what is known', async () => {
    const token = buildToken(['slurm:jobs:manage'], 'own')
    const cancel = { ...question, method: 'DELETE', target: '/slurm/latest/job/7' }
    expect(await explain(judges, token, cancel)).toEqual({
      ...{ decision: 'undecided', rule: 'job_check_failed', status: 502 },
      description: findRuleAnswer('job_check_failed').description,
      ...{ operation: 'DELETE /slurm/job/{job_id}', effect: 'write', version: 'v0.0.42' },
      ...{ access: 'slurm:jobs:manage', account: 'own', accounts_in: 'named-job' },
      ...{ checked_jobs: [], forwards: null },
    })
  })
})
