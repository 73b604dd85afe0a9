/** A signer's key pair as both ends read it, made anew for each test file. */

import type { JWK } from 'jose'
import {
  makeEncryptionKey,
  parseDecryptionKeys,
  parseEncryptionKey,
  takePublicHalf,
  type DecryptionKey,
  type EncryptionKey,
} from '../../src/signer/encryption-key.ts'

export interface SignerKeys {
  /** What `signer-key new` writes. */
  readonly privateKey: JWK
  /** The gateway's. */
  readonly encryptionKey: EncryptionKey
  /** The signer's. */
  readonly decryptionKeys: readonly DecryptionKey[]
}

export async function makeSignerKeys(): Promise<SignerKeys> {
  const privateKey = await makeEncryptionKey()
  const encryptionKey = parseEncryptionKey(JSON.stringify(takePublicHalf(privateKey)))
  const decryptionKeys = parseDecryptionKeys(JSON.stringify(privateKey))
  if (typeof encryptionKey === 'string' || typeof decryptionKeys === 'string') throw new Error('no key')
  return { privateKey, encryptionKey, decryptionKeys }
}
