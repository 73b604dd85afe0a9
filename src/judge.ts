/**
 * The decision on one request of a known principal: which operation it is, whether that is open to the principal, what
 * it is called with, and whether that is allowed. Forwards nothing; `POST /meta/explain` and the command line ask the
 * same function as the gate itself.
 */

import { authorizeCall, authorizeOperation, type Grant } from './authorize.ts'
import { readCall, type CallSource } from './call.ts'
import type { JobCheck } from './job-check.ts'
import { findOperation, type Operation } from './operation.ts'
import type { Principal } from './principal.ts'
import { isRefusal, type Refusal } from './refusal.ts'
import { requireBinding } from './request-binding.ts'

export interface JudgeOptions {
  readonly bodyMaxBytes: number
  /** Whether a MUNGE credential has to be bound to its request for a write. */
  readonly areWritesBound: boolean
  /** The NN of the v0.0.NN that are served, ascending. @throws Outage `versions_unknown` */
  readonly findVersions: () => Promise<readonly number[]>
  readonly checkJobs: JobCheck
}

/** What of a request the decision stands on. */
export interface JudgedRequest extends CallSource {
  readonly method: string
  /** Decoded, below the base path; null: undecodable. */
  readonly segments: readonly string[] | null
}

/**
 * Refusals are in the contract's order ("First match wins").
 * @param onOperation told as soon as the operation is known.
 * @throws Outage of a dependency that the decision needs.
 */
export type Judge = (
  request: JudgedRequest,
  principal: Principal,
  onOperation: (operation: Operation) => void,
) => Promise<Grant | Refusal>

export function createJudge(options: JudgeOptions): Judge {
  return async function judge(request, principal, onOperation) {
    const operation = findOperation(request, principal, await options.findVersions())
    if (isRefusal(operation)) return operation
    onOperation(operation)
    const unbound = options.areWritesBound ? requireBinding(principal, operation) : null
    const refusal = unbound ?? authorizeOperation(principal, operation)
    if (refusal !== null) return refusal
    const call = await readCall(request, operation, principal, options.bodyMaxBytes)
    if (isRefusal(call)) return call
    return authorizeCall(principal, call, options.checkJobs)
  }
}
