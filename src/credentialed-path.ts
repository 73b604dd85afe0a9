/**
 * The gate's endpoints that any valid credential opens: who am I, how would you decide, and slurmrestd's description of
 * itself.
 */

import { answerJson } from './answer.ts'
import type { Trail } from './audit.ts'
import { explain, type ExplainOptions } from './explain.ts'
import { forwardOpenApi } from './forward.ts'
import type { GateAnswer } from './gate-answer.ts'
import type { GateRequest } from './gate-request.ts'
import { describeOwnRoute, findOwnRoute, type OwnRoute } from './own-path.ts'
import type { Principal } from './principal.ts'
import { isRefusal } from './refusal.ts'
import { readAccept, type SendUpstream } from './upstream-request.ts'

type CredentialedRoute = Extract<OwnRoute, { access: 'any_credential' }>

export interface CredentialedPathOptions extends ExplainOptions {
  readonly basePath: string
  readonly send: SendUpstream
}

/**
 * @returns null where the path is none of these.
 * @throws Outage of the upstream call; never of the decision that `meta/explain` asks about: that is an answer too.
 */
export type AnswerCredentialedPath = (
  request: GateRequest,
  principal: Principal,
  trail: Trail,
) => Promise<GateAnswer> | null

export function createCredentialedPaths(options: CredentialedPathOptions): AnswerCredentialedPath {
  return function answerCredentialedPath(request, principal, trail) {
    const route = findOwnRoute(request.segments)
    return route?.access === 'any_credential' ? answer(route, request, principal, trail) : null
  }

  async function answer(
    route: CredentialedRoute,
    request: GateRequest,
    principal: Principal,
    trail: Trail,
  ): Promise<GateAnswer> {
    trail.note({ operation: describeOwnRoute(route) })
    const call = await options.judgeOwnCall(route, request)
    if (isRefusal(call)) return trail.refuse(call)
    trail.allow(route.access)
    await trail.whenWritten()
    if (call.path === 'meta/whoami') return answerWhoami(principal, request.requestId)
    if (call.path !== 'meta/explain') return answerOpenApi(call.path, request, principal, trail)
    return answerJson(request.requestId, await explain(options, principal, call.question))
  }

  async function answerOpenApi(
    path: string,
    request: GateRequest,
    principal: Principal,
    trail: Trail,
  ): Promise<GateAnswer> {
    const answer = await options.send(principal, {
      method: 'GET',
      target: `/${path}`,
      accept: path === 'openapi.yaml' ? 'application/yaml' : readAccept(request.headers),
      body: null,
      sendBefore: null,
    })
    trail.answered(answer.status)
    return forwardOpenApi(answer, request.requestId, options.basePath)
  }
}

function answerWhoami(principal: Principal, requestId: string): GateAnswer {
  const token = principal.method === 'token' ? principal : null
  const expiresAt = token === null || token.expiresAt === null ? null : new Date(token.expiresAt * 1000)
  return answerJson(requestId, {
    method: principal.method,
    slurm_user: principal.slurmUser,
    account: token?.account ?? null,
    scopes: token === null ? null : [...token.scopes],
    expires_at: expiresAt?.toISOString() ?? null,
    token_id: token?.tokenId ?? null,
  })
}
