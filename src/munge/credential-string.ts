/**
 * The text form of a MUNGE credential. munged itself is lenient (measured: it takes spaces, text after the final
 * colon and flipped unused bits), so one credential has many spellings; only the one munge prints passes here.
 */

import { parseCanonicalBase64 } from '../base64.ts'
import { CREDENTIAL_MAX_CHARACTERS } from '../limits.ts'
import { webSha256, type Sha256 } from './sha256.ts'

export interface MungeCredential {
  /** Exactly `MUNGE:<canonical padded base64>:`. */
  readonly text: string
  /** SHA-256 of the decoded bytes, lower-case hex: the same for every spelling munged would take. */
  readonly digest: string
}

const PREFIX = 'MUNGE:'
const SUFFIX = ':'

/** @returns null for anything that is not the one canonical spelling of a non-empty credential. */
export async function parseCredentialString(
  raw: string,
  sha256: Sha256 = webSha256,
): Promise<MungeCredential | null> {
  const bytes = parseCredentialBytes(raw)
  return bytes === null ? null : { text: raw, digest: await sha256.hashToHex(bytes) }
}

/** The same for whom its digest is of no use: to make one costs. */
export function isCredentialString(raw: string): boolean {
  return parseCredentialBytes(raw) !== null
}

function parseCredentialBytes(raw: string): ReturnType<typeof parseCanonicalBase64> {
  if (raw.length > CREDENTIAL_MAX_CHARACTERS) return null
  if (raw.length <= PREFIX.length + SUFFIX.length) return null
  if (!raw.startsWith(PREFIX) || !raw.endsWith(SUFFIX)) return null
  return parseCanonicalBase64(raw.slice(PREFIX.length, -SUFFIX.length))
}
