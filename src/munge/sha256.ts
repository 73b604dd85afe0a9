/** SHA-256 and its HMAC: how credentials and signed messages are named and signed. A port, for a runtime may have it faster. */

import { formatHex } from '../hex.ts'

export interface Sha256 {
  /** Lower-case hex; of text: of its UTF-8. */
  hashToHex(data: string | Uint8Array<ArrayBuffer>): string | Promise<string>
  /** HMAC (RFC 2104) with this key, of ASCII text. Keeps no promise: a Worker may share none between requests. */
  createHmac(key: Uint8Array<ArrayBuffer>): (text: string) => Uint8Array | Promise<Uint8Array>
}

/** By WebCrypto, which every runtime has. Each call is a task of its own there: some 20 µs (measured on Node). */
export const webSha256: Sha256 = {
  async hashToHex(data) {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
    return formatHex(hash)
  },
  createHmac(key) {
    const algorithm = { name: 'HMAC', hash: 'SHA-256' }
    let imported: Awaited<ReturnType<typeof crypto.subtle.importKey>> | null = null
    return async (text) => {
      imported ??= await crypto.subtle.importKey('raw', key, algorithm, false, ['sign'])
      return new Uint8Array(await crypto.subtle.sign('HMAC', imported, new TextEncoder().encode(text)))
    }
  },
}
