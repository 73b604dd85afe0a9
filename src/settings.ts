/**
 * The gateway's settings, from an environment. Every bad or missing value is reported, all at once, by name and never
 * by value. Knows what each runtime can do; opens nothing.
 */

import { readCacheSettings, type CacheSettings } from './cache-settings.ts'
import type { ClientAddressSettings, ClientAddressSource } from './client-address.ts'
import {
  readChoice,
  readInteger,
  readList,
  readLogLevel,
  readRequiredText,
  readText,
  readUrl,
  type Environment,
} from './environment.ts'
import { readServiceHeaders, SLURMRESTD_HOP, type HopSource, type ServiceHeaders } from './hop-settings.ts'
import { parseAddressRange } from './ip-address.ts'
import { readListener, type Listener } from './listener-settings.ts'
import { BODY_LARGEST_BYTES, RATE_LARGEST_PER_SECOND } from './limits.ts'
import { readDeniedUsers } from './munge/verifier-settings.ts'
import type { LogLevel } from './ports.ts'
import { NEWEST_VERSION, OLDEST_VERSION } from './policy/route-table.ts'
import { readSigning, type Signing } from './signing-settings.ts'
import type { SlotLimits } from './slot-tally.ts'
import type { ReadKeyFile } from './slurm-key-settings.ts'
import { readGatewayDatabaseUrl } from './tokens/database-settings.ts'
import { readVerifying, type VerifyingSettings } from './verifying-settings.ts'

export type RuntimeName = 'node' | 'workerd'

export type SlurmrestdAddress =
  | { readonly kind: 'url'; readonly url: URL; readonly serviceHeaders: ServiceHeaders }
  | { readonly kind: 'unix'; readonly path: string }

export interface GatewaySettings extends VerifyingSettings {
  readonly databaseUrl: string
  readonly slurmrestd: SlurmrestdAddress
  readonly signing: Signing
  readonly deniedUsers: ReadonlySet<string>
  readonly versions: 'auto' | readonly number[]
  /** Whether a MUNGE credential has to be bound to its request for a write. */
  readonly areWritesBound: boolean
  readonly replayGuard: 'postgres' | 'local'
  readonly clientAddress: ClientAddressSettings
  readonly bearerUserNames: ReadonlySet<string>
  readonly areAdminScopesOn: boolean
  /** null on Workers: the platform listens. */
  readonly listener: Listener | UnixListener | null
  readonly basePath: string
  readonly bodyMaxBytes: number
  /** Of one caller; 0: any number. */
  readonly rateLimitPerSecond: number
  readonly upstreamTimeoutMilliseconds: number
  readonly slotLimits: SlotLimits
  readonly clientStallMilliseconds: number
  readonly cache: CacheSettings
  readonly logLevel: LogLevel
}

export interface UnixListener {
  readonly unixPath: string
}

export interface SettingsSource {
  readonly env: Environment
  readonly runtime: RuntimeName
  /** null: the runtime has no files. */
  readonly readKeyFile: ReadKeyFile | null
  /** Names of the bindings that show a client certificate (Workers). Default: none. */
  readonly certificates?: ReadonlySet<string>
  /** Where a binding `HYPERDRIVE` leads (Workers); null: there is none. Default: null. */
  readonly hyperdriveUrl?: string | null
}

