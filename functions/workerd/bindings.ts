/** What wrangler binds to the Worker: settings as text, client certificates to `fetch` with, and Hyperdrive's address. */

import type { Environment } from '../../src/environment.ts'
import { HOPS } from '../../src/hop-settings.ts'

/** The runtime's `fetch`, or one that shows a client certificate. */
export type Fetch = (input: Request | string, init?: RequestInit) => Promise<Response>

export interface WorkerBindings {
  readonly env: Environment
  /** By the names of `mtls_certificates` in wrangler.toml. */
  readonly certificates: ReadonlyMap<string, Fetch>
  /** null: no `HYPERDRIVE` is bound. */
  readonly hyperdriveUrl: string | null
}

export function readBindings(bindings: Readonly<Record<string, unknown>>): WorkerBindings {
  const texts = Object.entries(bindings).flatMap(([name, value]) => {
    const text = readText(value)
    return text === null ? [] : [[name, text] as const]
  })
  const certificates = HOPS.flatMap(({ certificate }) => {
    const bound = bindings[certificate]
    return isFetcher(bound) ? [[certificate, buildFetch(bound)] as const] : []
  })
  return {
    env: Object.fromEntries(texts),
    certificates: new Map(certificates),
    hyperdriveUrl: readHyperdrive(bindings['HYPERDRIVE']),
  }
}

/**
 * wrangler.toml makes numbers, booleans and lists of what is not in quotes: to drop those would leave a rule out.
 * @returns null for bindings that are no settings.
 */
function readText(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return Array.isArray(value) ? value.map(String).join(',') : null
}

interface Fetcher {
  fetch: Fetch
}

function isFetcher(value: unknown): value is Fetcher {
  return typeof value === 'object' && value !== null && 'fetch' in value && typeof value.fetch === 'function'
}

function buildFetch(fetcher: Fetcher): Fetch {
  return (input, init) => fetcher.fetch(input, init)
}

function readHyperdrive(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || !('connectionString' in value)) return null
  return typeof value.connectionString === 'string' ? value.connectionString : null
}
