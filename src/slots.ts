/**
 * Bounds how many requests slurmrestd works on at once: about 124 connections stall it (measured). Waiting is bounded
 * in number and time; whoever cannot be served is told so with 503 before anything went upstream.
 */

import { QUEUE_MAX_MILLISECONDS, QUEUE_MAX_OF_CALLER, QUEUE_MAX_REQUESTS } from './limits.ts'
import type { Clock } from './ports.ts'
import { Outage } from './refusal.ts'
import { createSlotTally, type SlotClaim, type SlotLimits } from './slot-tally.ts'

/** Gives a slot back; calling it twice is harmless. */
export type GiveBack = () => void

export interface Slots {
  /** @throws Outage `overloaded` */
  take(claim: SlotClaim): Promise<GiveBack>
}

interface Waiting {
  readonly claim: SlotClaim
  readonly wake: () => void
}

/**
 * For runtimes where a request may wait for another one to end, and where every request does end. Callers take turns,
 * however many requests each of them has waiting.
 */
export function createQueuedSlots(limits: SlotLimits): Slots {
  const tally = createSlotTally(limits)
  /** By caller, in the order of their turns; each caller's in the order of their coming. */
  const queues = new Map<string, Waiting[]>()
  let waitingCount = 0

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
    for (const [caller, queue] of queues) {
      const next = queue.find(({ claim }) => tally.hasRoom(claim))
      if (next === undefined) continue
      leave(next)
      const rest = queues.get(caller)
      // Its next turn comes after everybody else's.
      if (rest !== undefined && queues.delete(caller)) queues.set(caller, rest)
      tally.add(next.claim)
      next.wake()
      return true
    }
    return false
  }

  function leave(one: Waiting): void {
    const queue = queues.get(one.claim.caller) ?? []
    queue.splice(queue.indexOf(one), 1)
    if (queue.length === 0) queues.delete(one.claim.caller)
    waitingCount -= 1
  }

  function wait(claim: SlotClaim): Promise<void> {
    return new Promise((resolve, reject) => {
      const one: Waiting = {
        claim,
        wake: () => {
          clearTimeout(timer)
          resolve()
        },
      }
      const timer = setTimeout(() => {
        leave(one)
        reject(new Outage('overloaded', `no upstream slot within ${QUEUE_MAX_MILLISECONDS} ms`))
      }, QUEUE_MAX_MILLISECONDS)
      const queue = queues.get(claim.caller)
      if (queue === undefined) queues.set(claim.caller, [one])
      else queue.push(one)
      waitingCount += 1
    })
  }

  return {
    async take(claim) {
      if (tally.hasRoom(claim)) {
        tally.add(claim)
        return give(claim)
      }
      const ofCaller = queues.get(claim.caller)?.length ?? 0
      if (waitingCount >= QUEUE_MAX_REQUESTS || ofCaller >= QUEUE_MAX_OF_CALLER) {
        throw new Outage('overloaded', `${waitingCount} requests wait for slots, ${ofCaller} of this caller`)
      }
      await wait(claim)
      return give(claim)
    },
  }
}

/**
 * For workerd: no request may wake another, and one whose client has gone may end without running any more code, so
 * each slot is a lease that runs out.
 * @param leaseMilliseconds longer than any upstream call takes.
 */
export function createLeasedSlots(limits: SlotLimits, leaseMilliseconds: number, now: Clock): Slots {
  const tally = createSlotTally(limits)
  const leases = new Map<SlotClaim, number>()

  function end(lease: SlotClaim): void {
    if (leases.delete(lease)) tally.remove(lease)
  }

  return {
    take(claim) {
      for (const [lease, endsAt] of leases) if (endsAt <= now()) end(lease)
      if (!tally.hasRoom(claim)) {
        return Promise.reject(new Outage('overloaded', 'all upstream slots for this caller are taken'))
      }
      const lease = { ...claim }
      tally.add(lease)
      leases.set(lease, now() + leaseMilliseconds)
      return Promise.resolve(() => end(lease))
    },
  }
}
