/** Reads the key that Slurm tokens are signed with. Exactly one source; the key itself is never shown. */

import { parseCanonicalBase64 } from './base64.ts'
import { readText, type Environment } from './environment.ts'
import type { SlurmKey } from './slurm-token.ts'

/**
 * Reads a whole file that nobody but its owner and group can read.
 * @returns its bytes, or what is wrong with it ("cannot be read").
 */
export type ReadKeyFile = (path: string) => Uint8Array<ArrayBuffer> | string

export const SLURM_KEY_NAMES = [
  'SLURM_JWT_HS256_KEY_FILE',
  'SLURM_JWT_HS256_KEY',
  'SLURM_JWT_RS256_JWK_FILE',
  'SLURM_JWT_RS256_JWK',
] as const

type SlurmKeyName = (typeof SLURM_KEY_NAMES)[number]

/** Slurm's documentation makes 32 random bytes; fewer than 16 can be guessed. */
const HS256_KEY_MIN_BYTES = 16
/** RFC 7518 section 3.3. */
const RS256_MODULUS_MIN_BYTES = 256

/** @returns null with at least one problem. */
export function readSlurmKey(
  source: { readonly env: Environment; readonly readKeyFile: ReadKeyFile | null },
  problems: string[],
): SlurmKey | null {
  const given = SLURM_KEY_NAMES.filter((name) => readText(source.env, name) !== null)
  const [name] = given
  if (name === undefined || given.length > 1) {
    problems.push(`exactly one of ${SLURM_KEY_NAMES.join(', ')} is required`)
    return null
  }
  const bytes = readBytes(source, name)
  const key = typeof bytes === 'string' ? bytes : parseKey(name, bytes)
  if (typeof key !== 'string') return key
  problems.push(`${name} ${key}`)
  return null
}

/** @returns the bytes, or what is wrong. */
function readBytes(
  { env, readKeyFile }: { readonly env: Environment; readonly readKeyFile: ReadKeyFile | null },
  name: SlurmKeyName,
): Uint8Array<ArrayBuffer> | string {
  const text = readText(env, name, { default: '' })
  if (name.endsWith('_FILE')) {
    return readKeyFile === null ? 'needs a runtime with files: use the one without _FILE' : readKeyFile(text)
  }
  if (name === 'SLURM_JWT_RS256_JWK') return new TextEncoder().encode(text)
  return parseCanonicalBase64(text) ?? 'must be base64'
}

function parseKey(name: SlurmKeyName, bytes: Uint8Array<ArrayBuffer>): SlurmKey | string {
  if (name.includes('RS256')) return parseJwk(bytes)
  if (bytes.length < HS256_KEY_MIN_BYTES) return `must be at least ${HS256_KEY_MIN_BYTES} bytes`
  return { algorithm: 'HS256', bytes }
}

function parseJwk(bytes: Uint8Array): SlurmKey | string {
  let jwk: unknown
  try {
    jwk = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return 'must be a JSON Web Key'
  }
  if (typeof jwk !== 'object' || jwk === null) return 'must be a JSON Web Key'
  const { kty, kid, n, d } = jwk as Record<string, unknown>
  if (kty !== 'RSA' || typeof d !== 'string') return 'must be a private RSA key'
  if (typeof kid !== 'string' || kid === '') return 'must have a kid that stands in Slurm’s JWKS file'
  if (typeof n !== 'string' || n.length * 0.75 < RS256_MODULUS_MIN_BYTES)
    return 'must have at least 2048 bits'
  return { algorithm: 'RS256', jwk, keyId: kid }
}
