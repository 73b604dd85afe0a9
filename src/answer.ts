/** Writes the gate's own answers: every header they all carry, and errors in Slurm's shape. Shows no secret. */

import { RATE_RETRY_AFTER_SECONDS, RETRY_AFTER_SECONDS } from './limits.ts'
import type { GateAnswer, HeaderField } from './gate-answer.ts'
import { formatVersion } from './operation.ts'
import { findRuleAnswer, type Refusal, type Rule } from './refusal.ts'

/** RFC 9110 section 11.6.1: both schemes, in one field line. */
const MUNGE_CHALLENGE = 'MUNGE realm="slurm"'
const BEARER_CHALLENGE = 'Bearer realm="slurm"'

/**
 * Fields of every answer. What a caller may see depends on its credential, so no shared cache may keep it.
 * @param version the NN of v0.0.NN that was asked for.
 */
export function buildHeaders(requestId: string, version?: number): HeaderField[] {
  const headers: HeaderField[] = [['X-Request-Id', requestId], CACHE_CONTROL, VARY]
  if (version !== undefined) headers.push(['X-Slurm-Api-Version', formatVersion(version)])
  return headers
}

const CACHE_CONTROL: HeaderField = ['Cache-Control', 'private, no-cache']
const VARY: HeaderField = ['Vary', 'Authorization, X-Slurm-User-Name, X-Slurm-User-Token']

export function answerText(requestId: string, text: string): GateAnswer {
  return answer(requestId, 200, 'text/plain', text)
}

export function answerJson(requestId: string, value: unknown, status = 200): GateAnswer {
  return answer(requestId, status, 'application/json', JSON.stringify(value))
}

export function answerRefusal(requestId: string, refusal: Refusal): GateAnswer {
  const told = answerRule(requestId, refusal.rule, refusal.description)
  const more: HeaderField[] = told.status === 401 ? buildChallenges(refusal) : []
  if (told.status === 403 && refusal.scope !== undefined) {
    const challenge = `${BEARER_CHALLENGE}, error="insufficient_scope", scope="${refusal.scope}"`
    more.push(['WWW-Authenticate', challenge])
  }
  if (refusal.allow !== undefined) more.push(['Allow', refusal.allow.join(', ')])
  return { ...told, headers: [...told.headers, ...more] }
}

/** @param description replaces the table's text; never operator text. */
export function answerRule(requestId: string, rule: Rule, description?: string): GateAnswer {
  const known = findRuleAnswer(rule)
  const told = answerJson(
    requestId,
    buildErrorBody(requestId, rule, description ?? known.description),
    known.status,
  )
  const seconds = RETRY_AFTER[known.status]
  return seconds === undefined
    ? told
    : { ...told, headers: [...told.headers, ['Retry-After', String(seconds)]] }
}

const RETRY_AFTER: Readonly<Record<number, number>> = {
  503: RETRY_AFTER_SECONDS,
  429: RATE_RETRY_AFTER_SECONDS,
}

/** The four keys that clients read (measured), in Slurm's envelope. */
function buildErrorBody(requestId: string, rule: Rule, description: string): unknown {
  return {
    meta: { plugin: { type: 'slurmgate', name: 'slurmgate' } },
    errors: [{ description, error_number: findRuleAnswer(rule).number, error: rule, source: 'slurmgate' }],
    warnings: [],
    request_id: requestId,
  }
}

function buildChallenges({ rule }: Refusal): HeaderField[] {
  const { bearerError } = findRuleAnswer(rule)
  const error = bearerError === undefined ? '' : `, error="${bearerError}"`
  return [['WWW-Authenticate', `${MUNGE_CHALLENGE}, ${BEARER_CHALLENGE}${error}`]]
}

const encoder = new TextEncoder()

function answer(requestId: string, status: number, contentType: string, text: string): GateAnswer {
  const body = encoder.encode(text)
  const headers = buildHeaders(requestId)
  headers.push(['Content-Type', contentType], ['Content-Length', String(body.length)])
  return { status, headers, body }
}
