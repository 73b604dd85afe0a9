/**
 * Decides whether a principal may make a call, and returns the only thing an upstream request can be built from: a
 * grant. No is the default: a token gets what its scopes name, a restricted one only writes that were confined.
 */

import type { Call } from './call.ts'
import { judgeMungeDocument } from './document/munge-document.ts'
import { confineCall, type ConfinedCall } from './document/token-document.ts'
import type { JobCheck } from './job-check.ts'
import type { Operation } from './operation.ts'
import type { Principal, TokenPrincipal } from './principal.ts'
import { refuse, type Refusal } from './refusal.ts'

/** Principal and call, allowed. Built here and nowhere else. */
export type Grant = AuthorizedCall

/** Not exported, and of a class with a protected field: no other file can make one. */
class AuthorizedCall {
  protected readonly isAuthorized = true
  readonly kind = 'grant'
  readonly principal: Principal
  readonly call: Call
  /** The rule that said yes, for the decision's audit line. */
  readonly rule: GrantRule
  /** The jobs that were looked at, all found in the token's account. */
  readonly checkedJobs: readonly string[]
  /** Unix milliseconds until which what was seen of those jobs counts; null: none was looked at. */
  readonly sendBefore: number | null

  constructor(
    principal: Principal,
    call: Call,
    rule: GrantRule,
    checked: { jobs: readonly string[]; sendBefore: number } | null = null,
  ) {
    this.principal = principal
    this.call = call
    this.rule = rule
    this.checkedJobs = checked?.jobs ?? []
    this.sendBefore = checked?.sendBefore ?? null
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
    return refuse('insufficient_scope', {
      scope: access,
      description: `this API token lacks the scope ${access}; ask the staff that issued it`,
    })
  }
  if (principal.account === null || accountsIn !== 'anywhere') return null
  return refuse('operation_closed', {
    description: 'this operation is not open to a token that is restricted to one account',
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
  const jobs = findJobsToCheck(principal, confined)
  if (jobs === null) return new AuthorizedCall(principal, confined.call, 'token_scope')
  if (jobs.length === 0) return new AuthorizedCall(principal, confined.call, 'token_account')
  const checked = await checkJobs(principal, call.operation.version, jobs)
  if ('kind' in checked) return checked
  return new AuthorizedCall(principal, confined.call, 'token_account', { jobs, ...checked })
}

/** A MUNGE caller's document goes upstream as it came; it is judged only for what is known to harm daemons. */
function authorizeMungeCall(principal: Principal, call: Call): Grant | Refusal {
  const { body, operation } = call
  const problem = body === null ? null : judgeMungeDocument(body.bytes, body.contentType, operation)
  if (problem !== null) return refuse('document_harmful', { description: problem.text })
  return new AuthorizedCall(principal, call, 'munge_user')
}

/** @returns null: no account decides; []: the document alone decided. */
function findJobsToCheck(principal: TokenPrincipal, confined: ConfinedCall): readonly string[] | null {
  if (principal.account === null) return null
  const { route, ids } = confined.call.operation
  switch (route.accountsIn) {
    case 'nothing':
    case 'anywhere':
      return null
    case 'submitted-jobs':
      return []
    case 'named-job':
    case 'named-job-and-document':
      return [ids['{job_id}'] ?? '']
    case 'listed-jobs':
      return confined.listedJobs
  }
}
