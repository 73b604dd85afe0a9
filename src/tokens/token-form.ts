/**
 * The written forms of API tokens: how one is made, and what a presented string has to look like before the store
 * is asked. Pure; a string that passes here has proved nothing yet.
 */

import { base64url } from 'jose'
import type { RandomBytes } from '../ports.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { buildChecksum, CHECKSUM_LENGTH } from './checksum.ts'

export const OPAQUE_PREFIX = 'slg_'

/** `typ` and `iss` of our own JWT form, which no Slurm token carries. */
export const JWT_TYPE = 'slurmgate+jwt'
export const JWT_ISSUER = 'slurmgate'

/** An imported token: RFC 6750 section 2.1 `b64token`, within these lengths. */
export const IMPORTED_LENGTH_MIN = 32
export const IMPORTED_LENGTH_MAX = 4096

/** 256 bits: not to be guessed, so a plain digest of it can be stored. */
const SECRET_BYTES = 32
/** 256 bits in base64url without padding (RFC 4648 section 5). */
const SECRET_LENGTH = 43

const OPAQUE = new RegExp(`^${OPAQUE_PREFIX}[A-Za-z0-9_-]{${SECRET_LENGTH}}[A-Za-z0-9]{${CHECKSUM_LENGTH}}$`)
const SECRET = new RegExp(`^[A-Za-z0-9_-]{${SECRET_LENGTH}}$`)
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/
/** RFC 7519 in compact form; the last part may be empty (`alg` none). */
const COMPACT_JWT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)$/
/** No credential of the gate is longer; nothing longer is looked into. */
const PRESENTED_LENGTH_MAX = 8192

/** A string in the form of an API token. Only the store knows whether it is one. */
export interface ParsedToken {
  readonly kind: 'api-token'
  /** The whole token, to be digested. */
  readonly digestInput: string
}

/** What the compact form of a string is: `ours`, a Slurm token, one that only says it is ours, or none of these. */
export type JwtKind = 'ours' | 'ours-malformed' | 'slurm' | 'none'

/** A new token `slg_` + 43 base64url + 6 base62 characters. */
export function buildOpaqueToken(randomBytes: RandomBytes): string {
  const body = OPAQUE_PREFIX + base64url.encode(randomBytes(SECRET_BYTES))
  return body + buildChecksum(body)
}

/** What a token in JWT form tells clients that decode it locally. The gate never reads these back: the row decides. */
export interface JwtTokenClaims {
  readonly id: string
  readonly slurmUser: string
  /** Unix seconds. */
  readonly issuedAt: number
  /** Unix seconds; null: never, and then there is no `exp`. */
  readonly expiresAt: number | null
}

/**
 * A new token header.claims.secret. The last part is 256 random bits, not a signature; `alg` is there because
 * decoders that do not verify still want a known one (RFC 7515 section 4.1.1 makes it mandatory).
 */
export function buildJwtToken(claims: JwtTokenClaims, randomBytes: RandomBytes): string {
  const header = { alg: 'HS256', typ: JWT_TYPE }
  const payload = {
    iss: JWT_ISSUER,
    sun: claims.slurmUser,
    jti: claims.id,
    iat: claims.issuedAt,
    ...(claims.expiresAt === null ? {} : { exp: claims.expiresAt }),
  }
  const parts = [base64url.encode(JSON.stringify(header)), base64url.encode(JSON.stringify(payload))]
  return [...parts, base64url.encode(randomBytes(SECRET_BYTES))].join('.')
}

/**
 * Accepts a string in one of the three forms: opaque, our JWT form, imported.
 *
 * @param raw untrusted: the credential as it was sent.
 * @returns `slurm_token_presented` for a genuine Slurm JWT, `token_malformed` for what no token looks like; both
 *   without a look-up.
 */
export function parsePresentedToken(raw: string): ParsedToken | Refusal {
  if (raw.length > PRESENTED_LENGTH_MAX) return refuse('token_malformed')
  // As `scontrol token` prints it.
  if (raw.startsWith('SLURM_JWT=')) return refuse('slurm_token_presented')
  if (raw.startsWith('MUNGE:')) return refuseMunge()
  if (raw.startsWith(OPAQUE_PREFIX)) return isOpaqueToken(raw) ? accept(raw) : refuse('token_malformed')
  const jwtKind = readJwtKind(raw)
  if (jwtKind === 'slurm') return refuse('slurm_token_presented')
  if (jwtKind === 'ours') return accept(raw)
  return jwtKind === 'none' && isImportableSyntax(raw) ? accept(raw) : refuse('token_malformed')
}

function refuseMunge(): Refusal {
  return refuse('token_malformed', {
    description: 'this is a MUNGE credential; send it as "Authorization: MUNGE <credential>"',
  })
}

function accept(raw: string): ParsedToken {
  return { kind: 'api-token', digestInput: raw }
}

/** True for `slg_` strings of the right length and characters whose checksum fits. */
export function isOpaqueToken(raw: string): boolean {
  if (!OPAQUE.test(raw)) return false
  return buildChecksum(raw.slice(0, -CHECKSUM_LENGTH)) === raw.slice(-CHECKSUM_LENGTH)
}

/** RFC 6750 section 2.1 syntax, 32 to 4,096 characters. */
export function isImportableSyntax(raw: string): boolean {
  return raw.length >= IMPORTED_LENGTH_MIN && raw.length <= IMPORTED_LENGTH_MAX && B64TOKEN.test(raw)
}

/** Looks into a string in the compact form of a JWT. Nothing is verified: the answer only chooses the refusal. */
export function readJwtKind(raw: string): JwtKind {
  const [, rawHeader, rawClaims, lastPart = ''] = COMPACT_JWT.exec(raw) ?? []
  if (rawHeader === undefined || rawClaims === undefined) return 'none'
  const header = decodeObject(rawHeader)
  const claims = decodeObject(rawClaims)
  if (header === null || claims === null || typeof header['alg'] !== 'string') return 'none'
  if (header['typ'] === JWT_TYPE) {
    return claims['iss'] === JWT_ISSUER && SECRET.test(lastPart) ? 'ours' : 'ours-malformed'
  }
  // Slurm's auth/jwt reads the user from `sun`, or from `username` (slurm.schedmd.com/jwt.html).
  return 'sun' in claims || 'username' in claims ? 'slurm' : 'none'
}

function decodeObject(part: string): Readonly<Record<string, unknown>> | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(base64url.decode(part))
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : null
  } catch {
    return null
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** SHA-256 of a token's text: what the store holds and is asked for. 32 bytes. */
export async function digestToken(token: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token)))
}
