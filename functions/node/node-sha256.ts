/** SHA-256 and its HMAC on Node: done at once, where WebCrypto would go through the thread pool for each. */

import { createHmac, createSecretKey, hash } from 'node:crypto'
import type { Sha256 } from '../../src/munge/sha256.ts'

export const nodeSha256: Sha256 = {
  hashToHex: (data) => hash('sha256', data, 'hex'),
  createHmac(key) {
    const secret = createSecretKey(key)
    return (text) => createHmac('sha256', secret).update(text).digest()
  },
}
