/** The endpoints that need no credential: is the gate alive, is it ready, which versions does it serve. */

import { answerJson, answerRefusal, answerText } from './answer.ts'
import type { GateAnswer } from './gate-answer.ts'
import type { GateRequest } from './gate-request.ts'
import { formatVersion } from './operation.ts'
import { findOwnRoute, type JudgeOwnCall, type OwnRoute, type PublicPath } from './own-path.ts'
import type { Readiness } from './readiness.ts'
import { isRefusal } from './refusal.ts'
import type { VersionCatalog } from './version-catalog.ts'

type PublicRoute = Extract<OwnRoute, { access: 'public' }>

export interface PublicPathOptions {
  readonly versions: VersionCatalog
  readonly findReadiness: () => Promise<Readiness>
}

/**
 * @returns null where the path is not public.
 * @throws Outage `versions_unknown`
 */
export type AnswerPublicPath = (request: GateRequest) => Promise<GateAnswer> | null

export function createPublicPaths(
  { versions, findReadiness }: PublicPathOptions,
  judgeOwnCall: JudgeOwnCall,
): AnswerPublicPath {
  const answers: Readonly<Record<PublicPath, (requestId: string) => Promise<GateAnswer>>> = {
    ping: (id) => Promise.resolve(answerText(id, 'pong')),
    healthz: (id) => Promise.resolve(answerJson(id, { status: 'ok' })),
    readyz: async (id) => answerReadiness(id, await findReadiness()),
    'meta/versions/supported': async (id) =>
      answerJson(id, (await versions.findVersions()).map(formatVersion)),
    'meta/versions/latest': async (id) =>
      answerText(id, formatVersion((await versions.findVersions()).at(-1) ?? 0)),
  }

  async function answer(route: PublicRoute, request: GateRequest): Promise<GateAnswer> {
    const call = await judgeOwnCall(route, request)
    const { requestId } = request
    return isRefusal(call) ? answerRefusal(requestId, call) : answers[route.path](requestId)
  }

  return function answerPublicPath(request) {
    const route = findOwnRoute(request.segments)
    return route?.access === 'public' ? answer(route, request) : null
  }
}

function answerReadiness(requestId: string, readiness: Readiness): GateAnswer {
  const status = readiness.isReady ? 'ready' : 'not ready'
  const body = { status, dependencies: readiness.dependencies }
  return answerJson(requestId, body, readiness.isReady ? 200 : 503)
}
