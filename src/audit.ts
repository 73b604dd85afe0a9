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
  return (request) => new RequestTrail(request, log, now)
}

class RequestTrail implements Trail {
  readonly #request: Pick<GateRequest, 'requestId' | 'client'>
  readonly #log: Log
  readonly #now: Clock
  #principal: Principal | null = null
  #operation: Operation | string | null = null
  #allowedAt: number | null = null

  constructor(request: Pick<GateRequest, 'requestId' | 'client'>, log: Log, now: Clock) {
    this.#request = request
    this.#log = log
    this.#now = now
  }

  note(known: { principal?: Principal; operation?: Operation | string }): void {
    this.#principal = known.principal ?? this.#principal
    this.#operation = known.operation ?? this.#operation
  }

  allow(rule: GrantRule | 'any_credential', { jobs = [], cache }: AllowedCall = {}): void {
    this.#allowedAt = this.#now()
    const more: LineFields = {}
    if (jobs.length > 0) more['jobs'] = jobs
    if (cache === 'HIT' || cache === 'COALESCED') more['cache'] = cache
    this.#decide('audit', rule, 'allowed', more)
  }

  refuse(refusal: Refusal): GateAnswer {
    const answer = answerRefusal(this.#request.requestId, refusal)
    this.#decide('audit', refusal.rule, 'refused', { status: answer.status })
    return answer
  }

  fail(cause: unknown): GateAnswer {
    const outage =
      cause instanceof Outage ? cause : new Outage('internal_error', 'unforeseen failure', { cause })
    const { requestId } = this.#request
    const answer = answerRule(requestId, outage.rule)
    const { status } = answer
    const detail = describeOutage(outage)
    if (this.#allowedAt === null) this.#decide('error', outage.rule, 'outage', { status, detail })
    else this.#log.write('error', 'upstream', { request_id: requestId, rule: outage.rule, status, detail })
    return answer
  }

  answered(upstreamStatus: number): void {
    const milliseconds = this.#allowedAt === null ? null : Math.round(this.#now() - this.#allowedAt)
    const { requestId } = this.#request
    const fields = { request_id: requestId, upstream_status: upstreamStatus, milliseconds }
    this.#log.write('audit', 'upstream', fields)
  }

  found({ state, answer, outage }: Found): void {
    if (outage === null) {
      if (state === 'MISS' || state === 'BYPASS') this.answered(answer.status)
      return
    }
    const { requestId } = this.#request
    const fields = { request_id: requestId, rule: outage.rule, cache: state, detail: describeOutage(outage) }
    this.#log.write('error', 'upstream', fields)
  }

  whenWritten(): Promise<void> | null {
    return this.#log.whenWritten?.() ?? null
  }

  #decide(level: 'audit' | 'error', rule: string, outcome: string, more: LineFields): void {
    const { requestId, client } = this.#request
    const line: LineFields = { request_id: requestId, client: client?.address ?? null }
    addPrincipal(line, this.#principal)
    addOperation(line, this.#operation)
    line['rule'] = rule
    line['outcome'] = outcome
    this.#log.write(level, 'decision', Object.assign(line, more))
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
