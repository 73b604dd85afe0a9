/** Who verifies MUNGE credentials, and how the verifier is reached where it is another process. */

import { readChoice, readText, readUrl } from './environment.ts'
import { readServiceHeaders, VERIFIER_HOP, type ServiceHeaders } from './hop-settings.ts'
import type { Listener } from './listener-settings.ts'
import type { ExchangeKeys } from './munge/exchange.ts'
import {
  MUNGE_POLICY_NAMES,
  parseMungePolicy,
  readExchangeKeys,
  type MungePolicy,
} from './munge/verifier-settings.ts'
import type { SettingsSource, UnixListener } from './settings.ts'

export type MungeSettings =
  | { readonly mode: 'off' }
  | { readonly mode: 'local'; readonly policy: MungePolicy }
  | { readonly mode: 'remote' }

/** The verifier that this gateway asks, for MUNGE credentials and, where it signs, for Slurm tokens. */
export interface VerifierLink {
  readonly url: URL
  readonly keys: ExchangeKeys
  readonly serviceHeaders: ServiceHeaders
}

export interface VerifyingSettings {
  readonly munge: MungeSettings
  /** null: neither MUNGE nor signing is remote. */
  readonly verifier: VerifierLink | null
}

export function readVerifying(
  source: SettingsSource,
  options: { readonly listener: Listener | UnixListener | null; readonly isSignedThere: boolean },
  problems: string[],
): VerifyingSettings {
  const { env, runtime } = source
  const url = readUrl(env, 'MUNGE_VERIFIER_URL', { protocols: ['http:', 'https:'] }, problems)
  const byDefault = url !== null ? 'remote' : runtime === 'node' ? 'local' : 'off'
  const choices = ['remote', 'local', 'off'] as const
  const mode = readChoice(env, 'MUNGE_MODE', { default: byDefault, choices }, problems)
  const isAsked = mode === 'remote' || options.isSignedThere
  if (url !== null && mode === 'off' && !isAsked) {
    problems.push('MUNGE_VERIFIER_URL is set, and MUNGE_MODE=off: which of them is meant?')
  }
  if (mode === 'local' && options.isSignedThere) {
    problems.push('SLURM_TOKEN_SIGNER=verifier needs MUNGE_MODE=remote or off: the signer verifies itself')
  }
  const verifier = isAsked ? readVerifierLink(source, url, problems) : null
  if (mode === 'local') return { munge: readLocalMunge(source, options.listener, problems), verifier }
  if (mode === 'remote') {
    for (const name of MUNGE_POLICY_NAMES) {
      if (readText(env, name) !== null)
        problems.push(`${name} belongs to the verifier, which is remote: set it there`)
    }
  }
  return { munge: { mode }, verifier }
}

function readVerifierLink(source: SettingsSource, url: URL | null, problems: string[]): VerifierLink | null {
  const keys = readExchangeKeys(source.env, problems)
  if (url === null) {
    problems.push('MUNGE_VERIFIER_URL is required with MUNGE_MODE=remote and SLURM_TOKEN_SIGNER=verifier')
    return null
  }
  return { url, keys, serviceHeaders: readServiceHeaders(source, VERIFIER_HOP, url, problems) }
}

function readLocalMunge(
  { env, runtime }: SettingsSource,
  listener: Listener | UnixListener | null,
  problems: string[],
): MungeSettings {
  if (runtime === 'workerd') problems.push('MUNGE_MODE=local needs Node: use remote or off')
  const isListenerLoopback = listener !== null && ('unixPath' in listener || listener.isLoopback)
  return { mode: 'local', policy: parseMungePolicy(env, { isListenerLoopback }, problems) }
}
