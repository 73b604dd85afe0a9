/** CONTRACT "API tokens": every route against every scope; the expectation comes from the daemons' table where it is there. */

import { describe, expect, it } from 'vitest'
import { authorizeCall, authorizeOperation } from '../../src/authorize.ts'
import type { Call } from '../../src/call.ts'
import type { Operation } from '../../src/operation.ts'
import { ADMIN_SCOPES, PUBLIC_SCOPES, type Principal, type Scope } from '../../src/principal.ts'
import { isRefusal, Outage, refuse } from '../../src/refusal.ts'
import { ROUTES } from '../../src/policy/route-table.ts'
import { buildToken, encode, MUNGE_ALICE, outageOf, requireOperation, ruleOf } from './in-memory-ports.ts'
import { DAEMON_ROUTES, fillTemplate } from './slurm-routes.ts'

const SCOPES: readonly Scope[] = [...PUBLIC_SCOPES, ...ADMIN_SCOPES]
const OPERATIONS = ROUTES.map(({ method, template, until }) =>
  requireOperation(method, fillTemplate(template, until)),
)

function keyOf({ route }: Operation): string {
  return `${route.method} ${route.template}`
}

/** Writes that CONTRACT opens to restricted tokens: what names its jobs, or is judged by its document. */
const CONFINED = [
  'DELETE /slurm/jobs',
  'POST /slurm/jobs/requeue',
  'POST /slurm/job/submit',
  'POST /slurm/job/{job_id}',
  'DELETE /slurm/job/{job_id}',
  'GET /slurm/job/{job_id}/requeue',
]

function expectRule(operation: Operation, scopes: readonly Scope[], isRestricted: boolean): string | null {
  const daemon = DAEMON_ROUTES.find(({ method, template }) => `${method} ${template}` === keyOf(operation))
  const { tokens = 'closed', kind = '' } = daemon ?? {}
  if (tokens === 'closed') return 'operation_closed'
  if (tokens === 'any credential') return null
  const [scope = '', ...conditions] = tokens.split(' ')
  if (!scopes.some((given) => given === scope)) return 'insufficient_scope'
  if (!isRestricted) return null
  const isClosed = conditions.length > 0 || (kind.includes('-write') && !CONFINED.includes(keyOf(operation)))
  return isClosed ? 'operation_closed' : null
}

describe(`every route with every scope (slurm-routes.tsv)`, () => {
  const sets: (readonly Scope[])[] = [
    [],
    ...SCOPES.map((scope) => [scope]),
    PUBLIC_SCOPES,
    ADMIN_SCOPES,
    SCOPES,
  ]
  for (const { scopes } of sets.map((set) => ({ scopes: set }))) {
    it(`[${scopes.join(' ')}] opens what the table says, restricted or not`, () => {
      for (const operation of OPERATIONS) {
        for (const account of [null, 'own']) {
          const rule = ruleOf(authorizeOperation(buildToken(scopes, account), operation))
          expect(rule, `${keyOf(operation)} ${account ?? ''}`).toBe(
            expectRule(operation, scopes, account !== null),
          )
        }
      }
    })
  }

  it('MUNGE callers have all operations, as their user has in Slurm', () => {
    for (const operation of OPERATIONS) expect(authorizeOperation(MUNGE_ALICE, operation)).toBeNull()
  })

  it('what ends slurmrestd in a version is closed in it to everybody, and open in the next', () => {
    const at = (version: number) => requireOperation('DELETE', `/slurmdb/v0.0.${version}/qos/normal`)
    for (const principal of [MUNGE_ALICE, buildToken(['slurmdb:manage'])]) {
      for (const version of [36, 37])
        expect(ruleOf(authorizeOperation(principal, at(version)))).toBe('operation_closed')
      expect(authorizeOperation(principal, at(38))).toBeNull()
    }
  })

  it('a missing scope is named, for the challenge of RFC 6750 section 3.1', () => {
    const refusal = authorizeOperation(buildToken([]), requireOperation('GET', '/slurm/v0.0.45/reconfigure'))
    expect(refusal).toMatchObject({ rule: 'insufficient_scope', scope: 'slurm:reconfigure' })
  })

  it('what is not a read by its method is not opened by a read scope: GET reconfigure, GET requeue', () => {
    const reader = buildToken(['slurm:read', 'slurmdb:read'])
    for (const path of ['/slurm/v0.0.40/reconfigure', '/slurm/v0.0.45/job/1/requeue']) {
      expect(ruleOf(authorizeOperation(reader, requireOperation('GET', path)))).toBe('insufficient_scope')
    }
  })

  it('a token with every scope, restricted to an account, can write nothing but its jobs', () => {
    const all = buildToken(SCOPES, 'own')
    const open = OPERATIONS.filter((operation) => authorizeOperation(all, operation) === null)
    const writes = open.filter(({ route }) => route.effect === 'write').map(keyOf)
    expect(writes.sort()).toEqual([...CONFINED].sort())
    expect(open.map(keyOf).filter((key) => /\/conf(ig)?$/.test(key))).toEqual([])
  })
})

