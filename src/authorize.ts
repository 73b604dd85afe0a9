/**
 * Decides whether a principal may make a call, and returns the only thing an upstream request can be built from: a
 * grant. No is the default: a token gets what its scopes name, a restricted one only writes that were confined.
 */

import type { Call } from './call.ts'
import { judgeMungeDocument } from './document/munge-document.ts'
import { FLAGS_WITHIN_JOB } from './policy/kill-flags.ts'
import { confineCall, type ConfinedCall } from './document/token-document.ts'
import type { JobCheck } from './job-check.ts'
import { readJobId, type Operation } from './operation.ts'
import { isRestricted, PUBLIC_SCOPES, type Principal } from './principal.ts'
import { isRefusal, refuse, type Refusal } from './refusal.ts'

/** Principal and call, allowed. Built here and nowhere else. */
export type Grant = AuthorizedCall

type GrantedJobs = Pick<Grant, 'listedJobs' | 'checkedJobs' | 'sendBefore'>

const NO_JOBS: GrantedJobs = { listedJobs: [], checkedJobs: [], sendBefore: null }

/** Not exported, and of a class with a protected field: no other file can make one. */
class AuthorizedCall {
  protected readonly isAuthorized = true
  readonly kind = 'grant'
  readonly principal: Principal
  readonly call: Call
  /** The rule that said yes, for the decision's audit line. */
  readonly rule: GrantRule
  /** The jobs that an API token's document lists, for the decision's audit line. */
  readonly listedJobs: readonly string[]
  /** The jobs that were looked at, all found in the token's account. */
  readonly checkedJobs: readonly string[]
  /** Unix milliseconds until which what was seen of those jobs counts; null: none was looked at. */
  readonly sendBefore: number | null

  constructor(principal: Principal, call: Call, rule: GrantRule, jobs: GrantedJobs = NO_JOBS) {
    this.principal = principal
    this.call = call
    this.rule = rule
    this.listedJobs = jobs.listedJobs
    this.checkedJobs = jobs.checkedJobs
    this.sendBefore = jobs.sendBefore
  }
}

export type GrantRule = 'munge_user' | 'token_scope' | 'token_account'

/** Whether the operation is open to this principal at all; its query and body are not looked at. */
export function authorizeOperation(principal: Principal, operation: Operation): Refusal | null {
  const { deadlyUntil } = operation.route
  if (deadlyUntil !== null && operation.version <= deadlyUntil) {
    return refuse('operation_closed', {
      description: `slurmrestd does not survive this operation before v0.0.${deadlyUntil + 1}; use that version, or a newer one`,
    })
  }
  if (principal.method === 'munge') return null
  const { access, accountsIn } = operation.route
  if (access === 'closed') return refuse('operation_closed')
  if (access !== 'any' && !principal.scopes.has(access)) {
    const isOutOfReach = isRestricted(principal) && !PUBLIC_SCOPES.some((scope) => scope === access)
    const hint = isOutOfReach ? 'no token with an account can have it' : 'ask the staff that issued it'
    return refuse('insufficient_scope', {
      scope: access,
      description: `this API token lacks the scope ${access}; ${hint}`,
    })
  }
  if (!isRestricted(principal) || accountsIn !== 'anywhere') return null
  return refuse('operation_closed', {
    description:
      'this operation is not open to a token that is restricted to one account; it needs a MUNGE credential or a token without one',
  })
}

/** Judges the document, and the jobs it names; what is granted may differ from what was sent, never in the caller's favour. */
export async function authorizeCall(
  principal: Principal,
  call: Call,
  checkJobs: JobCheck,
): Promise<Grant | Refusal> {
  if (principal.method === 'munge') return authorizeMungeCall(principal, call)
  const confined = confineCall(principal, call)
  if (confined.kind === 'refusal') return confined
  const refusal = isRestricted(principal) ? judgeFlags(confined.call) : null
  if (refusal !== null) return refusal
  const { listedJobs } = confined
  const listed = { listedJobs, checkedJobs: [], sendBefore: null }
  if (!isRestricted(principal)) return new AuthorizedCall(principal, confined.call, 'token_scope', listed)
  const checkedJobs = findJobsToCheck(confined)
  if (checkedJobs === null) return new AuthorizedCall(principal, confined.call, 'token_scope', listed)
  if (checkedJobs.length === 0) return new AuthorizedCall(principal, confined.call, 'token_account', listed)
  const checked = await checkJobs(principal, call.operation.version, checkedJobs)
  if ('kind' in checked) return checked
  const jobs = { listedJobs, checkedJobs, sendBefore: checked.sendBefore }
  return new AuthorizedCall(principal, confined.call, 'token_account', jobs)
}

/** As in the document of a bulk call: what reaches beyond the named job was not looked at. */
function judgeFlags({ operation, query }: Call): Refusal | null {
  const [, flag = null] = query.find(([name]) => name === 'flags') ?? []
  if (operation.route.effect === 'read' || flag === null || FLAGS_WITHIN_JOB.has(flag.toUpperCase()))
    return null
  const list = [...FLAGS_WITHIN_JOB].filter((name) => name === name.toUpperCase()).join(', ')
  return refuse('operation_closed', {
    description: `of "flags" a token that is restricted to one account may use: ${list}`,
  })
}

/** A MUNGE caller's document is judged only for what is known to harm daemons, and goes upstream unchanged in meaning. */
function authorizeMungeCall(principal: Principal, call: Call): Grant | Refusal {
  const body = call.body === null ? null : judgeMungeDocument(call.body, call.operation)
  if (isRefusal(body)) return body
  return new AuthorizedCall(principal, { ...call, body }, 'munge_user')
}

/** @returns null: no account decides; []: the document alone decided. */
function findJobsToCheck(confined: ConfinedCall): readonly string[] | null {
  const { operation } = confined.call
  const { route } = operation
  switch (route.accountsIn) {
    case 'nothing':
    case 'anywhere':
      return null
    case 'submitted-jobs':
      return []
    case 'named-job':
    case 'named-job-and-document':
      return [readJobId(operation)]
    case 'listed-jobs':
      return confined.listedJobs
  }
}
