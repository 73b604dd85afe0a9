/** SHA-256 and its HMAC on Node: done at once, where WebCrypto would go through the thread pool for each. */

import { createHash, createHmac, createSecretKey } from 'node:crypto'
import type { Sha256 } from '../../src/munge/sha256.ts'

export const nodeSha256: Sha256 = {
  hashToHex: (data) => createHash('sha256').update(data).digest('hex'),
  createHmac(key) {
    const secret = createSecretKey(key)
    return (text) => createHmac('sha256', secret).update(text).digest()
  },
}
