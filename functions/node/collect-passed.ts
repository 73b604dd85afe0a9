/**
 * Has the memory of long answers that have passed through given back in time. V8 by itself lets buffers of 32 MiB come together
 * before it looks for those nobody needs any more: one long answer would add that, and what it takes to read it (measured on
 * Node 20 and 24).
 */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const COLLECT_AFTER_BYTES = 4 * 1024 * 1024

type Collect = (options: { readonly type: 'minor' }) => void

let collect: Collect | null = null
/** Of all answers: the memory is the process's. */
let passedBytes = 0

/** To be told of each piece of an answer that streams. Every 4 MiB it takes about a millisecond (measured). */
export function collectPassed(bytes: number): void {
  passedBytes += bytes
  if (passedBytes < COLLECT_AFTER_BYTES) return
  passedBytes = 0
  collect ??= findCollect()
  collect({ type: 'minor' })
}

/** V8 shows its own to contexts that are made while the flag is set, and to no other. */
function findCollect(): Collect {
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('globalThis.gc')
  setFlagsFromString('--no-expose-gc')
  return typeof found === 'function' ? (found as Collect) : () => undefined
}
