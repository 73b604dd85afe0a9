/** Random bytes on Node, from a pool that is filled at once: each is handed out once, and gone from the pool then. */

import { randomFillSync } from 'node:crypto'
import type { RandomBytes } from '../../src/ports.ts'

const POOL_BYTES = 4096

export function createRandomBytes(): RandomBytes {
  const pool = new Uint8Array(POOL_BYTES)
  let used = POOL_BYTES
  return (length) => {
    if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length))
    if (used + length > POOL_BYTES) {
      randomFillSync(pool)
      used = 0
    }
    const bytes = pool.slice(used, used + length)
    pool.fill(0, used, used + length)
    used += length
    return bytes
  }
}
