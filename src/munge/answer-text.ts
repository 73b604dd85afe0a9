/**
 * What an answer of the verifier looks like on the way: signed claims, and where a Slurm token goes with them its ciphertext on
 * a line of its own, which the claims name by its digest. That comes often, and is made and opened once: within the claims both ends
 * would encode and authenticate it anew for each call, which is half of what it costs that the verifier signs (measured).
 */

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
