/** One guarantee of the gate, checked on every runtime in the same way. */

import type { Bench } from './bench.ts'

export interface ConformanceCase {
  /** The guarantee in words. */
  readonly name: string
  /** Where it is promised or measured: a section of the contract, a line of the client facts, an RFC. */
  readonly source: string
  run(bench: Bench): Promise<void>
  /** Why a runtime cannot show this, in words; counted as skipped and printed. */
  readonly skipOn?: Partial<Record<'node' | 'workerd', string>>
  /** Makes credentials of other users, which needs root; without it the case is skipped, in words. */
  readonly needsAnyUser?: true
}
