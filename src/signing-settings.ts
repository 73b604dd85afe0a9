/**
 * Who signs the Slurm tokens of a gateway: the gateway itself, with Slurm's key, or the signer beside the verifier. Both
 * at once is an error: the key would lie where it need not.
 */

import { readChoice, readInteger, readText, type Environment } from './environment.ts'
import type { ReadKeyFile } from './slurm-key-settings.ts'
import { readSlurmKey, SLURM_KEY_NAMES } from './slurm-key-settings.ts'
import { isUsableKey, type SlurmKey } from './slurm-token.ts'
import { isUsableEncryptionKey, parseEncryptionKey, type EncryptionKey } from './signer/encryption-key.ts'

export type Signing =
  | {
      readonly signer: 'gateway'
      readonly key: SlurmKey
      readonly lifespanSeconds: number
    }
  | { readonly signer: 'verifier'; readonly encryptionKey: EncryptionKey }

/** What has to be said for Slurm's key at the edge, where a leaked secret is the whole cluster. */
const KEY_AT_EDGE = 'accept-cluster-root'

const CONSENT = 'SLURM_KEY_AT_EDGE'
const AT_EDGE = `on a Worker makes whoever gets its secrets root on the cluster: use SLURM_TOKEN_SIGNER=verifier, or say ${CONSENT}=${KEY_AT_EDGE}`
const LIFESPAN = 'SLURM_JWT_LIFESPAN_SECONDS'
const LIFESPAN_SECONDS = { default: 120, min: 30, max: 600 }

/** @returns null with at least one problem. */
export function readSigning(
  source: { readonly env: Environment; readonly isEdge: boolean; readonly readKeyFile: ReadKeyFile | null },
  problems: string[],
): Signing | null {
  const { env } = source
  const choices = ['gateway', 'verifier'] as const
  const signer = readChoice(env, 'SLURM_TOKEN_SIGNER', { default: 'gateway', choices }, problems)
  if (signer === 'verifier') return readRemoteSigning(env, problems)
  if (readText(env, 'SIGNER_PUBLIC_KEY') !== null) {
    problems.push('SIGNER_PUBLIC_KEY is read only with SLURM_TOKEN_SIGNER=verifier: set both, or neither')
  }
  if (source.isEdge) requireConsent(env, problems)
  const key = readSlurmKey(source, problems)
  const lifespanSeconds = readInteger(env, LIFESPAN, LIFESPAN_SECONDS, problems)
  return key === null ? null : { signer, key, lifespanSeconds }
}

function readRemoteSigning(env: Environment, problems: string[]): Signing | null {
  for (const name of [...SLURM_KEY_NAMES, LIFESPAN]) {
    if (readText(env, name) !== null)
      problems.push(`${name} belongs to the signer (SLURM_TOKEN_SIGNER=verifier): set it there`)
  }
  if (readText(env, 'REPLAY_GUARD') === 'local')
    problems.push(
      'REPLAY_GUARD=local belongs to who claims, the signer (SLURM_TOKEN_SIGNER=verifier): set it there',
    )
  const text = readText(env, 'SIGNER_PUBLIC_KEY')
  const encryptionKey =
    text === null ? 'is required with SLURM_TOKEN_SIGNER=verifier' : parseEncryptionKey(text)
  if (typeof encryptionKey !== 'string') return { signer: 'verifier', encryptionKey }
  problems.push(`SIGNER_PUBLIC_KEY ${encryptionKey}`)
  return null
}

/** No key at the edge by accident, or by an example that somebody followed. */
function requireConsent(env: Environment, problems: string[]): void {
  const text = readText(env, CONSENT)
  if (text !== null && text !== KEY_AT_EDGE) problems.push(`${CONSENT} may say ${KEY_AT_EDGE}, or nothing`)
  if (text !== null) return
  for (const name of SLURM_KEY_NAMES) {
    if (readText(env, name) !== null) problems.push(`${name} ${AT_EDGE}`)
  }
}

/** A key may look whole and not be one. @returns problems, by name. */
export async function findSigningProblems(signing: Signing): Promise<readonly string[]> {
  if (signing.signer === 'verifier') {
    return (await isUsableEncryptionKey(signing.encryptionKey))
      ? []
      : ['SIGNER_PUBLIC_KEY is not a usable key']
  }
  return (await isUsableKey(signing.key))
    ? []
    : ['SLURM_JWT_RS256_JWK (or its _FILE) is not a usable private key']
}
