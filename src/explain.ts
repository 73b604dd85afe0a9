/**
 * Says how the gate would decide on a request, and by which rule, without forwarding it. The answer is the decision's
 * own: the same judge is asked.
 */

import type { Grant } from './authorize.ts'
import type { Judge, JudgedRequest } from './judge.ts'
import { formatVersion, parseSegments, type Operation } from './operation.ts'
import { findOwnPathAccess } from './own-path.ts'
import type { Principal } from './principal.ts'
import { findRuleAnswer, isRefusal, Outage, type Refusal, type Rule } from './refusal.ts'
import { buildUpstreamCall } from './upstream-request.ts'

/** The request in question, as a caller would send it. */
export interface Question {
  readonly method: string
  /** Path and query, as after the host name, below the base path. */
  readonly target: string
  readonly contentType: string | null
  readonly body: Uint8Array<ArrayBuffer> | null
}

/** For people and programs; names of members are part of the outside. */
export interface Explanation {
  /** `undecided`: a dependency that the decision needs did not answer. */
  readonly decision: 'allowed' | 'refused' | 'undecided'
  /** Stable name of the rule that decided. */
  readonly rule: string
  /** The status such a request would be refused with; null: it would be forwarded. */
  readonly status: number | null
  readonly description: string | null
  readonly operation: string | null
  readonly effect: 'read' | 'write' | null
  /** The version that `latest` or the path means. */
  readonly version: string | null
  /** What the operation asks of an API token: a scope, `any`, or `closed`. */
  readonly access: string | null
  readonly account: string | null
  /** Where an account could hide in this operation. */
  readonly accounts_in: string | null
  /** Jobs that were looked up in Slurm and found in the account. */
  readonly checked_jobs: readonly string[]
  /** What slurmrestd would be sent. */
  readonly forwards: { readonly method: string; readonly target: string } | null
}

export async function explain(judge: Judge, principal: Principal, question: Question): Promise<Explanation> {
  const request = buildRequest(question)
  const ownAccess = findOwnPathAccess(request.segments?.join('/') ?? '')
  if (ownAccess !== null) return { ...describeKnown(principal, null), decision: 'allowed', rule: ownAccess }
  let operation: Operation | null = null
  try {
    const decision = await judge(request, principal, (found) => (operation = found))
    return describe(principal, operation, decision)
  } catch (cause) {
    if (!(cause instanceof Outage)) throw cause
    const { status, description } = findRuleAnswer(cause.rule)
    const known = describeKnown(principal, operation)
    return { ...known, decision: 'undecided', rule: cause.rule, status, description }
  }
}

function buildRequest({ method, target, contentType, body }: Question): JudgedRequest {
  const url = new URL(`http://gate.invalid/${target.replace(/^\/+/, '')}`)
  const headers = new Headers()
  // What no header could carry is no type at all.
  if (contentType !== null && /^[ -~]*$/.test(contentType)) headers.set('content-type', contentType)
  if (body !== null) headers.set('content-length', String(body.length))
  return {
    method: method.toUpperCase(),
    segments: parseSegments(url.pathname),
    search: url.search,
    headers,
    readBody: () => (body === null ? null : new Response(body).body),
  }
}

function describe(principal: Principal, operation: Operation | null, decision: Grant | Refusal): Explanation {
  const known = describeKnown(principal, operation)
  if (isRefusal(decision)) {
    const { status, description } = findRuleAnswer(decision.rule satisfies Rule)
    const text = decision.description ?? description
    return { ...known, decision: 'refused', rule: decision.rule, status, description: text }
  }
  const { method, target } = buildUpstreamCall(decision, new Headers())
  return {
    ...known,
    decision: 'allowed',
    rule: decision.rule,
    checked_jobs: decision.checkedJobs,
    forwards: { method, target },
  }
}

function describeKnown(principal: Principal, operation: Operation | null): Explanation {
  const route = operation?.route
  return {
    decision: 'undecided',
    rule: '',
    status: null,
    description: null,
    operation: route === undefined ? null : `${route.method} ${route.template}`,
    effect: route?.effect ?? null,
    version: operation === null ? null : formatVersion(operation.version),
    access: route?.access ?? null,
    account: principal.method === 'token' ? principal.account : null,
    accounts_in: route?.accountsIn ?? null,
    checked_jobs: [],
    forwards: null,
  }
}
