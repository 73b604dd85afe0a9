/**
 * Bounds how many requests slurmrestd works on at once: about 124 connections stall it (measured). Waiting is bounded
 * in number and time; whoever cannot be served is told so with 503 before anything went upstream.
 */

import { QUEUE_MAX_MILLISECONDS } from './limits.ts'
import { Outage } from './refusal.ts'
import { createSlotTally, type SlotClaim, type SlotLimits } from './slot-tally.ts'
import { createTurns, type Waiting } from './turns.ts'

/** Gives a slot back; calling it twice is harmless. */
export type GiveBack = () => void

export interface Slots {
  /** @throws Outage `overloaded` */
  take(claim: SlotClaim): Promise<GiveBack>
}

interface Sleeper extends Waiting {
  readonly wake: () => void
}

/** For runtimes where a request may wait for another one to end, and where every request does end. */
export function createQueuedSlots(limits: SlotLimits): Slots {
  const tally = createSlotTally(limits)
  const turns = createTurns<Sleeper>()

  function give(claim: SlotClaim): GiveBack {
    let isGivenBack = false
    return () => {
      if (isGivenBack) return
      isGivenBack = true
      tally.remove(claim)
      while (serveNext());
    }
  }

  /** One slot given back may make room for several: of all, for slurmdbd, and for its caller. @returns whether there was one. */
  function serveNext(): boolean {
    for (const queue of turns.queues()) {
      const next = queue.find(({ claim }) => tally.hasRoom(claim))
      if (next === undefined) continue
      turns.takeTurn(next)
      tally.add(next.claim)
      next.wake()
      return true
    }
    return false
  }

  function wait(claim: SlotClaim): Promise<void> {
    return new Promise((resolve, reject) => {
      const one: Sleeper = {
        claim,
        wake: () => {
          clearTimeout(timer)
          resolve()
        },
      }
      turns.join(one)
      const timer = setTimeout(() => {
        turns.leave(one)
        reject(buildLateness())
      }, QUEUE_MAX_MILLISECONDS)
    })
  }

  return {
    async take(claim) {
      if (tally.hasRoom(claim)) tally.add(claim)
      else await wait(claim)
      return give(claim)
    },
  }
}

export function buildLateness(): Outage {
  return new Outage('overloaded', `no upstream slot within ${QUEUE_MAX_MILLISECONDS} ms`)
}
