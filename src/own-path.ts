/** The gate's own endpoints, by path below the base path. */

/** Open to everybody. */
export const PUBLIC_PATHS = [
  'ping',
  'healthz',
  'readyz',
  'meta/versions/supported',
  'meta/versions/latest',
] as const
export type PublicPath = (typeof PUBLIC_PATHS)[number]

/** Open to any valid credential. 22.05 serves all four, 24.11+ the last (measured). */
export const OPENAPI_PATHS: ReadonlySet<string> = new Set([
  'openapi',
  'openapi.json',
  'openapi.yaml',
  'openapi/v3',
])
export const WHOAMI_PATH = 'meta/whoami'
export const EXPLAIN_PATH = 'meta/explain'

/** @returns who may use one of the gate's own endpoints; null: it is none, slurmrestd's rules decide. */
export function findOwnPathAccess(path: string): 'public' | 'any_credential' | null {
  if (PUBLIC_PATHS.some((own) => own === path)) return 'public'
  return OPENAPI_PATHS.has(path) || path === WHOAMI_PATH || path === EXPLAIN_PATH ? 'any_credential' : null
}
