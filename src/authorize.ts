/**
 * Decides whether a principal may make a call, and returns the only thing an upstream request can be built from: a
 * grant. No is the default: a token gets what its scopes name, a restricted one only writes that were confined.
 */

import type { Call } from './call.ts'
import { confineSubmit, confineUpdate } from './document/job-document.ts'
import type { JobCheck } from './job-check.ts'
import { parseJson, serializeJson, type JsonValue } from './document/json-document.ts'
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

  constructor(principal: Principal, call: Call, rule: GrantRule) {
    this.principal = principal
    this.call = call
    this.rule = rule
  }
}

export type GrantRule = 'munge_user' | 'token_scope' | 'token_account'

/** Whether the operation is open to this principal at all; its query and body are not looked at. */
export function authorizeOperation(principal: Principal, operation: Operation): Refusal | null {
  if (principal.method === 'munge') return null
  const { access, unrestrictedOnly } = operation.route
  if (access === 'closed') return refuse('operation_closed')
  if (access !== 'any' && !principal.scopes.has(access)) {
    return refuse('insufficient_scope', {
      scope: access,
      description: `this API token lacks the scope ${access}; ask the staff that issued it`,
    })
  }
  if (principal.account === null) return null
  const isWrite = operation.route.effect === 'write' && access !== 'any'
  const isClosed = unrestrictedOnly || (isWrite && !CONFINED_WRITES.has(keyOf(operation)))
  return isClosed
    ? refuse('operation_closed', {
        description: `this operation is not open to a token that is restricted to one account${HINTS.get(keyOf(operation)) ?? ''}`,
      })
    : null
}

/** Judges the document, and the job it names; what is granted may differ from what was sent, never in the caller's favour. */
export async function authorizeCall(
  principal: Principal,
  call: Call,
  checkJob: JobCheck,
): Promise<Grant | Refusal> {
  if (principal.method === 'munge') return new AuthorizedCall(principal, call, 'munge_user')
  if (call.body === null && JUDGED_DOCUMENTS.has(keyOf(call.operation))) return refuse('json_malformed')
  const confined = call.body === null ? call : confineBody(principal, call, call.body.bytes)
  if (confined.kind === 'refusal') return confined
  if (principal.account === null) return new AuthorizedCall(principal, confined, 'token_scope')

  const confinement = CONFINED_WRITES.get(keyOf(call.operation))
  if (confinement === 'named-job') {
    const refusal = await checkJob(principal, call.operation, principal.account)
    if (refusal !== null) return refusal
  }
  return new AuthorizedCall(principal, confined, confinement === undefined ? 'token_scope' : 'token_account')
}

/** How a restricted token's write is confined; a write that is not listed is closed to it. */
const CONFINED_WRITES: ReadonlyMap<string, 'document' | 'named-job'> = new Map([
  ['POST /slurm/job/submit', 'document'],
  ['POST /slurm/job/{job_id}', 'named-job'],
  ['DELETE /slurm/job/{job_id}', 'named-job'],
  ['GET /slurm/job/{job_id}/requeue', 'named-job'],
])

/** Without a document slurmrestd would look for parameters elsewhere. */
const JUDGED_DOCUMENTS: ReadonlySet<string> = new Set(['POST /slurm/job/submit', 'POST /slurm/job/{job_id}'])

const HINTS: ReadonlyMap<string, string> = new Map([
  ['DELETE /slurm/jobs', '; cancel its jobs one by one: DELETE /slurm/latest/job/{job_id}'],
  ['POST /slurm/jobs/requeue', '; requeue its jobs one by one: GET /slurm/latest/job/{job_id}/requeue'],
])

function keyOf(operation: Operation): string {
  return `${operation.route.method} ${operation.route.template}`
}

/** Tokens' documents are read strictly and written anew, so that slurmrestd reads what was judged. */
function confineBody(principal: TokenPrincipal, call: Call, bytes: Uint8Array): Call | Refusal {
  const document = parseJson(bytes)
  if (document.type === 'problem') return refuse('json_malformed', { description: document.text })
  const refusal = confineDocument(principal, call.operation, document)
  if (refusal !== null) return refusal
  const written = new TextEncoder().encode(serializeJson(document))
  return { ...call, body: { contentType: 'application/json', bytes: written } }
}

function confineDocument(
  principal: TokenPrincipal,
  operation: Operation,
  document: JsonValue,
): Refusal | null {
  switch (keyOf(operation)) {
    case 'POST /slurm/job/submit':
      return confineSubmit(document, principal.account)
    case 'POST /slurm/job/{job_id}':
      return confineUpdate(document, principal.account)
    default:
      return null
  }
}
