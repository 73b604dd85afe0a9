/** CONTRACT "HTTP": fixed numbers between 20000 and 20999, statuses by kind, answers in Slurm's shape. */

import { describe, expect, it } from 'vitest'
import * as gate from '../../src/answer.ts'
import { buildResponse } from '../../src/gate-answer.ts'
import { OUTAGES } from '../../src/outages.ts'
import {
  findRuleAnswer,
  isRefusal,
  Outage,
  REFUSALS,
  refuse,
  type Refusal,
  type RefusalRule,
  type Rule,
} from '../../src/refusal.ts'

const refusals = Object.keys(REFUSALS) as RefusalRule[]
const outages = Object.keys(OUTAGES) as (keyof typeof OUTAGES)[]
const rules: Rule[] = [...refusals, ...outages]
const ID = '0123456789abcdef'
const answerRule = (id: string, rule: Rule) => buildResponse(gate.answerRule(id, rule))
const answerRefusal = (id: string, refusal: Refusal) => buildResponse(gate.answerRefusal(id, refusal))

describe('the table', () => {
  it('gives each rule one number of its own, clear of Slurm’s', () => {
    const numbers = rules.map((rule) => findRuleAnswer(rule).number)
    expect(new Set(numbers).size).toBe(rules.length)
    for (const number of numbers) {
      expect(Number.isInteger(number)).toBe(true)
      expect(number).toBeGreaterThanOrEqual(20_000)
      expect(number).toBeLessThanOrEqual(20_999)
    }
    expect(new Set(rules).size).toBe(rules.length)
  })

  it('names rules in stable snake_case and says what to do next, in one line of ASCII without a secret', () => {
    for (const rule of rules) {
      expect(rule).toMatch(/^[a-z]+(_[a-z]+)*$/)
      expect(findRuleAnswer(rule).description).toMatch(/^[ -~]{20,250}$/)
    }
  })

  it('answers refusals with 4xx and outages with 5xx: nobody is blamed for a dependency', () => {
    for (const rule of refusals) expect(Math.floor(REFUSALS[rule].status / 100), rule).toBe(4)
    for (const rule of outages) expect(Math.floor(OUTAGES[rule].status / 100), rule).toBe(5)
  })

  it.each<[number, RegExp]>([
    [401, /^(token_|munge_(?!off$)|munge_off$|credential_(missing|empty|too_long|scheme_unknown)$|user_name_|slurm_token_presented$)/],
    [400, /^(credential_(conflict|repeated)|version_not_served|query_|body_(not_allowed|malformed)|json_malformed|job_malformed|document_harmful)/],
    [403, /^(insufficient_scope|operation_closed|account_mismatch|job_field_not_allowed)$/],
    [404, /^path_/],
    [405, /^method_not_allowed$/],
    [413, /^body_too_large$/],
    [415, /^content_type_unsupported$/],
    [429, /^rate_limited$/],
    [431, /^head_too_large$/],
  ])('%i is for these refusals and no others', (status, pattern) => {
    for (const rule of refusals) expect(REFUSALS[rule].status === status, rule).toBe(pattern.test(rule))
  }) // prettier-ignore

  it.each<[number, RegExp]>([
    [500, /^internal_error$/],
    [502, /^(upstream_unreachable|slurm_token_refused|job_check_failed)$/],
    [504, /^upstream_timeout$/],
    [503, /_unavailable$|^versions_unknown$|^(verifier_)?overloaded$|^job_check_stale$/],
  ])('%i is for these outages and no others', (status, pattern) => {
    for (const rule of outages) expect(OUTAGES[rule].status === status, rule).toBe(pattern.test(rule))
  })

  it('has the numbers that were published', () => {
    const published = { credential_missing: 20100, token_expired: 20122, munge_ttl_too_long: 20141, munge_replayed: 20144, munge_wrong_host: 20145, account_mismatch: 20302, slurm_token_refused: 20611 } as const
    for (const [rule, number] of Object.entries(published)) expect(findRuleAnswer(rule as Rule).number).toBe(number)
  }) // prettier-ignore
})

describe('an answer', () => {
  it('has Slurm’s shape with the four keys that clients read, for every rule', async () => {
    for (const rule of rules) {
      const response = answerRule(ID, rule)
      const { status, number, description } = findRuleAnswer(rule)
      expect(response.status).toBe(status)
      expect(response.headers.get('content-type')).toBe('application/json')
      expect(response.headers.get('x-request-id')).toBe(ID)
      expect(response.headers.get('cache-control')).toBe('private, no-cache')
      expect(response.headers.get('vary')).toBe('Authorization, X-Slurm-User-Name, X-Slurm-User-Token')
      expect(response.headers.get('retry-after') !== null).toBe(status === 503 || status === 429)
      const text = await response.text()
      expect(response.headers.get('content-length')).toBe(String(new TextEncoder().encode(text).length))
      expect(JSON.parse(text)).toMatchObject({
        meta: { plugin: { type: 'slurmgate' } },
        errors: [{ description, error_number: number, error: rule, source: 'slurmgate' }],
        warnings: [],
        request_id: ID,
      })
    }
  })

  it('challenges with both schemes on every 401 and on no other (RFC 9110 section 11.6.1)', () => {
    for (const rule of refusals) {
      const challenge = answerRefusal(ID, refuse(rule)).headers.get('www-authenticate')
      if (REFUSALS[rule].status !== 401) expect(challenge, rule).toBeNull()
      else
        expect(challenge, rule).toMatch(
          /^MUNGE realm="slurm", Bearer realm="slurm"(, error="invalid_token")?$/,
        )
    }
  })

  it('has no error in the challenge to a request without a credential (RFC 6750 section 3.1)', () => {
    expect(answerRefusal(ID, refuse('credential_missing')).headers.get('www-authenticate')).not.toContain(
      'error=',
    )
  })

  it('names the bearer error for every token that is no good', () => {
    for (const rule of refusals.filter(
      (name) => name.startsWith('token_') || name === 'slurm_token_presented',
    )) {
      expect(answerRefusal(ID, refuse(rule)).headers.get('www-authenticate')).toContain(
        'error="invalid_token"',
      )
    }
  })

  it('names the scope that is missing, and the methods there are', () => {
    const scope = answerRefusal(ID, refuse('insufficient_scope', { scope: 'slurm:read' }))
    expect(scope.headers.get('www-authenticate')).toBe('Bearer realm="slurm", error="insufficient_scope", scope="slurm:read"')
    const method = answerRefusal(ID, refuse('method_not_allowed', { allow: ['GET', 'POST'] }))
    expect(method.headers.get('allow')).toBe('GET, POST')
  }) // prettier-ignore
})

describe('an outage', () => {
  it('keeps its detail and cause out of the answer', async () => {
    const outage = new Outage('token_store_unavailable', 'canary-detail', {
      cause: new Error('canary-cause'),
    })
    expect(await answerRule(ID, outage.rule).text()).not.toContain('canary')
  })

  it('is thrown, and is no refusal', () => {
    expect(isRefusal(new Outage('internal_error', 'x'))).toBe(false)
    expect(isRefusal(refuse('path_unknown'))).toBe(true)
    for (const value of [null, undefined, 'refusal', { kind: 'grant' }, []])
      expect(isRefusal(value)).toBe(false)
  })
})
