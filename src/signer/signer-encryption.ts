/**
 * What only the signer can read: JWE (RFC 7516) for its key. Each sort of message has a type, which is authenticated with
 * it: one sort is never taken for another.
 */

import { CompactEncrypt, compactDecrypt } from 'jose'
import type { DecryptionKey, EncryptionKey } from './encryption-key.ts'

/** RFC 7518: a key agreed on for each message anew, and authenticated encryption. Nothing else is read. */
const KEY_AGREEMENT = 'ECDH-ES'
const ENCRYPTION = 'A256GCM'

/** @param type the header's `typ`. */
export async function encryptForSigner(
  plaintext: Uint8Array,
  type: string,
  { keyId, jwk }: EncryptionKey,
): Promise<string> {
  // Given a JWK, jose imports it once for as long as that object lives.
  return new CompactEncrypt(plaintext)
    .setProtectedHeader({ alg: KEY_AGREEMENT, enc: ENCRYPTION, typ: type, kid: keyId })
    .encrypt(jwk)
}

/**
 * @param encrypted untrusted, its length already bounded.
 * @returns null for whatever is wrong with it: to whoever sent it that is one thing.
 */
export async function decryptAsSigner(
  encrypted: string,
  type: string,
  keys: readonly DecryptionKey[],
): Promise<Uint8Array | null> {
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(
      encrypted,
      ({ kid }) => {
        const key = keys.find(({ keyId }) => keyId === kid)
        if (key === undefined) throw new TypeError('no such key')
        return key.jwk
      },
      { keyManagementAlgorithms: [KEY_AGREEMENT], contentEncryptionAlgorithms: [ENCRYPTION] },
    )
    return protectedHeader.typ === type ? plaintext : null
  } catch {
    return null
  }
}
