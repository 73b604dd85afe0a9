/** Keeps answers for a moment, within their room: the one that was used longest ago goes first. Knows no user. */

import type { Clock } from '../ports.ts'
import type { WholeAnswer } from './whole-answer.ts'

export interface KeptAnswer {
  readonly whole: WholeAnswer
  /** What the answer was asked under (`generations.ts`): it counts under no other. */
  readonly generation: number
  readonly ttlMilliseconds: number
}

export interface AnswerCache {
  /** @returns null: none that may be used now. */
  findFresh(key: string, generation: number): KeptAnswer | null
  /** For when slurmrestd cannot be reached. */
  findStale(key: string, generation: number): KeptAnswer | null
  keep(key: string, kept: KeptAnswer): void
  /** The one that was used longest ago. @returns false where none is kept. */
  giveUpOne(): boolean
}

/** @param uptime milliseconds, never set back. */
export function createAnswerCache(staleMilliseconds: number, uptime: Clock): AnswerCache {
  const byKey = new Map<string, KeptAnswer>()

  function drop(key: string): void {
    byKey.get(key)?.whole.held.release()
    byKey.delete(key)
  }

  function find(key: string, generation: number, moreMilliseconds: number): KeptAnswer | null {
    const kept = byKey.get(key)
    if (kept === undefined) return null
    const age = uptime() - kept.whole.arrivedAt
    const isOver =
      kept.generation !== generation || age < 0 || age >= kept.ttlMilliseconds + staleMilliseconds
    if (isOver) drop(key)
    return isOver || age >= kept.ttlMilliseconds + moreMilliseconds ? null : kept
  }

  return {
    findFresh(key, generation) {
      const kept = find(key, generation, 0)
      // Used last, given up last.
      if (kept !== null && byKey.delete(key)) byKey.set(key, kept)
      return kept
    },
    findStale: (key, generation) => find(key, generation, staleMilliseconds),
    keep(key, kept) {
      drop(key)
      kept.whole.held.hold()
      byKey.set(key, kept)
    },
    giveUpOne() {
      const [oldest] = byKey.keys()
      if (oldest === undefined) return false
      drop(oldest)
      return true
    },
  }
}