const SUBMIT = requireOperation('POST', '/slurm/v0.0.45/job/submit')
const UPDATE = requireOperation('POST', '/slurm/v0.0.45/job/7')
const CANCEL = requireOperation('DELETE', '/slurm/v0.0.45/job/7')
const REQUEUE = requireOperation('GET', '/slurm/v0.0.45/job/7/requeue')
const BOUND = buildToken(['slurm:jobs:manage'], 'own')
const FREE = buildToken(['slurm:jobs:manage'])
const KILL = requireOperation('DELETE', '/slurm/v0.0.45/jobs/')
const SEND_BEFORE = 6_000

function buildCall(operation: Operation, text: string | null): Call {
  const body = text === null ? null : { contentType: 'application/json' as const, bytes: encode(text) }
  return { kind: 'call', operation, query: [], body }
}

async function authorize(principal: Principal, call: Call, answer: 'yes' | 'no' | 'outage' = 'yes') {
  const checked: string[] = []
  const result = await authorizeCall(principal, call, (_principal, version, jobIds) => {
    checked.push(...jobIds.map((jobId) => `v0.0.${version} ${jobId}`))
    if (answer === 'outage') return Promise.reject(new Outage('job_check_failed', 'gone'))
    return Promise.resolve(answer === 'yes' ? { sendBefore: SEND_BEFORE } : refuse('account_mismatch'))
  })
  const bytes = isRefusal(result) ? null : result.call.body?.bytes
  const sent = bytes === null || bytes === undefined ? null : new TextDecoder().decode(bytes)
  if (!isRefusal(result)) {
    expect(result.checkedJobs).toHaveLength(checked.length)
    expect(result.sendBefore).toBe(checked.length > 0 ? SEND_BEFORE : null)
  }
  return { rule: result.rule, sent, checked }
}

describe('a document that is known to end a daemon', () => {
  it.each([
    [SUBMIT, '{"job":{"nice":"%s%n"}}'],
    [UPDATE, '{"nice":"%s%n"}'],
    [KILL, '{"jobs":["1_4294967295"]}'],
  ] as const)('is refused to everybody before any job is looked at', async (operation, text) => {
    for (const principal of [MUNGE_ALICE, FREE, BOUND]) {
      const expected = { rule: 'document_harmful', sent: null, checked: [] }
      expect(await authorize(principal, buildCall(operation, text))).toEqual(expected)
    }
  })

  it('is another thing than one that nobody can read', async () => {
    expect((await authorize(MUNGE_ALICE, buildCall(SUBMIT, '{"job":'))).rule).toBe('json_malformed')
  })
})

