/** Slots as tests take them, under a clock of their own. */

import { vi } from 'vitest'
import type { Slots } from '../../src/slots.ts'
import type { SlotClaim, SlotLimits } from '../../src/slot-tally.ts'
import { outageOf } from './in-memory-ports.ts'

/** Takes, and keeps what became of it. */
export function take(slots: Slots, claim: Partial<SlotClaim> = {}) {
  const state: { outcome: string; giveBack: () => void } = {
    outcome: 'waiting',
    giveBack: () => undefined,
  }
  void outageOf(async () => {
    state.giveBack = await slots.take({ caller: 'a', isAccounting: false, ...claim })
  }).then((rule) => (state.outcome = rule === 'none' ? 'taken' : rule))
  return state
}
export const limitTo = (all: number, more: Partial<SlotLimits> = {}): SlotLimits => ({
  all,
  accounting: all,
  perCaller: all,
  ...more,
})
export const settle = () => vi.advanceTimersByTimeAsync(0)
export const takeMany = (slots: Slots, count: number) => Array.from({ length: count }, () => take(slots))
