/** What every connection of the gateway into the cluster has to be: Slurm tokens and credentials travel on it. */

import { readYesNo, type Environment } from './environment.ts'
import { isLoopbackHost } from './listener-settings.ts'
import type { RuntimeName } from './settings.ts'

/** Plain http is for this host alone, or where somebody says so; never from the edge. */
export function requireConfidential(
  env: Environment,
  name: string,
  url: URL,
  runtime: RuntimeName,
  problems: string[],
): void {
  if (url.protocol === 'https:' || isLoopbackUrl(url)) return
  if (runtime === 'workerd') problems.push(`${name} must be https`)
  else if (!readYesNo(env, 'ALLOW_PLAINTEXT', [])) {
    problems.push(`${name} is plaintext and not loopback: use https, or ALLOW_PLAINTEXT=yes`)
  }
}

export function isLoopbackUrl(url: URL): boolean {
  return isLoopbackHost(url.hostname.replace(/^\[|\]$/g, ''))
}
