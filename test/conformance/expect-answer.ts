/** What every refusal and every forwarded call has to look like, so that each case checks all of it. */

import { expect } from 'vitest'
import { findRuleAnswer, type Rule } from '../../src/refusal.ts'
import { findHeader, findHeaders, type RawAnswer } from '../support/raw-http.ts'
import type { RecordedRequest } from '../support/fake-slurmrestd.ts'
import type { Bench } from './bench.ts'

interface ErrorBody {
  readonly meta: { readonly plugin: { readonly type: string } }
  readonly errors: readonly {
    readonly description: string
    readonly error_number: number
    readonly error: string
    readonly source: string
  }[]
  readonly warnings: readonly unknown[]
  readonly request_id: string
}

/** One of the rules, in the contract's shape, and nothing was forwarded. @returns the description for the caller. */
export function expectRefusal(bench: Bench, answer: RawAnswer, ...rules: readonly [Rule, ...Rule[]]): string {
  const { status, description } = expectRule(answer, ...rules)
  expect(status, 'status').toBe(answer.status)
  expectNothingForwarded(bench)
  return description
}

/** The same for a call that did reach slurmrestd, or its door. */
export function expectOutage(answer: RawAnswer, ...rules: readonly [Rule, ...Rule[]]): void {
  expectRule(answer, ...rules)
}

export function expectNothingForwarded(bench: Bench): void {
  expect(bench.world.upstream.operations.map(({ method, target }) => `${method} ${target}`)).toEqual([])
}

/** Exactly one call reached slurmrestd. */
export function expectForwarded(bench: Bench, answer: RawAnswer, status = 200): RecordedRequest {
  expect(answer.status, answer.body.toString('utf8').slice(0, 400)).toBe(status)
  const [request, ...others] = bench.world.upstream.operations
  expect(others.map(({ method, target }) => `${method} ${target}`)).toEqual([])
  if (request === undefined) throw new Error('nothing was forwarded')
  return request
}

/** The path of a recorded request as slurmrestd matches it: its trailing slash says nothing. */
export function readPath(request: RecordedRequest): string {
  return (request.target.split('?')[0] ?? '').replace(/(?<=.)\/$/, '')
}

export function readSent(request: RecordedRequest, name: string): string | null {
  return request.headers.find(([given]) => given.toLowerCase() === name.toLowerCase())?.[1] ?? null
}

export function readJson(answer: { readonly body: Buffer }): unknown {
  return JSON.parse(answer.body.toString('utf8'))
}

function expectRule(
  answer: RawAnswer,
  ...rules: readonly [Rule, ...Rule[]]
): { status: number; description: string } {
  const body = readErrorBody(answer)
  const [error] = body.errors
  if (error === undefined) throw new Error('no error in the body')
  const rule = rules.find((candidate) => candidate === error.error)
  if (rule === undefined) {
    throw new Error(`wanted ${rules.join(' or ')}, got ${String(answer.status)} ${error.error}`)
  }
  const expected = findRuleAnswer(rule)
  expect(answer.status).toBe(expected.status)
  expect(body).toMatchObject({
    meta: { plugin: { type: 'slurmgate' } },
    errors: [{ error_number: expected.number, error: rule, source: 'slurmgate' }],
    warnings: [],
  })
  expect(body.errors).toHaveLength(1)
  expect(error.description.length).toBeGreaterThan(10)
  expect(findHeader(answer, 'content-type')).toBe('application/json')
  expect(body.request_id).toBe(findHeader(answer, 'x-request-id'))
  expect(body.request_id).toMatch(/^\S{8,}$/)
  expectChallenge(answer, expected.bearerError)
  const retryAfter = findHeader(answer, 'retry-after')
  if (answer.status === 503 || answer.status === 429) expect(retryAfter).toMatch(/^[1-9]\d*$/)
  else expect(retryAfter).toBeNull()
  return { status: expected.status, description: error.description }
}

function expectChallenge(answer: RawAnswer, bearerError: string | undefined): void {
  const challenge = findHeaders(answer, 'www-authenticate').join(', ')
  if (answer.status === 401) {
    // RFC 9110 section 11.6.1: a 401 names the schemes; RFC 6750 section 3: the error of a bearer token.
    expect(challenge).toMatch(/(^|, )MUNGE\b/i)
    expect(challenge).toMatch(/(^|, )Bearer\b/i)
    if (bearerError === undefined) expect(challenge).not.toContain('error=')
    else expect(challenge).toContain(`error="${bearerError}"`)
  }
  if (bearerError === 'insufficient_scope') {
    expect(challenge).toContain('error="insufficient_scope"')
    expect(challenge).toMatch(/scope="[a-z:]+"/)
  }
}

function readErrorBody(answer: RawAnswer): ErrorBody {
  try {
    return JSON.parse(answer.body.toString('utf8')) as ErrorBody
  } catch {
    const text = answer.body.toString('utf8').slice(0, 200)
    throw new Error(`wanted an error in JSON, got ${String(answer.status)} "${text}"`)
  }
}
