/** Lets concurrent callers share one run of a task, also where the runtime lets no request wait for another's promise. */

import { isWithin } from './is-within.ts'
import { TURN_LOOK_MILLISECONDS } from './limits.ts'
import type { Clock } from './ports.ts'

export interface SingleFlightOptions {
  /** false on workerd: a promise made in one request may not be awaited in another. Plain data may be shared. */
  readonly maySharePromises: boolean
  /**
   * Where promises are not shared: how long one caller has the turn, longer than the task takes, for a request that is
   * cut off gives nothing back. Nobody waits longer than that for another's answer.
   */
  readonly turnMilliseconds: number
  readonly now: Clock
}

/** @returns null: somebody else runs the task, and has not got its answer in time. Never where promises are shared. */
export function createSingleFlight<T>(
  task: () => Promise<T>,
  options: SingleFlightOptions,
): () => Promise<T | null> {
  return options.maySharePromises ? sharePromise(task) : takeTurns(task, options)
}

function sharePromise<T>(task: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null
  return function run() {
    running ??= task().finally(() => {
      running = null
    })
    return running
  }
}

/** Whoever comes while another has the turn looks, with a timer of its own, whether the answer is there. */
function takeTurns<T>(
  task: () => Promise<T>,
  { turnMilliseconds, now }: SingleFlightOptions,
): () => Promise<T | null> {
  let turn: { readonly since: number } | null = null
  let answered: { readonly value: T } | null = null

  async function takeTurn(): Promise<T> {
    const mine = { since: now() }
    turn = mine
    try {
      const value = await task()
      answered = { value }
      return value
    } finally {
      if (turn === mine) turn = null
    }
  }

  return async function run() {
    const before = answered
    // Counted, not timed: a clock that is set back makes nobody wait longer.
    for (let looks = turnMilliseconds / TURN_LOOK_MILLISECONDS; looks > 0; looks -= 1) {
      if (turn === null || !isWithin(turn.since, turnMilliseconds, now())) return takeTurn()
      await new Promise((resolve) => setTimeout(resolve, TURN_LOOK_MILLISECONDS))
      if (answered !== null && answered !== before) return answered.value
    }
    return null
  }
}
