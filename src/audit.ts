/**
 * The trail of one request on the operator's log: one JSON line for the decision, written before anything goes
 * upstream, and one for what became of it. Holds names and parsed parts only: never a credential, never the client's
 * own path, query or body.
 */

import { answerRefusal, answerRule } from './answer.ts'
import type { CacheState, Found } from './answers/found.ts'
import type { GateAnswer } from './gate-answer.ts'
import type { GateRequest } from './gate-request.ts'
import type { GrantRule } from './authorize.ts'
import { formatVersion, type Operation } from './operation.ts'
import type { Clock, Log } from './ports.ts'
import type { Principal } from './principal.ts'
import { Outage, type Refusal } from './refusal.ts'

/** Written to by the pipeline, read by nobody but the log. */
export interface Trail {
  /** What the lines name from here on. `operation`: parsed, or the name of one of the gate's own paths. */
  note(known: { principal?: Principal; operation?: Operation | string }): void
  allow(rule: GrantRule | 'any_credential', known?: AllowedCall): void
  refuse(refusal: Refusal): GateAnswer
  /** No decision could be made, or it could not be carried out. @param cause whatever was thrown. */
  fail(cause: unknown): GateAnswer
  /** slurmrestd answered the allowed request. */
  answered(upstreamStatus: number): void
  /** An answer was found for it, be it slurmrestd's to somebody who asked the same: then there is nothing to add. */
  found(found: Found): void
  /** When every line so far is written. @returns null: all are. */
  whenWritten(): Promise<void> | null
}

/** What the decision's line says beside the rule. */
interface AllowedCall {
  /** That the call lists in its document, canonical ids. */
  readonly jobs?: readonly string[]
  /** Where the answer comes from. */
  readonly cache?: CacheState
}

export function createAudit(
  log: Log,
  now: Clock,
): (request: Pick<GateRequest, 'requestId' | 'client'>) => Trail {
  return function begin(request) {
    const { requestId } = request
    let subject: { principal?: Principal; operation?: Operation | string } = {}
    let allowedAt: number | null = null
    const decide = (level: 'audit' | 'error', rule: string, outcome: string, more = {}): void =>
      log.write(level, 'decision', {
        request_id: requestId,
        client: request.client?.address ?? null,
        ...describePrincipal(subject.principal),
        ...describeOperation(subject.operation),
        rule,
        outcome,
        ...more,
      })
    const answered = (upstreamStatus: number): void => {
      const milliseconds = allowedAt === null ? null : Math.round(now() - allowedAt)
      const fields = { request_id: requestId, upstream_status: upstreamStatus, milliseconds }
      log.write('audit', 'upstream', fields)
    }
    return {
      note(known) {
        subject = { ...subject, ...known }
      },
      allow(rule, { jobs = [], cache } = {}) {
        allowedAt = now()
        const isShared = cache === 'HIT' || cache === 'COALESCED'
        decide('audit', rule, 'allowed', { ...(jobs.length > 0 && { jobs }), ...(isShared && { cache }) })
      },
      refuse(refusal) {
        const answer = answerRefusal(requestId, refusal)
        decide('audit', refusal.rule, 'refused', { status: answer.status })
        return answer
      },
      fail(cause) {
        const outage =
          cause instanceof Outage ? cause : new Outage('internal_error', 'unforeseen failure', { cause })
        const answer = answerRule(requestId, outage.rule)
        const { status } = answer
        const detail = describeOutage(outage)
        if (allowedAt === null) decide('error', outage.rule, 'outage', { status, detail })
        else log.write('error', 'upstream', { request_id: requestId, rule: outage.rule, status, detail })
        return answer
      },
      answered,
      found({ state, answer, outage }) {
        if (outage !== null) {
          const { rule } = outage
          const fields = { request_id: requestId, rule, cache: state, detail: describeOutage(outage) }
          log.write('error', 'upstream', fields)
        } else if (state === 'MISS' || state === 'BYPASS') answered(answer.status)
      },
      whenWritten: () => log.whenWritten?.() ?? null,
    }
  }
}

function describePrincipal(principal: Principal | undefined): Record<string, string | boolean | null> {
  return {
    principal: principal?.slurmUser ?? null,
    credential: principal?.method ?? null,
    token_id: principal?.method === 'token' ? principal.tokenId : null,
    // Whose writes MUNGE_REQUIRE_BINDING would refuse.
    ...(principal?.method === 'munge' && { is_bound: principal.boundDigest !== null }),
  }
}

function describeOperation(operation: Operation | string | undefined): Record<string, string | null> {
  if (typeof operation !== 'object') return { operation: operation ?? null }
  const { route, version, ids } = operation
  const target = Object.values(ids).join(' ')
  return {
    operation: `${route.method} ${route.template}`,
    version: formatVersion(version),
    ...(target === '' ? {} : { target }),
  }
}

/** Our own words, and the class of what lies under them; messages of other people's errors may hold anything. */
function describeOutage(outage: Outage): string {
  return outage.cause instanceof Error ? `${outage.message} (${outage.cause.name})` : outage.message
}
