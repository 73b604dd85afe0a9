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
    let principal: Principal | null = null
    let operation: Operation | string | null = null
    let allowedAt: number | null = null
    const decide = (level: 'audit' | 'error', rule: string, outcome: string, more: LineFields = {}): void => {
      const line: LineFields = { request_id: requestId, client: request.client?.address ?? null }
      addPrincipal(line, principal)
      addOperation(line, operation)
      line['rule'] = rule
      line['outcome'] = outcome
      log.write(level, 'decision', Object.assign(line, more))
    }
    const answered = (upstreamStatus: number): void => {
      const milliseconds = allowedAt === null ? null : Math.round(now() - allowedAt)
      const fields = { request_id: requestId, upstream_status: upstreamStatus, milliseconds }
      log.write('audit', 'upstream', fields)
    }
    return {
      note(known) {
        principal = known.principal ?? principal
        operation = known.operation ?? operation
      },
      allow(rule, { jobs = [], cache } = {}) {
        allowedAt = now()
        const more: LineFields = {}
        if (jobs.length > 0) more['jobs'] = jobs
        if (cache === 'HIT' || cache === 'COALESCED') more['cache'] = cache
        decide('audit', rule, 'allowed', more)
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

type LineFields = Record<string, unknown>

function addPrincipal(line: LineFields, principal: Principal | null): void {
  line['principal'] = principal?.slurmUser ?? null
  line['credential'] = principal?.method ?? null
  line['token_id'] = principal?.method === 'token' ? principal.tokenId : null
  // Whose writes MUNGE_REQUIRE_BINDING would refuse.
  if (principal?.method === 'munge') line['is_bound'] = principal.boundDigest !== null
}

function addOperation(line: LineFields, operation: Operation | string | null): void {
  if (operation === null || typeof operation === 'string') {
    line['operation'] = operation
    return
  }
  const { route, version, ids } = operation
  line['operation'] = `${route.method} ${route.template}`
  line['version'] = formatVersion(version)
  const target = Object.values(ids).join(' ')
  if (target !== '') line['target'] = target
}

/** Our own words, and the class of what lies under them; messages of other people's errors may hold anything. */
function describeOutage(outage: Outage): string {
  return outage.cause instanceof Error ? `${outage.message} (${outage.cause.name})` : outage.message
}
