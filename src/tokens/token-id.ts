/** The name a token goes by in lists, logs and `token revoke`. Says nothing about the token itself. */

import type { RandomBytes } from '../ports.ts'

/** RFC 4648 section 6, lower case: no letter is easily taken for a digit. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'
const LENGTH = 16

const TOKEN_ID = /^tok_[a-z2-7]{16}$/

/** `tok_` + 16 base32 characters: 80 random bits. */
export function buildTokenId(randomBytes: RandomBytes): string {
  return 'tok_' + Array.from(randomBytes(LENGTH), (byte) => BASE32.charAt(byte & 31)).join('')
}

export function isTokenId(raw: string): boolean {
  return TOKEN_ID.test(raw)
}
