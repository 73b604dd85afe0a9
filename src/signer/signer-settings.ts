/** The signer's settings, from the verifier's environment: only with `VERIFIER_SIGNS=yes`. By name and never by value. */

import { readChoice, readInteger, readText, readYesNo, type Environment } from '../environment.ts'
import { RATE_LARGEST_PER_SECOND } from '../limits.ts'
import { readSlurmKey, type ReadKeyFile } from '../slurm-key-settings.ts'
import { isUsableKey, type SlurmKey } from '../slurm-token.ts'
import { readDatabaseUrl } from '../tokens/database-settings.ts'
import { readSealRules } from '../tokens/row-seal-settings.ts'
import type { SealRules } from '../tokens/row-seal.ts'
import { isUsableEncryptionKey, parseDecryptionKeys, type DecryptionKey } from './encryption-key.ts'

export interface SignerSettings {
  readonly key: SlurmKey
  readonly lifespanSeconds: number
  readonly databaseUrl: string
  readonly decryptionKeys: readonly DecryptionKey[]
  readonly seals: SealRules
  /** Who remembers the MUNGE credentials that it claims. `local`: this process alone, a promise that nobody else claims any. */
  readonly replayGuard: 'postgres' | 'local'
  /** How often one user is signed for; 0: any number. */
  readonly requestsPerSecond: number
}

interface SettingsFiles {
  readonly env: Environment
  readonly readKeyFile: ReadKeyFile
}

/** What a gateway without the key gets is worth nothing soon, whoever has stolen it. */
const LIFESPAN_MAX_SECONDS = 120
const REQUESTS_PER_SECOND = 1_000

/** @returns null where nothing is signed, and with at least one problem. */
export function readSignerSettings(
  { env, readKeyFile }: SettingsFiles,
  problems: string[],
): SignerSettings | null {
  const name = 'SIGNER_PRIVATE_KEY_FILE'
  if (!readYesNo(env, 'VERIFIER_SIGNS', problems)) {
    if (readText(env, name) !== null) problems.push(`${name} is read only with VERIFIER_SIGNS=yes`)
    return null
  }
  const key = readSlurmKey({ env, readKeyFile }, problems)
  const decryptionKeys = readOpenings(env, readKeyFile, problems)
  const seals = readSeals({ env, readKeyFile }, problems)
  const settings = {
    databaseUrl: readDatabaseUrl(env, problems),
    lifespanSeconds: readInteger(
      env,
      'SLURM_JWT_LIFESPAN_SECONDS',
      { default: LIFESPAN_MAX_SECONDS, min: 30, max: LIFESPAN_MAX_SECONDS },
      problems,
    ),
    replayGuard: readChoice(
      env,
      'REPLAY_GUARD',
      { default: 'postgres', choices: ['postgres', 'local'] as const },
      problems,
    ),
    requestsPerSecond: readInteger(
      env,
      'SIGNER_RATE_LIMIT_PER_SECOND',
      { default: REQUESTS_PER_SECOND, min: 0, max: RATE_LARGEST_PER_SECOND },
      problems,
    ),
  }
  return key === null || decryptionKeys === null || seals === null
    ? null
    : { ...settings, key, decryptionKeys, seals }
}

/** Without them whoever can write the token table could have anything signed. */
function readSeals(source: SettingsFiles, problems: string[]): SealRules | null {
  const seals = readSealRules(source, problems)
  if (seals === null && readText(source.env, 'TOKEN_KEY_FILE') === null)
    problems.push('TOKEN_KEY_FILE is required with VERIFIER_SIGNS=yes')
  return seals
}

function readOpenings(
  env: Environment,
  readKeyFile: ReadKeyFile,
  problems: string[],
): readonly DecryptionKey[] | null {
  const name = 'SIGNER_PRIVATE_KEY_FILE'
  const path = readText(env, name)
  const bytes = path === null ? 'is required with VERIFIER_SIGNS=yes' : readKeyFile(path)
  const decryptionKeys =
    typeof bytes === 'string' ? bytes : parseDecryptionKeys(new TextDecoder().decode(bytes))
  if (typeof decryptionKeys !== 'string') return decryptionKeys
  problems.push(`${name} ${decryptionKeys}`)
  return null
}

/** Keys may look whole and not be any. @returns problems, by name. */
export async function findSignerProblems({
  key,
  decryptionKeys,
}: SignerSettings): Promise<readonly string[]> {
  const areUsable = await Promise.all(decryptionKeys.map(isUsableEncryptionKey))
  return [
    ...((await isUsableKey(key)) ? [] : ['SLURM_JWT_RS256_JWK (or its _FILE) is not a usable private key']),
    ...(areUsable.every(Boolean) ? [] : ['SIGNER_PRIVATE_KEY_FILE has a key that is not usable']),
  ]
}
