/** SHA-256 as lower-case hex: how credentials and signed requests are named without being repeated. */

export async function hashToHex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Of the text's UTF-8. */
export async function hashTextToHex(text: string): Promise<string> {
  return hashToHex(new TextEncoder().encode(text))
}