/** @returns the settings, or all problems. */
export function parseGatewaySettings(
  source: SettingsSource,
): GatewaySettings | { readonly problems: readonly string[] } {
  const { env, runtime } = source
  const problems: string[] = []
  const listener = readGatewayListener(env, runtime, problems)
  const slurmrestd = readSlurmrestd(source, problems)
  const signing = readSigning({ ...source, isEdge: runtime === 'workerd' }, problems)
  const settings = {
    databaseUrl: readGatewayDatabaseUrl(source, problems),
    deniedUsers: readDeniedUsers(env, problems),
    versions: readVersionSetting(env, problems),
    ...readVerifying(source, { listener, isSignedThere: signing?.signer === 'verifier' }, problems),
    areWritesBound: readRequireBinding(env, problems),
    replayGuard: readReplayGuard(env, runtime, problems),
    clientAddress: readClientAddress(env, runtime, problems),
    bearerUserNames: new Set(
      readList(env, 'BEARER_USER_NAMES', { default: ['palmapi_bearer'], item: USER_NAME }, problems),
    ),
    areAdminScopesOn: readAdminScopes(env, runtime, problems),
    listener,
    basePath: readBasePath(env, problems),
    bodyMaxBytes: readBodyMaxBytes(env, problems),
    rateLimitPerSecond: readInteger(
      env,
      'RATE_LIMIT_PER_SECOND',
      { default: 0, min: 0, max: RATE_LARGEST_PER_SECOND },
      problems,
    ),
    upstreamTimeoutMilliseconds:
      1000 * readInteger(env, 'UPSTREAM_TIMEOUT_SECONDS', { default: 60, min: 1, max: 3600 }, problems),
    slotLimits: readSlotLimits(env, problems),
    clientStallMilliseconds:
      1000 * readInteger(env, 'CLIENT_STALL_SECONDS', { default: 30, min: 1, max: 3600 }, problems),
    cache: readCacheSettings(env, runtime, problems),
    logLevel: readLogLevel(env, problems),
  }
  requireMapBehindEdge(settings, problems)
  if (problems.length > 0 || slurmrestd === null || signing === null) {
    return { problems: [...new Set(problems)] }
  }
  return { ...settings, slurmrestd, signing }
}

const MIB = 1024 * 1024
const USER_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.@$+-]{0,254}$/

/** @returns null with at least one problem. */
export function readSlurmrestd(source: HopSource, problems: string[]): SlurmrestdAddress | null {
  const { env, runtime } = source
  const text = readRequiredText(env, 'SLURMRESTD_URL', problems)
  if (text === '') return null
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    if (runtime === 'node' && path.startsWith('/')) return { kind: 'unix', path }
    problems.push('SLURMRESTD_URL as unix:/path needs an absolute path, and Node')
    return null
  }
  const url = readUrl(env, 'SLURMRESTD_URL', { protocols: ['http:', 'https:'] }, problems)
  if (url === null) return null
  if (url.pathname !== '/') problems.push('SLURMRESTD_URL may not have a path')
  return { kind: 'url', url, serviceHeaders: readServiceHeaders(source, SLURMRESTD_HOP, url, problems) }
}

export function readVersionSetting(env: Environment, problems: string[]): 'auto' | readonly number[] {
  if (readText(env, 'SLURM_API_VERSIONS', { default: 'auto' }) === 'auto') return 'auto'
  const list = readList(env, 'SLURM_API_VERSIONS', { default: [], item: /^v0\.0\.[1-9]\d{0,2}$/ }, problems)
  const versions = list.map((version) => Number(version.slice('v0.0.'.length)))
  if (versions.some((version) => version < OLDEST_VERSION || version > NEWEST_VERSION)) {
    problems.push(`SLURM_API_VERSIONS may list v0.0.${OLDEST_VERSION} to v0.0.${NEWEST_VERSION}`)
  }
  return [...new Set(versions)].sort((a, b) => a - b)
}

export function readBodyMaxBytes(env: Environment, problems: string[]): number {
  const options = { default: 8 * MIB, min: 1024, max: BODY_LARGEST_BYTES }
  return readInteger(env, 'REQUEST_BODY_MAX_BYTES', options, problems)
}

/** Beyond `all` the other two would promise what there is not. */
export function readSlotLimits(env: Environment, problems: string[]): SlotLimits {
  // About 124 connections stall slurmrestd (measured).
  const all = readInteger(env, 'UPSTREAM_MAX_CONCURRENCY', { default: 16, min: 1, max: 100 }, problems)
  const share = { default: Math.min(4, all), min: 1, max: all }
  return {
    all,
    accounting: readInteger(env, 'UPSTREAM_MAX_CONCURRENCY_SLURMDB', share, problems),
    perCaller: readInteger(env, 'UPSTREAM_MAX_CONCURRENCY_PER_CALLER', share, problems),
  }
}

