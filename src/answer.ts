/** Writes the gate's own answers: every header they all carry, and errors in Slurm's shape. Shows no secret. */

import { RATE_RETRY_AFTER_SECONDS, RETRY_AFTER_SECONDS } from './limits.ts'
import { formatVersion } from './operation.ts'
import { findRuleAnswer, type Refusal, type Rule } from './refusal.ts'

/** RFC 9110 section 11.6.1: both schemes, one field line each. */
const MUNGE_CHALLENGE = 'MUNGE realm="slurm"'
const BEARER_CHALLENGE = 'Bearer realm="slurm"'

/** Headers of every answer. What a caller may see depends on its credential, so no shared cache may keep it. */
/** @param version the NN of v0.0.NN that was asked for. */
export function buildHeaders(requestId: string, version?: number): Headers {
  const headers = new Headers({
    'X-Request-Id': requestId,
    'Cache-Control': 'private, no-cache',
    Vary: 'Authorization, X-Slurm-User-Name, X-Slurm-User-Token',
  })
  if (version !== undefined) headers.set('X-Slurm-Api-Version', formatVersion(version))
  return headers
}

export function answerText(requestId: string, text: string): Response {
  return answer(requestId, 200, 'text/plain', text)
}

export function answerJson(requestId: string, value: unknown, status = 200): Response {
  return answer(requestId, status, 'application/json', JSON.stringify(value))
}

export function answerRefusal(requestId: string, refusal: Refusal): Response {
  const response = answerRule(requestId, refusal.rule, refusal.description)
  const { status } = response
  if (status === 401) addChallenges(response.headers, refusal)
  if (status === 403 && refusal.scope !== undefined) {
    response.headers.set(
      'WWW-Authenticate',
      `${BEARER_CHALLENGE}, error="insufficient_scope", scope="${refusal.scope}"`,
    )
  }
  if (refusal.allow !== undefined) response.headers.set('Allow', refusal.allow.join(', '))
  return response
}

/** @param description replaces the table's text; never operator text. */
export function answerRule(requestId: string, rule: Rule, description?: string): Response {
  const known = findRuleAnswer(rule)
  const response = answerJson(
    requestId,
    buildErrorBody(requestId, rule, description ?? known.description),
    known.status,
  )
  if (known.status === 503) response.headers.set('Retry-After', String(RETRY_AFTER_SECONDS))
  if (known.status === 429) response.headers.set('Retry-After', String(RATE_RETRY_AFTER_SECONDS))
  return response
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

function addChallenges(headers: Headers, refusal: Refusal): void {
  const { bearerError } = findRuleAnswer(refusal.rule)
  headers.append('WWW-Authenticate', MUNGE_CHALLENGE)
  headers.append(
    'WWW-Authenticate',
    bearerError === undefined ? BEARER_CHALLENGE : `${BEARER_CHALLENGE}, error="${bearerError}"`,
  )
}

function answer(requestId: string, status: number, contentType: string, text: string): Response {
  const bytes = new TextEncoder().encode(text)
  const headers = buildHeaders(requestId)
  headers.set('Content-Type', contentType)
  headers.set('Content-Length', String(bytes.length))
  return new Response(bytes, { status, headers })
}
