/** A POST of a JSON body, as clients send it. */

import type { SendOptions } from './bench.ts'

export function postJson(target: string, body: string | Uint8Array): SendOptions {
  return { method: 'POST', target, headers: [['Content-Type', 'application/json']], body }
}
