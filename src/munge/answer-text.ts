/**
 * What an answer of the verifier looks like on the way: signed claims, and where a Slurm token goes with them its ciphertext on
 * a line of its own, which the claims name by its digest. That comes often, and is made and opened once: within the claims it would be
 * encoded and authenticated anew by both ends for each call (measured: half of what it costs that the verifier signs).
 */

import { createBoundedMap } from '../bounded-map.ts'
import { SLURM_TOKENS_KEPT } from '../limits.ts'
import type { Sha256 } from './sha256.ts'

export interface AnswerText {
  readonly jws: string
  /** null: nothing goes beside the claims. */
  readonly sealed: string | null
}

const SEPARATOR = '\n'

export function writeAnswerText({ jws, sealed }: AnswerText): string {
  return sealed === null ? jws : `${jws}${SEPARATOR}${sealed}`
}

/** @param text untrusted. */
export function parseAnswerText(text: string): AnswerText {
  const end = text.indexOf(SEPARATOR)
  return end === -1
    ? { jws: text, sealed: null }
    : { jws: text.slice(0, end), sealed: text.slice(end + SEPARATOR.length) }
}

/** @returns what gives the SHA-256 of a ciphertext, in lower-case hex: made once for each of those that go out often. */
export function createSealedDigests(sha256: Sha256): (sealed: string) => Promise<string> {
  const digests = createBoundedMap<string, string>(SLURM_TOKENS_KEPT)
  return async function findDigest(sealed) {
    const known = digests.get(sealed)
    if (known !== undefined) return known
    const digest = await sha256.hashToHex(sealed)
    digests.set(sealed, digest)
    return digest
  }
}
