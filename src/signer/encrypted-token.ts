/**
 * An API token on its way to the signer: encrypted for it, so that nothing between reads it, and bound to the one request
 * that carries it, so that a message kept from before is worth nothing (replay).
 */

import { IAT_TOLERANCE_SECONDS, isObject } from '../munge/exchange-signature.ts'
import type { DecryptionKey, EncryptionKey } from './encryption-key.ts'
import { decryptAsSigner, encryptForSigner } from './signer-encryption.ts'

const TYPE = 'slurmgate-api-token+jwe'

/** An API token of 4,096 characters, its binding and the JWE around it. */
export const ENCRYPTED_TOKEN_MAX_CHARACTERS = 8_192

/** What an encrypted token is good for: one call, now. All stands inside, for who carries it could name others outside. */
export interface CallBinding {
  /** Of the request that carries it. */
  readonly nonce: string
  /** What the answer is to be encrypted with, as the request has it: who carries the token gets no answer for himself. */
  readonly answerKey: string
  /** Unix seconds. */
  readonly madeAt: number
}

export async function encryptToken(token: string, binding: CallBinding, key: EncryptionKey): Promise<string> {
  const plaintext = new TextEncoder().encode(JSON.stringify({ token, ...binding }))
  return encryptForSigner(plaintext, TYPE, key)
}

/**
 * @param encrypted untrusted.
 * @param call nonce and answer key of the request that carried it, and when that arrived, in Unix seconds.
 * @returns null unless it is a token encrypted for one of the keys, for this request, and within the last five seconds.
 */
export async function decryptToken(
  encrypted: string,
  call: Omit<CallBinding, 'madeAt'> & { readonly nowSeconds: number },
  keys: readonly DecryptionKey[],
): Promise<string | null> {
  if (encrypted.length > ENCRYPTED_TOKEN_MAX_CHARACTERS) return null
  const plaintext = await decryptAsSigner(encrypted, TYPE, keys)
  const message = plaintext === null ? null : parseMessage(plaintext)
  if (message === null) return null
  const { token, nonce, answerKey, madeAt } = message
  if (typeof token !== 'string' || typeof madeAt !== 'number') return null
  if (nonce !== call.nonce || answerKey !== call.answerKey) return null
  return Math.abs(call.nowSeconds - madeAt) <= IAT_TOLERANCE_SECONDS ? token : null
}

function parseMessage(plaintext: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const message: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plaintext))
    return isObject(message) ? message : null
  } catch {
    return null
  }
}
