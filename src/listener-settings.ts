/** Where a process listens. Off loopback it needs TLS, or the operator's word that plaintext is wanted. */

import { readInteger, readText, readYesNo, type Environment } from './environment.ts'
import { isLoopback, parseAddress } from './ip-address.ts'

export interface TlsFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface Listener {
  /** An IP address, or a name. */
  readonly host: string
  readonly port: number
  readonly isLoopback: boolean
  /** null: plaintext. */
  readonly tls: TlsFiles | null
}

/** Reads a host and a port variable with TLS_CERT_FILE, TLS_KEY_FILE and ALLOW_PLAINTEXT. */
export function readListener(
  env: Environment,
  names: { host: string; port: string; defaultPort: number },
  problems: string[],
): Listener {
  const host = readText(env, names.host, { default: '127.0.0.1' })
  if (!/^[A-Za-z0-9.:_-]{1,255}$/.test(host)) problems.push(`${names.host} must be an address or a host name`)
  const port = readInteger(env, names.port, { default: names.defaultPort, min: 1, max: 65535 }, problems)
  const tls = readTlsFiles(env, problems)
  const isLocal = isLoopbackHost(host)
  const isPlaintextWanted = readYesNo(env, 'ALLOW_PLAINTEXT', problems)
  if (!isLocal && tls === null && !isPlaintextWanted) {
    problems.push(`${names.host} is not loopback: set TLS_CERT_FILE and TLS_KEY_FILE, or ALLOW_PLAINTEXT=yes`)
  }
  return { host, port, isLoopback: isLocal, tls }
}

/** @returns null where neither is set, and where only one is (a problem). */
export function readTlsFiles(env: Environment, problems: string[]): TlsFiles | null {
  const certFile = readText(env, 'TLS_CERT_FILE')
  const keyFile = readText(env, 'TLS_KEY_FILE')
  if (certFile !== null && keyFile !== null) return { certFile, keyFile }
  if (certFile !== null || keyFile !== null) problems.push('TLS_CERT_FILE and TLS_KEY_FILE go together')
  return null
}

export function isLoopbackHost(host: string): boolean {
  const address = parseAddress(host)
  return address === null ? host === 'localhost' : isLoopback(address)
}
