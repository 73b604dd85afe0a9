/**
 * Signs and opens the messages between gateway and verifier: compact JWS (RFC 7515), HS256. Each direction has a key,
 * a type and an audience of its own, so that a message reflected to its sender is worth nothing. The version is part of
 * the keys: an end that does not know what the other's words bind (v2: a credential to its request) cannot read them.
 */

import { CompactSign, compactVerify } from 'jose'
import type { Clock } from '../ports.ts'

/** What the shared secret is used for; part of the key derivation, the header and the claims. */
export interface Direction {
  readonly info: string
  readonly type: string
  readonly audience: string
}

export const TO_VERIFIER: Direction = {
  info: 'slurmgate munge exchange v2: gateway to verifier',
  type: 'slurmgate-munge-request+jws',
  audience: 'slurmgate-verifier',
}
export const TO_GATEWAY: Direction = {
  info: 'slurmgate munge exchange v2: verifier to gateway',
  type: 'slurmgate-munge-answer+jws',
  audience: 'slurmgate-gateway',
}

/** Both clocks are the site's own: a recorded message is stale soon. */
const IAT_TOLERANCE_SECONDS = 5

type HmacKey = Awaited<ReturnType<typeof crypto.subtle.deriveKey>>

export type Claims = Readonly<Record<string, unknown>>

/** Why a message was not believed: for the operator's log. */
export type Disbelief = 'signature' | 'audience' | 'clock' | 'form'

export type Opened = { readonly claims: Claims } | { readonly disbelief: Disbelief }

export interface Signer {
  /** @returns a compact JWS by the first key; `aud` and `iat` are added. */
  sign(claims: Claims): Promise<string>
}

export interface Opener {
  /** @param jws untrusted, its length already bounded. Tries every key. */
  open(jws: string): Promise<Opened>
}

/** @param secrets the first one signs, all verify (rotation). At least one. */
export function createSignature(
  secrets: readonly Uint8Array<ArrayBuffer>[],
  direction: Direction,
  clock: Clock,
): Signer & Opener {
  if (secrets.length === 0) throw new TypeError('an exchange needs at least one key')
  // The keys are kept, not the promise of them: a Worker may share data between requests, but no pending promise.
  let derived: readonly HmacKey[] | null = null
  const readKeys = async (): Promise<readonly HmacKey[]> =>
    (derived ??= await Promise.all(secrets.map((secret) => deriveKey(secret, direction.info))))
  const nowSeconds = (): number => Math.floor(clock() / 1000)

  async function sign(claims: Claims): Promise<string> {
    const [key] = await readKeys()
    if (key === undefined) throw new TypeError('an exchange needs at least one key')
    const payload = JSON.stringify({ ...claims, aud: direction.audience, iat: nowSeconds() })
    return new CompactSign(new TextEncoder().encode(payload))
      .setProtectedHeader({ alg: 'HS256', typ: direction.type })
      .sign(key)
  }

  async function open(jws: string): Promise<Opened> {
    const payload = await findPayload(jws, await readKeys(), direction.type)
    if (payload === null) return { disbelief: 'signature' }
    const claims = parseObject(payload)
    if (claims === null) return { disbelief: 'form' }
    if (claims['aud'] !== direction.audience) return { disbelief: 'audience' }
    const iat = claims['iat']
    if (typeof iat !== 'number' || !(Math.abs(nowSeconds() - iat) <= IAT_TOLERANCE_SECONDS)) {
      return { disbelief: 'clock' }
    }
    return { claims }
  }

  return { sign, open }
}

/** HKDF-SHA256 (RFC 5869) without salt: the secret is uniformly random; `info` separates the directions. */
async function deriveKey(secret: Uint8Array<ArrayBuffer>, info: string): Promise<HmacKey> {
  const parent = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey'])
  const derivation = {
    name: 'HKDF',
    hash: 'SHA-256',
    salt: new Uint8Array(),
    info: new TextEncoder().encode(info),
  }
  const hmac = { name: 'HMAC', hash: 'SHA-256', length: 256 }
  return await crypto.subtle.deriveKey(derivation, parent, hmac, false, ['sign', 'verify'])
}

/** @returns null where no key made the signature, or for a message of another type. */
async function findPayload(jws: string, keys: readonly HmacKey[], type: string): Promise<Uint8Array | null> {
  for (const key of keys) {
    try {
      const { payload, protectedHeader } = await compactVerify(jws, key, { algorithms: ['HS256'] })
      return protectedHeader.typ === type ? payload : null
    } catch {
      // Not made with this key; jose throws nothing else for untrusted input.
    }
  }
  return null
}

/** @returns null unless the bytes are UTF-8 JSON of an object. */
function parseObject(bytes: Uint8Array): Claims | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

export function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
