/**
 * Counts the bytes of all answers that are held at a time: kept, and on their way to clients. What does not fit in is
 * not held, so the process never holds more than it was told.
 */

import { ANSWER_OVERHEAD_BYTES } from '../limits.ts'

export interface AnswerMemory {
  /** Beside the bytes an answer counts with what its keeping takes. @returns null where there is no room, also after what is kept has been given up. */
  reserve(bytes: number): Held | null
}

/** Bytes that count until their last holder has let go. */
export interface Held {
  /** One more holder. */
  hold(): void
  /** One holder less. */
  release(): void
}

/**
 * @param giveUp asked for room: gives up one kept answer. @returns false where none is kept.
 */
export function createAnswerMemory(maxBytes: number, giveUp: () => boolean): AnswerMemory {
  let used = 0
  return {
    reserve(bytes) {
      const taken = bytes + ANSWER_OVERHEAD_BYTES
      while (used + taken > maxBytes) if (taken > maxBytes || !giveUp()) return null
      used += taken
      let holders = 1
      return {
        hold: () => {
          if (holders === 0) throw new TypeError('what was let go cannot be held again')
          holders += 1
        },
        release: () => {
          if (holders === 0) return
          holders -= 1
          if (holders === 0) used -= taken
        },
      }
    },
  }
}
