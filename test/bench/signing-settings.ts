/** What a verifier needs beyond the usual to sign: keys of this run alone, in files of the bench's folder. */

import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  makeEncryptionKey,
  parseEncryptionKey,
  takePublicHalf,
  type EncryptionKey,
} from '../../src/signer/encryption-key.ts'

export interface SigningSettings {
  readonly environment: Readonly<Record<string, string>>
  /** The gateway's half. */
  readonly encryptionKey: EncryptionKey
}

/** Without a bound on what one user is signed for: here is one user only. */
export async function makeSigningSettings(directory: string, databaseUrl: string): Promise<SigningSettings> {
  const pair = await makeEncryptionKey()
  const encryptionKey = parseEncryptionKey(JSON.stringify(takePublicHalf(pair)))
  if (typeof encryptionKey === 'string') throw new Error(encryptionKey)
  const writeKey = (name: string, content: string | Uint8Array): string => {
    const path = join(directory, name)
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
  const environment = {
    VERIFIER_SIGNS: 'yes',
    DATABASE_URL: databaseUrl,
    SLURM_JWT_HS256_KEY_FILE: writeKey('slurm.key', randomBytes(32)),
    SIGNER_PRIVATE_KEY_FILE: writeKey('signer.jwk', JSON.stringify(pair)),
    TOKEN_KEY_FILE: writeKey('token.key', randomBytes(32).toString('base64')),
    SIGNER_RATE_LIMIT_PER_SECOND: '0',
  }
  return { environment, encryptionKey }
}

export function promiseOneSigner({ environment, encryptionKey }: SigningSettings): SigningSettings {
  return { environment: { ...environment, REPLAY_GUARD: 'local' }, encryptionKey }
}
