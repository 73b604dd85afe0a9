/** `DATABASE_URL`, as every process that opens the token store reads it. Opens nothing. */

import { readRequiredText, readText, type Environment } from '../environment.ts'
import { isLoopbackUrl } from '../hop-settings.ts'
import type { SettingsSource } from '../settings.ts'
import { isDatabaseUrl } from './database.ts'

/** @returns '' or a useless value with a problem where it is missing or bad. */
export function readDatabaseUrl(env: Environment, problems: string[]): string {
  const url = readRequiredText(env, 'DATABASE_URL', problems)
  if (url !== '' && !isDatabaseUrl(url)) {
    problems.push('DATABASE_URL must be a postgres:// URL that the driver understands')
  }
  return url
}

/**
 * The gateway's: on a Worker Hyperdrive's, where that is bound, which Cloudflare itself connects, or one with TLS.
 * @returns as above.
 */
export function readGatewayDatabaseUrl(
  { env, runtime, hyperdriveUrl = null }: Pick<SettingsSource, 'env' | 'runtime' | 'hyperdriveUrl'>,
  problems: string[],
): string {
  if (hyperdriveUrl !== null) {
    if (readText(env, 'DATABASE_URL') !== null) {
      problems.push('DATABASE_URL is set, and HYPERDRIVE is bound: which of them is meant?')
    }
    return hyperdriveUrl
  }
  const url = readDatabaseUrl(env, problems)
  if (runtime === 'workerd' && isDatabaseUrl(url) && !isConfidential(url)) {
    problems.push(
      'DATABASE_URL must have sslmode=verify-full (or verify-ca, require) on Workers, off loopback',
    )
  }
  return url
}

/** `prefer` and `allow` are none: whoever is between says that there is no TLS (PostgreSQL manual, "SSL Support"). */
const TLS_MODES: readonly string[] = ['require', 'verify-ca', 'verify-full']

function isConfidential(text: string): boolean {
  // The driver knows lists of hosts, which are no URL.
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  const modes = url.searchParams.getAll('sslmode')
  return isLoopbackUrl(url) || (modes.length > 0 && modes.every((mode) => TLS_MODES.includes(mode)))
}
