/**
 * The gate's endpoints that any valid credential opens: who am I, how would you decide, and slurmrestd's description of
 * itself.
 */

import { answerJson } from './answer.ts'
import type { Trail } from './audit.ts'
import { announcesBody } from './call.ts'
import { answerExplain, type ExplainPathOptions } from './explain-path.ts'
import { forwardOpenApi } from './forward.ts'
import type { GateRequest } from './gate-request.ts'
import { EXPLAIN_PATH, OPENAPI_PATHS, WHOAMI_PATH } from './own-path.ts'
import type { Principal } from './principal.ts'
import { refuse } from './refusal.ts'
import { readAccept, type SendUpstream } from './upstream-request.ts'

export interface CredentialedPathOptions extends ExplainPathOptions {
  readonly basePath: string
  readonly send: SendUpstream
}

/**
 * @returns null where the path is none of these.
 * @throws Outage of the upstream call.
 */
export type AnswerCredentialedPath = (
  request: GateRequest,
  principal: Principal,
  trail: Trail,
) => Promise<Response | null>

export function createCredentialedPaths(options: CredentialedPathOptions): AnswerCredentialedPath {
  return async function answerCredentialedPath(request, principal, trail) {
    const path = request.segments?.join('/') ?? ''
    if (path === EXPLAIN_PATH) return answerExplain(request, principal, trail, options)
    const isOpenApi = OPENAPI_PATHS.has(path)
    if (!isOpenApi && path !== WHOAMI_PATH) return null
    trail.note({ operation: `GET /${path}` })
    if (request.method !== 'GET') return trail.refuse(refuse('method_not_allowed', { allow: ['GET'] }))
    if (request.search !== '') return trail.refuse(refuse('query_not_allowed'))
    if (announcesBody(request.headers)) return trail.refuse(refuse('body_not_allowed'))
    trail.allow('any_credential')
    if (!isOpenApi) return answerWhoami(principal, request.requestId)

    const accept = path === 'openapi.yaml' ? 'application/yaml' : readAccept(request.headers)
    const answer = await options.send(principal, {
      method: 'GET',
      target: `/${path}`,
      accept,
      body: null,
      sendBefore: null,
    })
    trail.answered(answer.status)
    return forwardOpenApi(answer, request.requestId, options.basePath)
  }
}

function answerWhoami(principal: Principal, requestId: string): Response {
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
