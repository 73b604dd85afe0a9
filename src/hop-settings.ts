/**
 * What every connection of the gateway into the cluster has to be: Slurm tokens and credentials travel on it, and from the
 * edge whoever finds its other end could use it, so there it shows that it is the gateway.
 */

import { readText, readYesNo, type Environment } from './environment.ts'
import { isLoopbackHost } from './listener-settings.ts'
import type { SettingsSource } from './settings.ts'

/** Names of the settings of one connection. */
export interface Hop {
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
  /** A binding of kind `mtls_certificates`, on Workers alone. */
  readonly certificate: string
}

export const SLURMRESTD_HOP = {
  url: 'SLURMRESTD_URL',
  clientId: 'SLURMRESTD_ACCESS_CLIENT_ID',
  clientSecret: 'SLURMRESTD_ACCESS_CLIENT_SECRET',
  certificate: 'SLURMRESTD_MTLS',
} as const satisfies Hop

export const VERIFIER_HOP = {
  url: 'MUNGE_VERIFIER_URL',
  clientId: 'MUNGE_VERIFIER_ACCESS_CLIENT_ID',
  clientSecret: 'MUNGE_VERIFIER_ACCESS_CLIENT_SECRET',
  certificate: 'MUNGE_VERIFIER_MTLS',
} as const satisfies Hop

export const HOPS: readonly Hop[] = [SLURMRESTD_HOP, VERIFIER_HOP]

/** Headers of a service token of Cloudflare Access, or none. They hold its secret, and go with each request of their hop. */
export type ServiceHeaders = Readonly<Record<string, string>>

/**
 * The rules for a URL that was read. Plain http is for this host alone, or where somebody says so; never from the edge.
 * @returns the headers that every request of this hop carries.
 */
export function readServiceHeaders(
  source: HopSource,
  hop: Hop,
  url: URL,
  problems: string[],
): ServiceHeaders {
  requireConfidential(source, hop, url, problems)
  const headers = readAccessHeaders(source.env, hop, url, problems)
  const hasCertificate = readCertificate(source, hop, url, problems)
  const needsCredential = source.runtime === 'workerd' && url.protocol === 'https:' && !isLoopbackUrl(url)
  if (needsCredential && headers === null && !hasCertificate) {
    problems.push(
      `${hop.url} needs a service credential on Workers: ${hop.clientId} and ${hop.clientSecret}, or a binding ${hop.certificate}`,
    )
  }
  return headers ?? {}
}

export type HopSource = Pick<SettingsSource, 'env' | 'runtime' | 'certificates'>

function requireConfidential(
  { env, runtime }: HopSource,
  { url: name }: Hop,
  url: URL,
  problems: string[],
): void {
  if (url.protocol === 'https:' || isLoopbackUrl(url)) return
  if (runtime === 'workerd') problems.push(`${name} must be https`)
  else if (!readYesNo(env, 'ALLOW_PLAINTEXT', [])) {
    problems.push(`${name} is plaintext and not loopback: use https, or ALLOW_PLAINTEXT=yes`)
  }
}

/** Visible ASCII: what RFC 9110 section 5.5 lets stand in a field value everywhere, without spaces. */
const ACCESS_VALUE = /^[\x21-\x7e]{1,512}$/

/** @returns null where neither is set, and where one of them is bad (a problem). */
function readAccessHeaders(env: Environment, hop: Hop, url: URL, problems: string[]): ServiceHeaders | null {
  const id = readText(env, hop.clientId)
  const secret = readText(env, hop.clientSecret)
  if (id === null && secret === null) return null
  if (id === null || secret === null) {
    problems.push(`${hop.clientId} and ${hop.clientSecret} go together`)
    // What is half there was meant: that the credential is missing too would be said twice.
    return {}
  }
  for (const [name, value] of [
    [hop.clientId, id],
    [hop.clientSecret, secret],
  ] as const) {
    if (!ACCESS_VALUE.test(value))
      problems.push(`${name} must be visible ASCII without spaces, as a header takes it`)
  }
  if (url.protocol !== 'https:' && !isLoopbackUrl(url)) {
    problems.push(`${hop.clientSecret} is sent over https only, and ${hop.url} is not`)
  }
  return { 'cf-access-client-id': id, 'cf-access-client-secret': secret }
}

/** @returns whether there is one. */
function readCertificate({ env, certificates }: HopSource, hop: Hop, url: URL, problems: string[]): boolean {
  if (readText(env, hop.certificate) !== null) {
    problems.push(`${hop.certificate} must be a binding of kind mtls_certificates, on a Worker`)
  }
  if (certificates?.has(hop.certificate) !== true) return false
  if (url.protocol !== 'https:')
    problems.push(`${hop.certificate} is shown over https only, and ${hop.url} is not`)
  return true
}

export function isLoopbackUrl(url: URL): boolean {
  return isLoopbackHost(url.hostname.replace(/^\[|\]$/g, ''))
}
