/** The queue of slots where no request may wake another (facts/runtimes.md), and a client that has gone ends without a word. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLeasedSlots } from '../../src/leased-slots.ts'
import {
  QUEUE_LOOK_MILLISECONDS,
  QUEUE_LOOKS_MISSED_MAX,
  QUEUE_MAX_MILLISECONDS,
  QUEUE_MAX_OF_CALLER,
  QUEUE_MAX_REQUESTS,
} from '../../src/limits.ts'
import type { SlotClaim, SlotLimits } from '../../src/slot-tally.ts'
import type { Slots } from '../../src/slots.ts'
import { limitTo, settle, take, takeMany } from './taken-slots.ts'

const LEASE = 60_000
const GONE = QUEUE_LOOKS_MISSED_MAX * QUEUE_LOOK_MILLISECONDS

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const create = (limits: SlotLimits): Slots => createLeasedSlots(limits, LEASE, Date.now)
/** Everybody who waits has looked once more. */
const look = () => vi.advanceTimersByTimeAsync(QUEUE_LOOK_MILLISECONDS)
const outcomes = (taken: readonly { outcome: string }[]): string[] => taken.map(({ outcome }) => outcome)

/** Comes to wait, and never runs again. */
function takeAndGo(slots: Slots, claim: Partial<SlotClaim> = {}): void {
  const sleeping = vi.spyOn(globalThis, 'setTimeout').mockImplementation((() => 0) as never)
  void take(slots, claim)
  sleeping.mockRestore()
}

