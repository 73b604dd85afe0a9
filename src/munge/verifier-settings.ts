/** The verifier's settings, from an environment. Every bad or missing value is reported, by name and never by value. */

import {
  readChoice,
  readInteger,
  readKeyList,
  readList,
  readLogLevel,
  readText,
  type Environment,
} from '../environment.ts'
import { RATE_LARGEST_PER_SECOND } from '../limits.ts'
import { readListener, type Listener } from '../listener-settings.ts'
import type { LogLevel } from '../ports.ts'
import { readSignerSettings, type SignerSettings } from '../signer/signer-settings.ts'
import type { ReadKeyFile } from '../slurm-key-settings.ts'
import type { ExchangeKeys } from './exchange.ts'
import type { CredentialPolicy } from './verify-credential.ts'

export interface MungePolicy extends CredentialPolicy {
  readonly socketPath: string
  /** Set exactly with `hostBinding` `map`. */
  readonly hostMapFile: string | null
}

export interface VerifierSettings {
  readonly policy: MungePolicy
  readonly keys: ExchangeKeys
  readonly listener: Listener
  /** Genuine ones; 0: any number. */
  readonly questionsPerSecond: number
  /** null: it signs no Slurm tokens. */
  readonly signer: SignerSettings | null
  readonly logLevel: LogLevel
}

/** What says how MUNGE credentials are judged: belongs to the process that has the munged. */
export const MUNGE_POLICY_NAMES = [
  'MUNGE_SOCKET',
  'MUNGE_MAX_TTL_SECONDS',
  'MUNGE_MIN_UID',
  'MUNGE_HOST_BINDING',
  'MUNGE_HOST_MAP_FILE',
] as const

/** Daemons that stand above the least uid: on Debian slurm is 64030, nobody 65534 (measured). */
export const DENIED_USERS = ['root', 'slurm', 'slurmrest', 'munge', 'nobody']

const MAX_TTL_SECONDS = 5
/** Several times what one verifier answers on a fast core: a bound on what goes wrong, not on what is normal. */
const QUESTIONS_PER_SECOND = 20_000
/** The largest uid; the number above it means "any" to munged and "none" to the kernel. */
export const UID_MAX = 0xfffffffe
/** Linux: 108 bytes with the final NUL, unix(7). */
const SOCKET_PATH_MAX_LENGTH = 107

/** HMAC-SHA256: a key is as strong as its hash is wide (RFC 2104 section 3). */
const KEY_MIN_BYTES = 32
const KEYS_MAX = 4

/** @returns the settings, or all problems. @param readKeyFile default: there are no files. */
export function parseVerifierSettings(
  env: Environment,
  readKeyFile: ReadKeyFile = () => 'needs a runtime with files',
): VerifierSettings | { problems: readonly string[] } {
  const problems: string[] = []
  const names = { host: 'VERIFIER_HOST', port: 'VERIFIER_PORT', defaultPort: 8081 }
  const listener = readListener(env, names, problems)
  const settings = {
    policy: parseMungePolicy(env, { isListenerLoopback: listener.isLoopback }, problems),
    keys: readExchangeKeys(env, problems),
    listener,
    questionsPerSecond: readInteger(
      env,
      'VERIFIER_RATE_LIMIT_PER_SECOND',
      { default: QUESTIONS_PER_SECOND, min: 0, max: RATE_LARGEST_PER_SECOND },
      problems,
    ),
    signer: readSignerSettings({ env, readKeyFile }, problems),
    logLevel: readLogLevel(env, problems),
  }
  return problems.length === 0 ? settings : { problems }
}

/** For the verifier, and for a gateway that has it in-process. */
export function parseMungePolicy(
  env: Environment,
  options: { isListenerLoopback: boolean },
  problems: string[],
): MungePolicy {
  return {
    socketPath: readSocketPath(env, problems),
    maxTtlSeconds: readInteger(
      env,
      'MUNGE_MAX_TTL_SECONDS',
      { default: MAX_TTL_SECONDS, min: 1, max: MAX_TTL_SECONDS },
      problems,
    ),
    minUid: readInteger(env, 'MUNGE_MIN_UID', { default: 1000, min: 1, max: UID_MAX }, problems),
    deniedUsers: readDeniedUsers(env, problems),
    ...readHostBinding(env, options.isListenerLoopback, problems),
  }
}

/**
 * Lower case, for some directories find root under Root: compare with `isDeniedUser`.
 * The names are added to the built-in ones: a token for root or SlurmUser is the whole cluster.
 */
export function readDeniedUsers(env: Environment, problems: string[]): ReadonlySet<string> {
  const item = /^[A-Za-z0-9_][A-Za-z0-9_.@$+-]{0,254}$/
  const named = readList(env, 'SLURM_DENIED_USERS', { default: [], item }, problems)
  return new Set([...DENIED_USERS, ...named].map((name) => name.toLowerCase()))
}

/** `MUNGE_VERIFIER_KEY`: required wherever this is called. */
export function readExchangeKeys(env: Environment, problems: string[]): ExchangeKeys {
  const name = 'MUNGE_VERIFIER_KEY'
  if (readText(env, name) === null) problems.push(`${name} is required`)
  return readKeyList(env, name, { minBytes: KEY_MIN_BYTES, maxKeys: KEYS_MAX }, problems)
}

/** `MUNGE_SOCKET`. */
export function readSocketPath(env: Environment, problems: string[]): string {
  const path = readText(env, 'MUNGE_SOCKET', { default: '/run/munge/munge.socket.2' })
  if (!path.startsWith('/') || new TextEncoder().encode(path).length > SOCKET_PATH_MAX_LENGTH) {
    problems.push(`MUNGE_SOCKET must be an absolute path of at most ${SOCKET_PATH_MAX_LENGTH} bytes`)
  }
  return path
}

function readHostBinding(
  env: Environment,
  isListenerLoopback: boolean,
  problems: string[],
): Pick<MungePolicy, 'hostBinding' | 'hostMapFile'> {
  const name = 'MUNGE_HOST_BINDING'
  const choices = ['strict', 'map', 'off'] as const
  const hostBinding = readChoice(env, name, { default: 'strict', choices }, problems)
  const hostMapFile = readText(env, 'MUNGE_HOST_MAP_FILE')
  if (hostBinding === 'off' && !isListenerLoopback) {
    problems.push(`${name}=off is accepted only on a loopback listener`)
  }
  if (hostBinding === 'map' && hostMapFile === null) {
    problems.push(`MUNGE_HOST_MAP_FILE is required with ${name}=map`)
  }
  if (hostBinding !== 'map' && hostMapFile !== null) {
    problems.push(`MUNGE_HOST_MAP_FILE is read only with ${name}=map: set both, or neither`)
  }
  return { hostBinding, hostMapFile }
}
