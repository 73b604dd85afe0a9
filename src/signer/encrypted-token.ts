/**
 * An API token on its way to the signer: JWE (RFC 7516) for the signer's key, so that nothing between reads it, and
 * bound to the one request that carries it, so that a message kept from before is worth nothing (replay).
 */

import { CompactEncrypt, compactDecrypt, importJWK, type JWK } from 'jose'
import { IAT_TOLERANCE_SECONDS, isObject } from '../munge/exchange-signature.ts'
import type { EncryptionKey } from './encryption-key.ts'

/** RFC 7518: a key agreed on for each message anew, and authenticated encryption. Nothing else is read. */
const KEY_AGREEMENT = 'ECDH-ES'
const ENCRYPTION = 'A256GCM'
const TYPE = 'slurmgate-api-token+jwe'

/** An API token of 4,096 characters, its binding and the JWE around it. */
export const ENCRYPTED_TOKEN_MAX_CHARACTERS = 8_192

/** What an encrypted token is good for: one call, now. Both stand inside, for who carries it could name others outside. */
export interface CallBinding {
  /** Of the request that carries it. */
  readonly nonce: string
  /** Unix seconds. */
  readonly madeAt: number
}

export async function encryptToken(token: string, binding: CallBinding, key: EncryptionKey): Promise<string> {
  const recipient = await importJWK(key.jwk, KEY_AGREEMENT)
  const plaintext = new TextEncoder().encode(JSON.stringify({ token, ...binding }))
  return new CompactEncrypt(plaintext)
    .setProtectedHeader({ alg: KEY_AGREEMENT, enc: ENCRYPTION, typ: TYPE, kid: key.keyId })
    .encrypt(recipient)
}

/**
 * @param encrypted untrusted.
 * @param call the nonce of the request that carried it, and when that arrived, in Unix seconds.
 * @returns null unless it is a token encrypted for one of the keys, for this request, and within the last five seconds.
 */
export async function decryptToken(
  encrypted: string,
  call: { readonly nonce: string; readonly nowSeconds: number },
  keys: readonly { readonly keyId: string; readonly jwk: JWK }[],
): Promise<string | null> {
  if (encrypted.length > ENCRYPTED_TOKEN_MAX_CHARACTERS) return null
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(
      encrypted,
      ({ kid }) => {
        const key = keys.find(({ keyId }) => keyId === kid)
        if (key === undefined) throw new TypeError('no such key')
        return importJWK(key.jwk, KEY_AGREEMENT)
      },
      { keyManagementAlgorithms: [KEY_AGREEMENT], contentEncryptionAlgorithms: [ENCRYPTION] },
    )
    if (protectedHeader.typ !== TYPE) return null
    const message: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plaintext))
    if (!isObject(message)) return null
    const { token, nonce, madeAt } = message
    if (typeof token !== 'string' || nonce !== call.nonce || typeof madeAt !== 'number') return null
    return Math.abs(call.nowSeconds - madeAt) <= IAT_TOLERANCE_SECONDS ? token : null
  } catch {
    // Whatever is wrong with it, to whoever sent it that is one thing.
    return null
  }
}
