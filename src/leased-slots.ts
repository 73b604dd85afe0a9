/**
 * Slots for workerd, where no request may wake another, and one whose client has gone may end without running any more
 * code: who waits looks again and again by timers of its own, and what nobody gives back runs out.
 */

import { QUEUE_LOOK_MILLISECONDS, QUEUE_LOOKS_MISSED_MAX, QUEUE_MAX_MILLISECONDS } from './limits.ts'
import type { Clock } from './ports.ts'
import { createSlotTally, type SlotClaim, type SlotLimits } from './slot-tally.ts'
import { buildLateness, type GiveBack, type Slots } from './slots.ts'
import { createTurns, type Waiting } from './turns.ts'

/** Plain data, so that other requests may look at it. */
interface Ticket extends Waiting {
  /** Unix milliseconds. */
  lookedAt: number
}

const GONE_AFTER_MILLISECONDS = QUEUE_LOOKS_MISSED_MAX * QUEUE_LOOK_MILLISECONDS

/** @param leaseMilliseconds longer than any upstream call takes. */
export function createLeasedSlots(limits: SlotLimits, leaseMilliseconds: number, now: Clock): Slots {
  const tally = createSlotTally(limits)
  const leases = new Map<SlotClaim, number>()
  const turns = createTurns<Ticket>()

  function give(claim: SlotClaim): GiveBack {
    const lease = { ...claim }
    tally.add(lease)
    leases.set(lease, now() + leaseMilliseconds)
    return () => end(lease)
  }

  function end(lease: SlotClaim): void {
    if (leases.delete(lease)) tally.remove(lease)
  }

  function endOldLeases(): void {
    for (const [lease, endsAt] of leases) if (endsAt <= now()) end(lease)
  }

  /** @returns whether there is a slot left when all who come before it have theirs; null: everybody does. */
  function hasTurn(claim: SlotClaim, ticket: Ticket | null): boolean {
    if (!tally.hasRoom(claim)) return false
    const rest = tally.copy()
    const served = new Set<Ticket>()
    for (let before = -1; before < served.size && rest.hasRoom(claim);) {
      before = served.size
      for (const queue of turns.queues()) {
        const next = queue.find((one) => !served.has(one) && rest.hasRoom(one.claim))
        if (next === undefined) continue
        if (next === ticket) return true
        rest.add(next.claim)
        served.add(next)
      }
    }
    return ticket === null && rest.hasRoom(claim)
  }

  function dropGone(): void {
    const gone = [...turns.queues()]
      .flat()
      .filter(({ lookedAt }) => now() - lookedAt > GONE_AFTER_MILLISECONDS)
    for (const ticket of gone) turns.leave(ticket)
  }

  /** Sleeps; then those who have gone do not stand in the way. @throws Outage `overloaded` */
  async function lookLater(ticket: Ticket): Promise<void> {
    await sleep(QUEUE_LOOK_MILLISECONDS)
    const isOnTime = now() - ticket.lookedAt < GONE_AFTER_MILLISECONDS / 2
    ticket.lookedAt = now()
    endOldLeases()
    // Whoever was held up itself knows nothing of the others: they may have been so too.
    if (isOnTime && tally.hasRoom(ticket.claim)) dropGone()
    // Somebody thought it had gone.
    if (!turns.has(ticket)) turns.join(ticket)
  }

  return {
    async take(claim) {
      endOldLeases()
      if (hasTurn(claim, null)) return give(claim)
      dropGone()
      const ticket = { claim, lookedAt: now() }
      const lateAt = now() + QUEUE_MAX_MILLISECONDS
      turns.join(ticket)
      while (!hasTurn(claim, ticket)) {
        if (now() >= lateAt) {
          turns.leave(ticket)
          throw buildLateness()
        }
        await lookLater(ticket)
      }
      turns.takeTurn(ticket)
      return give(claim)
    },
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