function readRequireBinding(env: Environment, problems: string[]): boolean {
  const choices = ['off', 'writes'] as const
  return readChoice(env, 'MUNGE_REQUIRE_BINDING', { default: 'off', choices }, problems) === 'writes'
}

function readReplayGuard(env: Environment, runtime: RuntimeName, problems: string[]): 'postgres' | 'local' {
  const choices = ['postgres', 'local'] as const
  const guard = readChoice(env, 'REPLAY_GUARD', { default: 'postgres', choices }, problems)
  if (guard === 'local' && runtime === 'workerd') {
    problems.push('REPLAY_GUARD=local needs Node: Workers share no memory')
  }
  return guard
}

function readClientAddress(
  env: Environment,
  runtime: RuntimeName,
  problems: string[],
): ClientAddressSettings {
  const choices: readonly ClientAddressSource[] =
    runtime === 'node'
      ? ['socket', 'x-forwarded-for', 'cf-connecting-ip', 'none']
      : ['cf-connecting-ip', 'none']
  const byDefault = runtime === 'node' ? 'socket' : 'none'
  const source = readChoice(env, 'CLIENT_ADDRESS_FROM', { default: byDefault, choices }, problems)
  const trustedProxies = readList(env, 'TRUSTED_PROXIES', { default: [] }, problems).flatMap((text) => {
    const range = parseAddressRange(text)
    if (range === null) problems.push('TRUSTED_PROXIES must be a comma list of addresses or CIDR ranges')
    if (/\/0+$/.test(text)) problems.push('TRUSTED_PROXIES may not trust every address')
    return range ?? []
  })
  const needsProxies = runtime === 'node' && (source === 'x-forwarded-for' || source === 'cf-connecting-ip')
  if (needsProxies && trustedProxies.length === 0) {
    problems.push(`TRUSTED_PROXIES is required with CLIENT_ADDRESS_FROM=${source}`)
  }
  return { source, trustedProxies }
}

/** The verifier in this process refuses such credentials; one elsewhere says so itself (`munge_edge_needs_map`). */
function requireMapBehindEdge(
  { munge, clientAddress }: Pick<GatewaySettings, 'munge' | 'clientAddress'>,
  problems: string[],
): void {
  if (munge.mode !== 'local' || munge.policy.hostBinding === 'map') return
  if (clientAddress.source !== 'cf-connecting-ip') return
  problems.push('MUNGE_HOST_BINDING must be map with CLIENT_ADDRESS_FROM=cf-connecting-ip, or MUNGE_MODE=off')
}

function readAdminScopes(env: Environment, runtime: RuntimeName, problems: string[]): boolean {
  const isOn = readChoice(env, 'ADMIN_SCOPES', { default: 'off', choices: ['off', 'on'] }, problems) === 'on'
  if (isOn && runtime === 'workerd') problems.push('ADMIN_SCOPES=on is refused on Workers')
  return isOn
}

function readGatewayListener(
  env: Environment,
  runtime: RuntimeName,
  problems: string[],
): Listener | UnixListener | null {
  if (runtime === 'workerd') return null
  const host = readText(env, 'HOST', { default: '127.0.0.1' })
  if (!host.startsWith('unix:')) {
    return readListener(env, { host: 'HOST', port: 'PORT', defaultPort: 8080 }, problems)
  }
  const unixPath = host.slice('unix:'.length)
  if (!unixPath.startsWith('/')) problems.push('HOST as unix:/path needs an absolute path')
  return { unixPath }
}

/** @returns `/`, or `/a/b` without a slash at the end. */
function readBasePath(env: Environment, problems: string[]): string {
  const path = readText(env, 'PUBLIC_BASE_PATH', { default: '/' })
  if (
    !/^(\/[A-Za-z0-9._~-]+)*\/?$/.test(path) ||
    path.split('/').some((part) => part === '.' || part === '..')
  ) {
    problems.push('PUBLIC_BASE_PATH must be a plain path such as /slurm-api')
  }
  return path.replace(/\/$/, '') || '/'
}