describe('leased slots', () => {
  it('are as many as there are, and the next one waits until one is given back, one for one', async () => {
    const taken = takeMany(create(limitTo(2)), 4)
    await look()
    expect(outcomes(taken)).toEqual(['taken', 'taken', 'waiting', 'waiting'])
    for (let round = 0; round < 3; round += 1) taken[0]?.giveBack()
    await look()
    expect(outcomes(taken)).toEqual(['taken', 'taken', 'taken', 'waiting'])
    taken[1]?.giveBack()
    await look()
    expect(taken[3]?.outcome).toBe('taken')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('that came free together are all taken at the next look', async () => {
    const taken = takeMany(create(limitTo(4)), 8)
    await settle()
    for (const one of taken.slice(0, 4)) one.giveBack()
    await look()
    expect(outcomes(taken.slice(4))).toEqual(['taken', 'taken', 'taken', 'taken'])
  })

  it('that nobody gave back run out, and giving them back then takes no one’s slot away', async () => {
    const slots = create(limitTo(1))
    const lost = take(slots)
    await vi.advanceTimersByTimeAsync(LEASE - 1_000)
    const next = take(slots)
    await vi.advanceTimersByTimeAsync(999)
    expect(next.outcome).toBe('waiting')
    await look()
    expect(next.outcome).toBe('taken')
    lost.giveBack()
    const third = take(slots)
    await look()
    expect(third.outcome).toBe('waiting')
  })
})

describe('waiting for one', () => {
  it('ends after its time with an outage, and leaves neither timer nor place behind', async () => {
    const slots = create(limitTo(1))
    const [first, second] = takeMany(slots, 2)
    await vi.advanceTimersByTimeAsync(QUEUE_MAX_MILLISECONDS - 1)
    expect(second?.outcome).toBe('waiting')
    await look()
    expect(second?.outcome).toBe('overloaded')
    expect(vi.getTimerCount()).toBe(0)
    first?.giveBack()
    const third = take(slots)
    await settle()
    expect(third.outcome).toBe('taken')
  })

  it('is shed at once beyond the bounds, of all and of one caller', async () => {
    const slots = create(limitTo(1))
    const greedy = takeMany(slots, QUEUE_MAX_OF_CALLER + 2)
    await settle()
    expect(outcomes(greedy.slice(-2))).toEqual(['waiting', 'overloaded'])
    const others = Array.from({ length: QUEUE_MAX_REQUESTS - QUEUE_MAX_OF_CALLER + 1 }, (_, index) =>
      take(slots, { caller: `c${index}` }),
    )
    await settle()
    expect(outcomes(others.slice(-2))).toEqual(['waiting', 'overloaded'])
  })

  it('goes by turns between callers, however many requests one of them has waiting', async () => {
    const slots = create(limitTo(1))
    const greedy = takeMany(slots, 20)
    const [modest, third] = ['b', 'c'].map((caller) => take(slots, { caller }))
    const order = [greedy[0], greedy[1], modest, third, greedy[2]]
    for (const one of order) {
      await look()
      expect(one?.outcome).toBe('taken')
      one?.giveBack()
    }
  })

  it('is not cut short by who comes later: a slot that is free belongs to who waits', async () => {
    const slots = create(limitTo(1))
    const [first, second] = takeMany(slots, 2)
    await settle()
    first?.giveBack()
    const late = take(slots, { caller: 'b' })
    await settle()
    expect([second?.outcome, late.outcome]).toEqual(['waiting', 'waiting'])
    await look()
    expect([second?.outcome, late.outcome]).toEqual(['taken', 'waiting'])
  })

  it('keeps one caller to its share, and slurmdbd to its own; the rest is free for others at once', async () => {
    const slots = create(limitTo(4, { perCaller: 2, accounting: 1 }))
    const greedy = takeMany(slots, 3)
    const accounting = ['b', 'c'].map((caller) => take(slots, { caller, isAccounting: true }))
    const other = take(slots, { caller: 'c' })
    await settle()
    expect(outcomes([...greedy, ...accounting, other])).toEqual([
      ...['taken', 'taken', 'waiting'],
      ...['taken', 'waiting'],
      'taken',
    ])
  })

  it.each([1, 2, 3])('never exceeds a bound, and serves everybody in the end (seed %i)', async (seed) => {
    const slots = create(limitTo(5, { accounting: 2, perCaller: 3 }))
    const all = Array.from({ length: 60 }, (_, index) => {
      const caller = 'abcdefg'[(index * seed * 31) % 7] ?? 'a'
      const claim = { caller, isAccounting: (index * seed) % 3 === 0 }
      return { claim, state: take(slots, claim) }
    })
    for (let round = 0; round < 100; round += 1) {
      await look()
      const held = all.filter(({ state }) => state.outcome === 'taken')
      expect(held.length).toBeLessThanOrEqual(5)
      expect(held.filter(({ claim }) => claim.isAccounting).length).toBeLessThanOrEqual(2)
      for (const caller of 'abcdefg')
        expect(held.filter(({ claim }) => claim.caller === caller).length).toBeLessThanOrEqual(3)
      const next = held[(round * seed) % (held.length || 1)]
      if (next === undefined) break
      next.state.giveBack()
      next.state.outcome = 'given back'
    }
    expect(new Set(all.map(({ state }) => state.outcome))).toEqual(new Set(['given back']))
  })
})

describe('a client that went away while it waited', () => {
  it('holds up who comes after it for some looks, and takes no slot with it', async () => {
    const slots = create(limitTo(1))
    const first = take(slots)
    takeAndGo(slots)
    const third = take(slots)
    await settle()
    first.giveBack()
    await vi.advanceTimersByTimeAsync(GONE)
    expect(third.outcome).toBe('waiting')
    await look()
    expect(third.outcome).toBe('taken')
  })

  it('takes up no room of the queue, also where nobody was left to notice', async () => {
    const slots = create(limitTo(1))
    const first = take(slots)
    for (let count = 0; count < QUEUE_MAX_OF_CALLER; count += 1) takeAndGo(slots)
    const shed = take(slots)
    await settle()
    expect(shed.outcome).toBe('overloaded')
    await vi.advanceTimersByTimeAsync(GONE + 1)
    const next = take(slots)
    await settle()
    expect(next.outcome).toBe('waiting')
    first.giveBack()
    await look()
    expect(next.outcome).toBe('taken')
  })

  it('is not taken for one that was only held up, as all were: it keeps its turn', async () => {
    const slots = create(limitTo(1))
    const holder = take(slots)
    const second = take(slots, { caller: 'b' })
    await vi.advanceTimersByTimeAsync(QUEUE_LOOK_MILLISECONDS + 5)
    const third = take(slots, { caller: 'c' })
    await vi.advanceTimersByTimeAsync(QUEUE_LOOK_MILLISECONDS - 3)
    holder.giveBack()
    // The third is the next to look.
    vi.setSystemTime(Date.now() + 4 * GONE)
    await look()
    expect([second.outcome, third.outcome]).toEqual(['taken', 'waiting'])
  })

  it('is not taken for one that somebody new thinks has gone: it is served all the same', async () => {
    const slots = create(limitTo(1))
    const all = [take(slots), take(slots)]
    await settle()
    vi.setSystemTime(Date.now() + 4 * GONE)
    all.push(take(slots, { caller: 'b' }))
    for (let round = 0; round < 3; round += 1) {
      for (const one of all) one.giveBack()
      await look()
    }
    expect(outcomes(all)).toEqual(['taken', 'taken', 'taken'])
  })
})
