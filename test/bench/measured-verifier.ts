/** The verifier as it is run, with one addition: told so by its parent, it collects garbage and says what it holds. */

import { runVerifier } from '../../functions/verifier.ts'

/** Bytes. */
export interface Held {
  readonly heapUsed: number
  readonly external: number
}

export function runMeasuredVerifier(): void {
  process.on('message', () => {
    // Twice: what the first collection lets go of may hold memory outside the heap.
    globalThis.gc?.()
    globalThis.gc?.()
    const { heapUsed, external } = process.memoryUsage()
    process.send?.({ heapUsed, external } satisfies Held)
  })
  // It ends when its server does.
  process.channel?.unref()
  void runVerifier(process.env)
}
