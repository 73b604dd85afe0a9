/**
 * The six characters at the end of an opaque API token: CRC-32 in base62. They catch a token that was cut or
 * mistyped without a look-up, and let secret scanners be sure. They are not a secret and prove nothing.
 */

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** 62^6 is greater than 2^32, so six characters always do. */
export const CHECKSUM_LENGTH = 6

/** The reflected polynomial of IEEE 802.3, as in gzip (RFC 1952 section 8). */
const POLYNOMIAL = 0xedb88320

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
  return value
})

/** CRC-32 of an ASCII string, 0 to 2^32 - 1. */
export function computeCrc32(ascii: string): number {
  let crc = 0xffffffff
  for (let index = 0; index < ascii.length; index++) {
    crc = (TABLE[(crc ^ ascii.charCodeAt(index)) & 0xff] ?? 0) ^ (crc >>> 8)
  }
  return (crc ^ 0xffffffff) >>> 0
}

/** Six base62 characters, most significant first, padded with `0`. */
export function buildChecksum(ascii: string): string {
  let rest = computeCrc32(ascii)
  let text = ''
  for (let index = 0; index < CHECKSUM_LENGTH; index++) {
    text = BASE62.charAt(rest % 62) + text
    rest = Math.floor(rest / 62)
  }
  return text
}
