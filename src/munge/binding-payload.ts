/**
 * The payload of a MUNGE credential that is good for one request only: `slurmgate1:` and the 32 bytes of that request's
 * digest. Made by the command line, read by the verifier, compared by the gateway.
 */

import { hashTextToHex, hashToHex } from './sha256.ts'

/** A request as it travels. Neither method nor target can hold a line feed (RFC 9112 section 3). */
export interface RequestInTransit {
  /** As sent; case matters (RFC 9110 section 9.1). */
  readonly method: string
  /** Path and query as they stand in the request line, nothing decoded or resolved. */
  readonly target: string
  /** Empty where there is none. */
  readonly body: Uint8Array<ArrayBuffer>
}

const PREFIX = new TextEncoder().encode('slurmgate1:')
const DIGEST_BYTES = 32

/** @returns SHA-256(METHOD LF target LF lower-hex SHA-256(body)), lower-case hex. Nothing follows the last part. */
export async function digestRequest({ method, target, body }: RequestInTransit): Promise<string> {
  return hashTextToHex(`${method}\n${target}\n${await hashToHex(body)}`)
}

/** @param digest of `digestRequest`. */
export function buildBindingPayload(digest: string): Uint8Array {
  const payload = new Uint8Array(PREFIX.length + DIGEST_BYTES)
  payload.set(PREFIX)
  for (let index = 0; index < DIGEST_BYTES; index += 1) {
    payload[PREFIX.length + index] = Number.parseInt(digest.slice(2 * index, 2 * index + 2), 16)
  }
  return payload
}

/** @returns the digest, lower-case hex; null for whatever is not exactly such a payload: it was made for something else. */
export function parseBindingPayload(payload: Uint8Array): string | null {
  if (payload.length !== PREFIX.length + DIGEST_BYTES) return null
  if (PREFIX.some((byte, index) => payload[index] !== byte)) return null
  return Array.from(payload.subarray(PREFIX.length), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