describe('a call', () => {
  it('of a MUNGE caller goes upstream byte by byte, and no job is looked at', async () => {
    for (const text of ['{"job":{"account":"oth"},}', '{"comment":"x"} // x', '{"comment": "x" ,}']) {
      const expected = { rule: 'munge_user', sent: text, checked: [] }
      expect(await authorize(MUNGE_ALICE, buildCall(UPDATE, text), 'no')).toEqual(expected)
    }
  })

  it.each(['CRON_JOBS', 'NO_SIBLING_JOBS', 'FEDERATION_REQUEUE', 'RESERVATION_JOB', 'ARRAY_TASK', 'cron_jobs'])(
    'of a restricted token has no flag %s, which reaches beyond the job', async (flag) => {
      const call: Call = { kind: 'call', operation: CANCEL, query: [['flags', flag]], body: null }
      expect(await authorize(BOUND, call)).toEqual({ rule: 'operation_closed', sent: null, checked: [] })
      expect((await authorize(FREE, call)).rule).toBe('token_scope')
    },
  ) // prettier-ignore

  it.each(['BATCH_JOB', 'full_job', 'HURRY'])('of a restricted token may have the flag %s', async (flag) => {
    const call: Call = { kind: 'call', operation: CANCEL, query: [['flags', flag]], body: null }
    expect((await authorize(BOUND, call)).rule).toBe('token_account')
  })

  it('of a restricted token may read with any flag', async () => {
    const operation = requireOperation('GET', '/slurm/v0.0.45/jobs')
    const call: Call = { kind: 'call', operation, query: [['flags', 'FEDERATION']], body: null }
    expect((await authorize(buildToken(['slurm:read'], 'own'), call)).rule).toBe('token_scope')
  })

  it('of a token is written anew, so that slurmrestd reads what was judged', async () => {
    const text = String.raw`{"job": {"acc\u006funt":"own", "name":"x",},}`
    const expected = { rule: 'token_account', sent: '{"job":{"account":"own","name":"x"}}', checked: [] }
    expect(await authorize(BOUND, buildCall(SUBMIT, text))).toEqual(expected)
    const free = { rule: 'token_scope', sent: '{"job":{"name":"x"}}' }
    expect(await authorize(FREE, buildCall(SUBMIT, '{"job":{"name":"x"}}'))).toMatchObject(free)
  })

  it('of a token to any other operation is read strictly too', async () => {
    const hostlist = requireOperation('POST', '/util/v0.0.45/hostlist')
    const good = { rule: 'token_scope', sent: '{"x":[18446744073709551615]}' }
    expect(await authorize(BOUND, buildCall(hostlist, '{"x": [18446744073709551615] }'))).toMatchObject(good)
    expect(await authorize(BOUND, buildCall(hostlist, '{"x":1}//'))).toMatchObject({ rule: 'json_malformed' })
  })

  it.each([
    ['json_malformed', SUBMIT, '{"job":{}}x'],
    ['json_malformed', UPDATE, '{"account":"own","account":"oth"}'],
    ['job_malformed', SUBMIT, '{}'],
    ['job_field_not_allowed', UPDATE, '{"user_id":0}'],
    ['account_mismatch', SUBMIT, '{"job":{"account":"oth"}}'],
    ['account_mismatch', UPDATE, '{"account":"oth"}'],
  ] as const)('is refused as %s before any job is looked at', async (rule, operation, text) => {
    expect(await authorize(BOUND, buildCall(operation, text))).toEqual({ rule, sent: null, checked: [] })
  })

  it.each([
    [UPDATE, '{"comment":"x"}'],
    [CANCEL, null],
    [REQUEUE, null],
    [KILL, '{"jobs":["7"],"account":"own"}'],
  ] as const)(
    'that names a job is allowed to a restricted token only when the job is its own',
    async (operation, text) => {
      const checked = ['v0.0.45 7']
      const call = buildCall(operation, text)
      expect(await authorize(BOUND, call, 'yes')).toEqual({ rule: 'token_account', sent: text, checked })
      expect(await authorize(BOUND, call, 'no')).toEqual({ rule: 'account_mismatch', sent: null, checked })
      expect(await outageOf(() => authorize(BOUND, call, 'outage'))).toBe('job_check_failed')
      expect(await authorize(FREE, call, 'no')).toEqual({ rule: 'token_scope', sent: text, checked: [] })
    },
  )

  it.each([
    [SUBMIT, 'json_malformed', 'json_malformed'],
    [UPDATE, 'json_malformed', 'json_malformed'],
    [KILL, 'operation_closed', 'json_malformed'],
  ] as const)('without a document is granted to no token, restricted or not, and no job is looked at', async (operation, bound, free) => {
    const call = buildCall(operation, null)
    expect(await authorize(BOUND, call)).toEqual({ rule: bound, sent: null, checked: [] })
    expect(await authorize(FREE, call)).toEqual({ rule: free, sent: null, checked: [] })
  }) // prettier-ignore
})
