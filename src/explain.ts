/**
 * Says how the gate would decide on a request, and by which rule, without forwarding it. The answer is the decision's
 * own: the same judges are asked, in the gate's order.
 */

import type { Grant, GrantRule } from './authorize.ts'
import type { Judge, JudgedRequest } from './judge.ts'
import { HEAD_MAX_BYTES } from './limits.ts'
import { formatVersion, parseSegments, type Operation } from './operation.ts'
import { describeOwnRoute, findOwnRoute, type JudgeOwnCall, type OwnRoute } from './own-path.ts'
import type { Principal } from './principal.ts'
import type { Question } from './question.ts'
import { findRuleAnswer, isRefusal, Outage, refuse, type Refusal, type Rule } from './refusal.ts'
import { buildUpstreamCall } from './upstream-request.ts'

export interface ExplainOptions {
  readonly judge: Judge
  readonly judgeOwnCall: JudgeOwnCall
}

/** For people and programs; names of members are part of the outside. */
export interface Explanation {
  /** `undecided`: a dependency that the decision needs did not answer. */
  readonly decision: 'allowed' | 'refused' | 'undecided'
  /** Stable name of the rule that decided. */
  readonly rule: Rule | GrantRule | OwnRoute['access']
  /** The status of the gate's own answer, refused or undecided; null: the request would be let through. */
  readonly status: number | null
  readonly description: string | null
  readonly operation: string | null
  readonly effect: 'read' | 'write' | null
  /** The version that `latest` or the path means; null on the gate's own paths too. */
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

/** What is known of a request whatever was decided on it. */
type Known = Omit<Explanation, 'decision' | 'rule' | 'status' | 'description'>

/** @param caller whom the credential proves, or why it proves nobody. */
export async function explain(
  { judge, judgeOwnCall }: ExplainOptions,
  caller: Principal | Refusal,
  question: Question,
): Promise<Explanation> {
  const known = describeCaller(caller)
  const { target, contentType } = question
  if (target.length + (contentType?.length ?? 0) > HEAD_MAX_BYTES)
    return describeRefusal(refuse('head_too_large'), known)
  const request = buildRequest(question)
  const route = findOwnRoute(request.segments)
  if (route !== null && (route.access === 'public' || !isRefusal(caller))) {
    const call = await judgeOwnCall(route, request)
    const own = { ...known, ...describeRoute(route) }
    return isRefusal(call) ? describeRefusal(call, own) : describeOwnCall(route, own)
  }
  if (isRefusal(caller)) return describeRefusal(caller, known)
  let operation: Operation | null = null
  try {
    const decision = await judge(request, caller, (found) => (operation = found))
    const found = { ...known, ...describeOperation(operation) }
    return isRefusal(decision) ? describeRefusal(decision, found) : describeGrant(decision, found)
  } catch (cause) {
    if (!(cause instanceof Outage)) throw cause
    const { status, description } = findRuleAnswer(cause.rule)
    const found = { ...known, ...describeOperation(operation) }
    return { decision: 'undecided', rule: cause.rule, status, description, ...found }
  }
}

function buildRequest({ method, target, contentType, body }: Question): JudgedRequest {
  const url = new URL(`http://gate.invalid/${target.replace(/^\/+/, '')}`)
  const headers = new Headers()
  // What no header could carry is no type at all.
  if (contentType !== null && /^[ -~]*$/.test(contentType)) headers.set('content-type', contentType)
  if (body !== null) headers.set('content-length', String(body.length))
  return {
    method,
    segments: parseSegments(url.pathname),
    search: url.search,
    headers,
    readBody: () => (body === null ? null : new Response(body).body),
  }
}

function describeRefusal(refusal: Refusal, known: Known): Explanation {
  const { status, description } = findRuleAnswer(refusal.rule)
  const text = refusal.description ?? description
  return { decision: 'refused', rule: refusal.rule, status, description: text, ...known }
}

function describeGrant(grant: Grant, known: Known): Explanation {
  const { method, target } = buildUpstreamCall(grant, new Headers())
  const checked = { checked_jobs: grant.checkedJobs, forwards: { method, target } }
  return { decision: 'allowed', rule: grant.rule, status: null, description: null, ...known, ...checked }
}

function describeOwnCall({ method, path, access, answeredBy }: OwnRoute, known: Known): Explanation {
  const forwards = answeredBy === 'slurmrestd' ? { method, target: `/${path}` } : null
  return { decision: 'allowed', rule: access, status: null, description: null, ...known, forwards }
}

function describeCaller(caller: Principal | Refusal): Known {
  return {
    operation: null,
    effect: null,
    version: null,
    access: null,
    account: !isRefusal(caller) && caller.method === 'token' ? caller.account : null,
    accounts_in: null,
    checked_jobs: [],
    forwards: null,
  }
}

function describeRoute(route: OwnRoute): Pick<Known, 'operation' | 'effect' | 'access'> {
  return { operation: describeOwnRoute(route), effect: 'read', access: 'any' }
}

function describeOperation(
  operation: Operation | null,
): Partial<Pick<Known, 'operation' | 'effect' | 'version' | 'access' | 'accounts_in'>> {
  if (operation === null) return {}
  const { route, version } = operation
  return {
    operation: `${route.method} ${route.template}`,
    effect: route.effect,
    version: formatVersion(version),
    access: route.access,
    accounts_in: route.accountsIn,
  }
}
