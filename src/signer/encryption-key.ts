/** The keys that API tokens are encrypted for: an elliptic curve key pair (RFC 7518 section 6.2), public at the gateway. */

import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'

/** What a gateway encrypts with: tells nothing that has to be hidden. */
export interface EncryptionKey {
  readonly keyId: string
  readonly jwk: JWK
}

/** What the signer opens with. */
export interface DecryptionKey {
  readonly keyId: string
  readonly jwk: JWK
}

/** P-256: every runtime has it. */
const CURVE = 'P-256'
const KEYS_MAX = 4

/** @returns a new pair; the private half is for the signer alone. */
export async function makeEncryptionKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ECDH-ES', { crv: CURVE, extractable: true })
  const jwk = await exportJWK(privateKey)
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), use: 'enc' }
}

/** @returns the half that a gateway gets. */
export function takePublicHalf({ kty, crv, x, y, kid, use }: JWK): JWK {
  return { kty, crv, x, y, kid, use } as JWK
}

/** @returns the key, or what is wrong with its form. */
export function parseEncryptionKey(text: string): EncryptionKey | string {
  const jwk = parseJwk(text)
  if (typeof jwk === 'string') return jwk
  if (jwk.d !== undefined) return 'is the private key: that belongs to the signer alone; set its public half'
  return { keyId: jwk.kid, jwk }
}

/** One JWK, or a set of them (rotation): every one is opened with. @returns the keys, or what is wrong with their form. */
export function parseDecryptionKeys(text: string): readonly DecryptionKey[] | string {
  const parsed = parseJson(text)
  const given: readonly unknown[] = isSet(parsed) ? parsed.keys : [parsed]
  if (given.length === 0 || given.length > KEYS_MAX) return `must have 1 to ${KEYS_MAX} keys`
  const decryptionKeys: DecryptionKey[] = []
  for (const value of given) {
    const jwk = readJwk(value)
    if (typeof jwk === 'string') return jwk
    if (typeof jwk.d !== 'string') return 'must be a private key'
    decryptionKeys.push({ keyId: jwk.kid, jwk })
  }
  const ids = new Set(decryptionKeys.map(({ keyId }) => keyId))
  return ids.size === decryptionKeys.length ? decryptionKeys : 'has two keys with one kid'
}

const NOT_A_KEY = `must be an elliptic curve key on ${CURVE} as a JSON Web Key with a kid: make it with slurmgate signer-key new`

function parseJwk(text: string): (JWK & { kid: string }) | string {
  return readJwk(parseJson(text))
}

function readJwk(value: unknown): (JWK & { kid: string }) | string {
  if (typeof value !== 'object' || value === null) return NOT_A_KEY
  const { kty, crv, kid } = value as Record<string, unknown>
  if (kty !== 'EC' || crv !== CURVE || typeof kid !== 'string' || kid === '') return NOT_A_KEY
  return value as JWK & { kid: string }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isSet(value: unknown): value is { keys: readonly unknown[] } {
  return typeof value === 'object' && value !== null && 'keys' in value && Array.isArray(value.keys)
}

/** A JWK may look whole and not be a key. */
export async function isUsableEncryptionKey({ jwk }: EncryptionKey | DecryptionKey): Promise<boolean> {
  try {
    await importJWK(jwk, 'ECDH-ES')
    return true
  } catch {
    return false
  }
}
