/**
 * Base64 in its one canonical form (RFC 4648 section 4: standard alphabet, padded, unused bits zero). Anything else is
 * refused, because a second spelling of the same bytes has another digest.
 */

/** @returns the bytes, or null unless `text` is exactly what `encodeBase64` makes of them. */
export function parseCanonicalBase64(text: string): Uint8Array<ArrayBuffer> | null {
  // Before atob: it skips white space and takes missing padding.
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null
  let binary: string
  try {
    binary = atob(text)
  } catch {
    return null
  }
  if (btoa(binary) !== text) return null
  const bytes = new Uint8Array(binary.length)
  for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index)
  return bytes
}

export function encodeBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}
