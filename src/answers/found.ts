/** An answer of slurmrestd's on its way to a client, and what the client is told of where it was found. */

import { buildHeaders } from '../answer.ts'
import { buildForwarded } from '../forward.ts'
import type { GateAnswer } from '../gate-answer.ts'
import type { GateRequest } from '../gate-request.ts'
import type { UpstreamAnswer } from '../ports.ts'
import type { Outage } from '../refusal.ts'
import { isMatch, type WholeAnswer } from './whole-answer.ts'

/**
 * `X-Cache`. `HIT`: from memory. `COALESCED`: of a call that was under way. `MISS`: asked for, and kept where it may be.
 * `STALE`: from memory, because slurmrestd could not be reached. `BYPASS`: memory has no part in it.
 */
export type CacheState = 'HIT' | 'MISS' | 'COALESCED' | 'STALE' | 'BYPASS'

export interface Found {
  readonly state: CacheState
  readonly answer: UpstreamAnswer
  readonly etag: string | null
  /** null: as new as this request. */
  readonly ageSeconds: number | null
  /** Of the call that failed, with `STALE`. */
  readonly outage: Outage | null
  /** To be called once, when the client has it or has gone. */
  readonly release: () => void
}

export function presentWhole(
  state: CacheState,
  { answer, etag, askedAt, held }: WholeAnswer,
  now: number,
): Found {
  const isOld = state === 'HIT' || state === 'STALE' || state === 'COALESCED'
  const ageSeconds = isOld ? Math.max(0, Math.floor((now - askedAt) / 1000)) : null
  return { state, answer, etag, ageSeconds, outage: null, release: () => held.release() }
}

export function presentPlain(state: CacheState, answer: UpstreamAnswer): Found {
  return { state, answer, etag: null, ageSeconds: null, outage: null, release: () => undefined }
}

/** What of a request decides the form of its answer. */
interface Conditions {
  readonly requestId: string
  /** null: the client has no answer that could still be good (RFC 9110 section 13.1.2). */
  readonly ifNoneMatch: string | null
}

export function readConditions({ requestId, headers }: GateRequest): Conditions {
  return { requestId, ifNoneMatch: headers.get('if-none-match') }
}

export function deliverFound(found: Found, request: Conditions, version: number): GateAnswer {
  const headers = buildHeaders(request.requestId, version)
  headers.push(['X-Cache', found.state])
  if (found.ageSeconds !== null) headers.push(['Age', String(found.ageSeconds)])
  if (found.etag !== null) headers.push(['ETag', found.etag])
  if (isMatch(request.ifNoneMatch, found.etag)) {
    found.release()
    return { status: 304, headers, body: null }
  }
  const { status, body } = buildForwarded(found.answer, headers)
  return { status, headers, body, onDelivered: found.release }
}
