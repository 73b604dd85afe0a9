/**
 * The gate's own endpoints: their paths below the base path, and what each takes. The gate and its explanations ask the
 * same judge. Answers nothing.
 */

import { announcesBody, readBody, readContentType } from './call.ts'
import type { JudgedRequest } from './judge.ts'
import { parseQuestion, type Question } from './question.ts'
import { refuse, refuseMethod, type Refusal } from './refusal.ts'

interface RouteShape {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** `public`: without any credential. */
  readonly access: 'public' | 'any_credential'
  readonly answeredBy: 'gate' | 'slurmrestd'
}

export const OWN_ROUTES = [
  { method: 'GET', path: 'ping', access: 'public', answeredBy: 'gate' },
  { method: 'GET', path: 'meta/versions/supported', access: 'public', answeredBy: 'gate' },
  { method: 'GET', path: 'meta/versions/latest', access: 'public', answeredBy: 'gate' },
  { method: 'GET', path: 'healthz', access: 'public', answeredBy: 'gate' },
  { method: 'GET', path: 'readyz', access: 'public', answeredBy: 'gate' },
  { method: 'GET', path: 'meta/whoami', access: 'any_credential', answeredBy: 'gate' },
  { method: 'POST', path: 'meta/explain', access: 'any_credential', answeredBy: 'gate' },
  // 22.05 serves all four, 24.11+ the last (measured).
  { method: 'GET', path: 'openapi', access: 'any_credential', answeredBy: 'slurmrestd' },
  { method: 'GET', path: 'openapi.json', access: 'any_credential', answeredBy: 'slurmrestd' },
  { method: 'GET', path: 'openapi.yaml', access: 'any_credential', answeredBy: 'slurmrestd' },
  { method: 'GET', path: 'openapi/v3', access: 'any_credential', answeredBy: 'slurmrestd' },
] as const satisfies readonly RouteShape[]

export type OwnRoute = (typeof OWN_ROUTES)[number]
export type PublicPath = Extract<OwnRoute, { access: 'public' }>['path']
type ReadPath = Extract<OwnRoute, { method: 'GET' }>['path']

/** A call that its route takes. */
export type OwnCall =
  | { readonly kind: 'own-call'; readonly path: ReadPath }
  | { readonly kind: 'own-call'; readonly path: 'meta/explain'; readonly question: Question }

/** @returns null where the path is none of the gate's own: slurmrestd's rules decide. */
export function findOwnRoute(segments: readonly string[] | null): OwnRoute | null {
  if (segments === null || !OWN_BEGINNINGS.has(segments[0] ?? '')) return null
  return OWN_BY_PATH.get(segments.join('/')) ?? null
}

const OWN_BY_PATH: ReadonlyMap<string, OwnRoute> = new Map(OWN_ROUTES.map((route) => [route.path, route]))
const OWN_BEGINNINGS: ReadonlySet<string> = new Set(OWN_ROUTES.map(({ path }) => path.split('/')[0] ?? ''))

export function describeOwnRoute({ method, path }: OwnRoute): string {
  return `${method} /${path}`
}

/** Refuses in the contract's order: method, query, body where none belongs, content type, size, JSON. */
export type JudgeOwnCall = (route: OwnRoute, request: JudgedRequest) => Promise<OwnCall | Refusal>

export function createOwnPathJudge({ bodyMaxBytes }: { readonly bodyMaxBytes: number }): JudgeOwnCall {
  return async function judgeOwnCall(route, request) {
    if (request.method !== route.method) return refuseMethod([route.method])
    // Monitors add to public ones what they like; nothing of it is read.
    if (route.access === 'public') return { kind: 'own-call', path: route.path }
    if (route.method === 'GET') {
      if (request.search !== '') return refuse('query_not_allowed')
      if (announcesBody(request.headers)) return refuse('body_not_allowed')
      return { kind: 'own-call', path: route.path }
    }
    if (request.search !== '') return refuse('query_on_post')
    if (readContentType(request.headers, false) === null) return refuse('content_type_unsupported')
    const bytes = await readBody(request, bodyMaxBytes)
    if ('kind' in bytes) return bytes
    const question = parseQuestion(bytes)
    return 'kind' in question ? question : { kind: 'own-call', path: route.path, question }
  }
}
