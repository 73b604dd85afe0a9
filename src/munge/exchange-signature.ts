/**
 * Signs and opens the messages between gateway and verifier: compact JWS (RFC 7515), HS256. Each direction has a key,
 * a type and an audience of its own, so that a message reflected to its sender is worth nothing. The version is part of
 * the keys: an end that does not know what the other's words bind (v2: a credential to its request; v3: a Slurm token beside the
 * claims to its digest in them) cannot read them, and says so before a credential is used up.
 */

import type { Clock } from '../ports.ts'
import { buildHeader, decodePayload, findSigned, signJws, type Hmac } from './compact-jws.ts'
import { webSha256, type Sha256 } from './sha256.ts'

/** What the shared secret is used for; part of the key derivation, the header and the claims. */
export interface Direction {
  readonly info: string
  readonly type: string
  readonly audience: string
}

export const TO_VERIFIER: Direction = {
  info: 'slurmgate munge exchange v3: gateway to verifier',
  type: 'slurmgate-munge-request+jws',
  audience: 'slurmgate-verifier',
}
export const TO_GATEWAY: Direction = {
  info: 'slurmgate munge exchange v3: verifier to gateway',
  type: 'slurmgate-munge-answer+jws',
  audience: 'slurmgate-gateway',
}

/** Both clocks are the site's own: a recorded message is stale soon. */
export const IAT_TOLERANCE_SECONDS = 5

export type Claims = Readonly<Record<string, unknown>>

/** Why a message was not believed: for the operator's log. */
export type Disbelief = 'signature' | 'audience' | 'clock' | 'form'

export type Opened =
  | { readonly claims: Claims; readonly issuedAt: number }
  /** `issuedAt`: of a genuine message whose clock is off. */
  | { readonly disbelief: Disbelief; readonly issuedAt?: number }

export interface Signer {
  /** @returns a compact JWS by the first key; `aud` and `iat` are added, what is undefined is left out. */
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
  sha256: Sha256 = webSha256,
): Signer & Opener {
  if (secrets.length === 0) throw new TypeError('an exchange needs at least one key')
  const header = buildHeader(direction.type)
  // The keys are kept, not the promise of them: a Worker may share data between requests, but no pending promise.
  let derived: readonly Hmac[] | null = null
  const readKeys = async (): Promise<readonly Hmac[]> =>
    (derived ??= (await Promise.all(secrets.map((secret) => deriveKey(secret, direction.info)))).map((key) =>
      sha256.createHmac(key),
    ))
  const nowSeconds = (): number => Math.floor(clock() / 1000)

  async function sign(claims: Claims): Promise<string> {
    const [hmac] = derived ?? (await readKeys())
    if (hmac === undefined) throw new TypeError('an exchange needs at least one key')
    // As text: to copy the claims costs more than to write them (measured). Of two claims of one name the last one counts.
    const written = JSON.stringify(claims)
    const start = written === '{}' ? '{' : `${written.slice(0, -1)},`
    return signJws(header, `${start}"aud":"${direction.audience}","iat":${nowSeconds()}}`, hmac)
  }

  async function open(jws: string): Promise<Opened> {
    const payload = await findSigned(jws, header, derived ?? (await readKeys()))
    if (payload === null) return { disbelief: 'signature' }
    const claims = parseObject(decodePayload(payload))
    if (claims === null) return { disbelief: 'form' }
    if (claims['aud'] !== direction.audience) return { disbelief: 'audience' }
    const iat = claims['iat']
    if (typeof iat !== 'number') return { disbelief: 'clock' }
    if (!(Math.abs(nowSeconds() - iat) <= IAT_TOLERANCE_SECONDS)) {
      return { disbelief: 'clock', issuedAt: iat }
    }
    return { claims, issuedAt: iat }
  }

  return { sign, open }
}

/** HKDF-SHA256 (RFC 5869) without salt: the secret is uniformly random; `info` separates the directions. */
async function deriveKey(secret: Uint8Array<ArrayBuffer>, info: string): Promise<Uint8Array<ArrayBuffer>> {
  const parent = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits'])
  const derivation = {
    name: 'HKDF',
    hash: 'SHA-256',
    salt: new Uint8Array(),
    info: new TextEncoder().encode(info),
  }
  return new Uint8Array(await crypto.subtle.deriveBits(derivation, parent, 256))
}

/** @returns null unless the text is JSON of an object. */
function parseObject(text: string | null): Claims | null {
  if (text === null) return null
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

export function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
