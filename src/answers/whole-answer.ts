/** An answer of slurmrestd's that is held whole, and what tells it from another one. */

import { webSha256, type Sha256 } from '../munge/sha256.ts'
import type { UpstreamAnswer } from '../ports.ts'
import type { Held } from './answer-memory.ts'

export interface WholeAnswer {
  readonly answer: UpstreamAnswer
  /** RFC 9110 section 8.8.3: strong, of the bytes alone. null: not an answer to be asked for again. */
  readonly etag: string | null
  /** When slurmrestd was asked, by the clock that is never set back: RFC 9111 section 4.2.3 counts from there. */
  readonly askedAt: number
  /** When the last of it had come. */
  readonly arrivedAt: number
  readonly held: Held
}

/** Digits of the digest: 128 bits. */
const ETAG_DIGITS = 32
/** Above it a digest is left to where it holds up nobody else. */
const DIGEST_AT_ONCE_BYTES = 256 * 1024

export async function buildEtag(
  { status }: UpstreamAnswer,
  bytes: Uint8Array<ArrayBuffer>,
  sha256: Pick<Sha256, 'hashToHex'>,
): Promise<string | null> {
  if (status !== 200) return null
  const digest = await (bytes.length > DIGEST_AT_ONCE_BYTES ? webSha256 : sha256).hashToHex(bytes)
  return `"${digest.slice(0, ETAG_DIGITS)}"`
}

/** RFC 9110 section 13.1.2, by the weak comparison: `*`, or one of a list. */
export function isMatch(ifNoneMatch: string | null, etag: string | null): boolean {
  if (ifNoneMatch === null || etag === null) return false
  if (ifNoneMatch.trim() === '*') return true
  return ifNoneMatch.split(',').some((item) => item.trim().replace(/^W\//, '') === etag)
}

/** RFC 9111 section 5.2.1 and 5.4: the client wants to know how it is now. */
export function isFreshWanted(headers: { get(name: string): string | null }): boolean {
  const control = headers.get('cache-control')
  if (control === null) return /no-cache/i.test(headers.get('pragma') ?? '')
  return /(^|[\s,])(no-cache|no-store|max-age\s*=\s*0+)([\s,=]|$)/i.test(control)
}

/** Both ends of an answer are looked at: v0.0.36-38 have `errors` first, later ones last (measured). */
const END_BYTES = 4 * 1024
const NO_ERRORS = /"errors"\s*:\s*\[\s*\]|(^|\n)errors:\s*\[\s*\]/

/** Slurm says 200 and lists errors too (22.05, measured). Where no empty list is seen there may be some. */
export function saysNoErrors(bytes: Uint8Array): boolean {
  const decoder = new TextDecoder()
  const first = decoder.decode(bytes.subarray(0, END_BYTES))
  return NO_ERRORS.test(first) || NO_ERRORS.test(decoder.decode(bytes.subarray(-END_BYTES)))
}
