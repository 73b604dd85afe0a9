/**
 * The gate: a request's raw headers in, slurmrestd's answer out. `decide` is the whole of it; every stage is a verb of
 * the file it comes from, and takes what only the stage before can make.
 */

import { createSourceFinder, type FindSourceOptions } from './answers/find-source.ts'
import { deliverFound, readConditions } from './answers/found.ts'
import { createAudit, type Trail } from './audit.ts'
import { createAuthenticator, type AuthenticatorOptions } from './authenticate.ts'
import { readCredential } from './credential.ts'
import { createCredentialedPaths } from './credentialed-path.ts'
import type { GateAnswer } from './gate-answer.ts'
import {
  buildRequestId,
  createGateRequestReader,
  type GateRequest,
  type GateRequestOptions,
  type SentRequest,
} from './gate-request.ts'
import { createJobCheck } from './job-check.ts'
import { createJudge } from './judge.ts'
import { HEAD_MAX_BYTES } from './limits.ts'
import { createOwnPathJudge } from './own-path.ts'
import type { Log } from './ports.ts'
import { createPublicPaths, type PublicPathOptions } from './public-path.ts'
import { createRateLimit, type RateLimitOptions } from './rate-limit.ts'
import { isRefusal, refuse } from './refusal.ts'
import { confirmBinding } from './request-binding.ts'
import { buildUpstreamCall } from './upstream-request.ts'

export interface GatewayOptions
  extends AuthenticatorOptions, FindSourceOptions, GateRequestOptions, PublicPathOptions, RateLimitOptions {
  readonly bodyMaxBytes: number
  readonly areWritesBound: boolean
  readonly log: Log
}

/** Never throws: what goes wrong has an answer too. */
export type Gate = (sent: SentRequest) => Promise<GateAnswer>

export function createGateway(options: GatewayOptions): Gate {
  const readGateRequest = createGateRequestReader(options)
  const judgeOwnCall = createOwnPathJudge(options)
  const answerPublicPath = createPublicPaths(options, judgeOwnCall)
  const authenticate = createAuthenticator(options)
  const limitRate = createRateLimit(options)
  const judge = createJudge({
    bodyMaxBytes: options.bodyMaxBytes,
    areWritesBound: options.areWritesBound,
    findVersions: () => options.versions.findVersions(),
    checkJobs: createJobCheck(options.send, options.now),
  })
  const answerCredentialedPath = createCredentialedPaths({ ...options, judge, judgeOwnCall })
  const findSource = createSourceFinder(options)
  const beginTrail = createAudit(options.log, options.now)

  /** Refusals are in the contract's order ("First match wins"). */
  async function decide(received: GateRequest, trail: Trail): Promise<GateAnswer> {
    if (received.headBytes > HEAD_MAX_BYTES) return trail.refuse(refuse('head_too_large'))
    const publicAnswer = answerPublicPath(received)
    if (publicAnswer !== null) return publicAnswer

    const credential = readCredential(received.rawHeaders)
    if (isRefusal(credential)) return trail.refuse(credential)
    const principal = await authenticate(credential, received.client)
    if (isRefusal(principal)) return trail.refuse(principal)
    trail.note({ principal })
    const excess = limitRate(principal)
    if (excess !== null) return trail.refuse(excess)
    const request = await confirmBinding(received, principal, options.bodyMaxBytes)
    if (isRefusal(request)) return trail.refuse(request)

    const ownAnswer = answerCredentialedPath(request, principal, trail)
    if (ownAnswer !== null) return ownAnswer
    const grant = await judge(request, principal, (operation) => trail.note({ operation }))
    if (isRefusal(grant)) return trail.refuse(grant)
    const source = findSource(grant, buildUpstreamCall(grant, request.headers), request.headers)
    trail.allow(grant.rule, { jobs: grant.listedJobs, cache: source.state })

    const found = await source.take(trail.whenWritten())
    trail.found(found)
    return deliverFound(found, readConditions(request), grant.call.operation.version)
  }

  return async function gate(sent) {
    let trail: Trail | null = null
    let answer: GateAnswer
    try {
      const request = readGateRequest(sent)
      trail = beginTrail(request)
      answer = await decide(request, trail)
    } catch (cause) {
      trail ??= beginTrail({ requestId: buildRequestId(options.randomBytes), client: null })
      answer = trail.fail(cause)
    }
    await trail.whenWritten()
    return answer
  }
}
