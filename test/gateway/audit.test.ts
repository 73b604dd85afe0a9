/** STYLE 3 and 4, CONTRACT: one line for the decision, before anything goes upstream; secrets are in neither line. */

import { describe, expect, it } from 'vitest'
import { createAudit } from '../../src/audit.ts'
import { buildResponse } from '../../src/gate-answer.ts'
import type { GateRequest } from '../../src/gate-request.ts'
import { Outage, refuse } from '../../src/refusal.ts'
import { buildToken, createMemoryLog, MUNGE_ALICE, requireOperation } from './in-memory-ports.ts'

const CANARY = 'canary-4711'

function setUp() {
  const log = createMemoryLog()
  const clock = { now: 5_000 }
  const request: GateRequest = {
    requestId: 'req',
    method: 'POST',
    target: `/${CANARY}?x=${CANARY}`,
    segments: [CANARY],
    search: `?x=${CANARY}`,
    rawHeaders: [['Authorization', `Bearer ${CANARY}`]],
    headers: new Headers({ authorization: `Bearer ${CANARY}` }),
    headBytes: 100,
    readBody: () => null,
    client: { address: '192.0.2.7', isDirectLoopback: false, hostAddresses: [] },
  }
  return { log, clock, trail: createAudit(log, () => clock.now)(request) }
}

const OPERATION = requireOperation('DELETE', '/slurm/v0.0.42/job/4711')

describe('the decision', () => {
  it('of a refusal before anybody is known names the rule and the client', async () => {
    const { log, trail } = setUp()
    const response = trail.refuse(refuse('token_expired'))
    expect(response.status).toBe(401)
    expect(log.lines).toHaveLength(1)
    expect(log.lines[0]).toMatchObject({
      event: 'decision',
      fields: { request_id: 'req', client: '192.0.2.7', principal: null, operation: null, rule: 'token_expired', outcome: 'refused', status: 401 },
    })
    expect(JSON.stringify(log.lines) + (await buildResponse(response).text())).not.toContain(CANARY)
  }) // prettier-ignore

  it('of a grant names principal, token id, operation, version and target', () => {
    const { log, trail } = setUp()
    trail.note({ principal: buildToken([], 'own') })
    trail.note({ operation: OPERATION })
    trail.allow('token_account')
    expect(log.lines.map(({ level, event, fields }) => ({ level, event, ...fields }))).toEqual([
      {
        level: 'audit',
        event: 'decision',
        request_id: 'req',
        client: '192.0.2.7',
        principal: 'alice',
        credential: 'token',
        token_id: 'tok_test',
        operation: 'DELETE /slurm/job/{job_id}',
        version: 'v0.0.42',
        target: '4711',
        rule: 'token_account',
        outcome: 'allowed',
      },
    ])
  })

  it('of a bulk call names the jobs that it lists', () => {
    const { log, trail } = setUp()
    trail.allow('token_account', { jobs: ['7', '8'] })
    expect(log.lines[0]?.fields).toMatchObject({
      rule: 'token_account',
      outcome: 'allowed',
      jobs: ['7', '8'],
    })
  })

  it('of a MUNGE caller has no token id', () => {
    const { log, trail } = setUp()
    trail.note({ principal: MUNGE_ALICE, operation: 'GET /openapi/v3' })
    trail.allow('any_credential')
    const expected = { principal: 'alice', credential: 'munge', token_id: null, operation: 'GET /openapi/v3' }
    expect(log.lines[0]?.fields).toMatchObject(expected)
  })

  it('that could not be made is an outage, at the level that wakes somebody', () => {
    const { log, trail } = setUp()
    const response = trail.fail(new Outage('token_store_unavailable', 'no connection'))
    expect(response.status).toBe(503)
    expect(log.lines).toHaveLength(1)
    expect(log.lines[0]).toMatchObject({ level: 'error', event: 'decision' })
    expect(log.lines[0]?.fields).toMatchObject({ rule: 'token_store_unavailable', outcome: 'outage', detail: 'no connection' })
  }) // prettier-ignore
})

describe('what became of a grant', () => {
  it('is a second line with slurmrestd’s status and the time it took', () => {
    const { log, clock, trail } = setUp()
    trail.allow('munge_user')
    clock.now += 12.4
    trail.answered(404)
    expect(log.lines.map(({ event }) => event)).toEqual(['decision', 'upstream'])
    expect(log.lines[1]?.fields).toEqual({ request_id: 'req', upstream_status: 404, milliseconds: 12 })
  })

  it('is no second decision when slurmrestd fails', () => {
    const { log, trail } = setUp()
    trail.allow('munge_user')
    expect(trail.fail(new Outage('upstream_timeout', 'slow')).status).toBe(504)
    expect(log.lines.map(({ event }) => event)).toEqual(['decision', 'upstream'])
    expect(log.lines[1]).toMatchObject({ level: 'error', fields: { rule: 'upstream_timeout', status: 504 } })
  })
})

describe('a failure that nobody foresaw', () => {
  it.each([
    ['an error', new Error(CANARY)],
    ['a text', CANARY],
    ['nothing', undefined],
    ['an object', { message: CANARY, toString: (): string => CANARY }],
    [
      'an outage by such an error',
      new Outage('token_store_unavailable', 'gone', { cause: new Error(CANARY) }),
    ],
  ])('(%s) shows its message to nobody: it may hold anything', async (_, cause) => {
    for (const isAllowed of [false, true]) {
      const { log, trail } = setUp()
      if (isAllowed) trail.allow('munge_user')
      const response = trail.fail(cause)
      expect([500, 503]).toContain(response.status)
      expect(JSON.stringify(log.lines) + (await buildResponse(response).text())).not.toContain(CANARY)
    }
  })

  it('is told to the operator by its class', () => {
    const { log, trail } = setUp()
    trail.fail(new TypeError(CANARY))
    expect(log.lines[0]?.fields).toMatchObject({ rule: 'internal_error', status: 500 })
    expect(JSON.stringify(log.lines)).toContain('TypeError')
  })
})
