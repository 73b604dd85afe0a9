/** Who waits for a slot of slurmrestd. Callers take turns, however many requests each of them has waiting; bounded in number. */

import { QUEUE_MAX_OF_CALLER, QUEUE_MAX_REQUESTS } from './limits.ts'
import { Outage } from './refusal.ts'
import type { SlotClaim } from './slot-tally.ts'

export interface Waiting {
  readonly claim: SlotClaim
}

export interface Turns<One extends Waiting> {
  /** One for each caller, in the order of their turns; each in the order of coming. */
  queues(): Iterable<readonly One[]>
  has(one: One): boolean
  /** @throws Outage `overloaded` */
  join(one: One): void
  leave(one: One): void
  /** Leaves too; its caller's next turn comes after everybody else's. */
  takeTurn(one: One): void
}

export function createTurns<One extends Waiting>(): Turns<One> {
  const byCaller = new Map<string, One[]>()
  let count = 0

  function leave(one: One): void {
    const queue = byCaller.get(one.claim.caller) ?? []
    const at = queue.indexOf(one)
    if (at < 0) return
    queue.splice(at, 1)
    if (queue.length === 0) byCaller.delete(one.claim.caller)
    count -= 1
  }

  return {
    queues: () => byCaller.values(),
    has: (one) => byCaller.get(one.claim.caller)?.includes(one) === true,
    leave,
    join(one) {
      const queue = byCaller.get(one.claim.caller) ?? []
      if (count >= QUEUE_MAX_REQUESTS || queue.length >= QUEUE_MAX_OF_CALLER) {
        throw new Outage('overloaded', `${count} requests wait for slots, ${queue.length} of this caller`)
      }
      queue.push(one)
      byCaller.set(one.claim.caller, queue)
      count += 1
    },
    takeTurn(one) {
      leave(one)
      const { caller } = one.claim
      const rest = byCaller.get(caller)
      if (rest !== undefined && byCaller.delete(caller)) byCaller.set(caller, rest)
    },
  }
}
