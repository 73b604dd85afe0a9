/** facts/slurm.md "HTTP towards slurmrestd": about 124 connections stall it, so its concurrency is bounded, and waiting too. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { QUEUE_MAX_MILLISECONDS, QUEUE_MAX_OF_CALLER, QUEUE_MAX_REQUESTS } from '../../src/limits.ts'
import { createQueuedSlots } from '../../src/slots.ts'
import { limitTo, settle, take, takeMany } from './taken-slots.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('slots', () => {
  it('are as many as there are, and the next one waits', async () => {
    const taken = takeMany(createQueuedSlots(limitTo(3)), 4)
    await settle()
    expect(taken.map(({ outcome }) => outcome)).toEqual(['taken', 'taken', 'taken', 'waiting'])
  })

  it('are handed on in the order of waiting, one for one', async () => {
    const [first, second, third] = takeMany(createQueuedSlots(limitTo(1)), 3)
    await settle()
    first?.giveBack()
    await settle()
    expect([second?.outcome, third?.outcome]).toEqual(['taken', 'waiting'])
    second?.giveBack()
    await settle()
    expect(third?.outcome).toBe('taken')
  })

  it('given back make room for everybody whom they kept waiting: of all, for slurmdbd, and for their caller', async () => {
    const slots = createQueuedSlots(limitTo(16, { accounting: 4, perCaller: 4 }))
    const given = Array.from({ length: 4 }, () => take(slots, { isAccounting: true }))
    await settle()
    const sameCaller = take(slots)
    const sameDaemon = take(slots, { caller: 'b', isAccounting: true })
    await settle()
    expect([sameCaller.outcome, sameDaemon.outcome]).toEqual(['waiting', 'waiting'])
    given[0]?.giveBack()
    await settle()
    expect([sameCaller.outcome, sameDaemon.outcome]).toEqual(['taken', 'taken'])
  })

  it('given back twice are given back once', async () => {
    const slots = createQueuedSlots(limitTo(1))
    const [first, second, third] = takeMany(slots, 3)
    await settle()
    for (let round = 0; round < 5; round++) first?.giveBack()
    await settle()
    expect([second?.outcome, third?.outcome]).toEqual(['taken', 'waiting'])
    second?.giveBack()
    third?.giveBack()
    await settle()
    const more = takeMany(slots, 2)
    await settle()
    expect(more.map(({ outcome }) => outcome)).toEqual(['waiting', 'waiting'])
  })

  it('are never more than their bound, whatever the order of taking and giving back', async () => {
    const slots = createQueuedSlots(limitTo(4))
    const all: ReturnType<typeof take>[] = []
    for (let step = 0; step < 400; step++) {
      if ((step * 7919) % 5 < 3) all.push(take(slots))
      const held = all.filter(({ outcome }) => outcome === 'taken')
      expect(held.length).toBeLessThanOrEqual(4)
      const released = (step * 31) % 3 === 0 ? held[step % 4] : undefined
      if (released !== undefined) {
        released.giveBack()
        released.outcome = 'given back'
      }
      await settle()
    }
    expect(all.filter(({ outcome }) => outcome === 'given back').length).toBeGreaterThan(50)
  })
})

describe('waiting', () => {
  it('is shed beyond the bound of the queue, at once', async () => {
    const slots = createQueuedSlots(limitTo(1))
    const callers = Array.from({ length: QUEUE_MAX_REQUESTS + 2 }, (_, index) =>
      take(slots, { caller: `c${index}` }),
    )
    await settle()
    expect(callers.at(-1)?.outcome).toBe('overloaded')
    expect(callers.at(-2)?.outcome).toBe('waiting')
  })

  it('is shed beyond the bound of one caller, and others wait all the same', async () => {
    const slots = createQueuedSlots(limitTo(1))
    const all = takeMany(slots, QUEUE_MAX_OF_CALLER + 2)
    const other = take(slots, { caller: 'b' })
    await settle()
    expect([all.at(-2)?.outcome, all.at(-1)?.outcome, other.outcome]).toEqual([
      'waiting',
      'overloaded',
      'waiting',
    ])
  })

  it('ends after its time with an outage, and the slot goes to nobody who has left', async () => {
    const slots = createQueuedSlots(limitTo(1))
    const [first, second] = takeMany(slots, 2)
    await vi.advanceTimersByTimeAsync(QUEUE_MAX_MILLISECONDS - 1)
    const third = take(slots)
    expect(second?.outcome).toBe('waiting')
    await vi.advanceTimersByTimeAsync(1)
    expect([second?.outcome, third.outcome]).toEqual(['overloaded', 'waiting'])
    first?.giveBack()
    await settle()
    expect(third.outcome).toBe('taken')
    third.giveBack()
    const fourth = take(slots)
    await settle()
    expect(fourth.outcome).toBe('taken')
  })

  it('leaves no timer behind, and nobody who was served is shed later', async () => {
    const [first, second] = takeMany(createQueuedSlots(limitTo(1)), 2)
    await settle()
    first?.giveBack()
    await settle()
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(2 * QUEUE_MAX_MILLISECONDS)
    expect(second?.outcome).toBe('taken')
  })
})

describe('sharing', () => {
  it('gives callers turns, however many requests one of them has waiting', async () => {
    const slots = createQueuedSlots(limitTo(1))
    const greedy = takeMany(slots, 20)
    const modest = take(slots, { caller: 'b' })
    const third = take(slots, { caller: 'c' })
    await settle()
    greedy[0]?.giveBack()
    await settle()
    expect([greedy[1]?.outcome, modest.outcome, third.outcome]).toEqual(['taken', 'waiting', 'waiting'])
    greedy[1]?.giveBack()
    await settle()
    expect([greedy[2]?.outcome, modest.outcome, third.outcome]).toEqual(['waiting', 'taken', 'waiting'])
    modest.giveBack()
    await settle()
    expect([greedy[2]?.outcome, third.outcome]).toEqual(['waiting', 'taken'])
  })

  it('keeps one caller to its share, and the rest free for others', async () => {
    const slots = createQueuedSlots(limitTo(4, { perCaller: 2 }))
    const greedy = takeMany(slots, 3)
    const other = take(slots, { caller: 'b' })
    await settle()
    expect(greedy.map(({ outcome }) => outcome)).toEqual(['taken', 'taken', 'waiting'])
    expect(other.outcome).toBe('taken')
    other.giveBack()
    await settle()
    expect(greedy[2]?.outcome).toBe('waiting')
    greedy[0]?.giveBack()
    await settle()
    expect(greedy[2]?.outcome).toBe('taken')
  })

  it('keeps slurmdbd to its share, and a wait for it holds up nothing else of the same caller', async () => {
    const slots = createQueuedSlots(limitTo(4, { accounting: 1 }))
    const [first, second] = [true, true].map((isAccounting) => take(slots, { isAccounting }))
    const other = take(slots)
    await settle()
    expect([first?.outcome, second?.outcome, other.outcome]).toEqual(['taken', 'waiting', 'taken'])
    other.giveBack()
    await settle()
    expect(second?.outcome).toBe('waiting')
    first?.giveBack()
    await settle()
    expect(second?.outcome).toBe('taken')
  })

  it.each([1, 2, 3])('never exceeds a bound, and serves everybody in the end (seed %i)', async (seed) => {
    const slots = createQueuedSlots(limitTo(5, { accounting: 2, perCaller: 3 }))
    const all = Array.from({ length: 300 }, (_, index) => {
      const claim = {
        caller: 'abcdefg'[(index * seed * 31) % 7] ?? 'a',
        isAccounting: (index * seed) % 3 === 0,
      }
      return { claim, state: take(slots, claim) }
    })
    for (let round = 0; round < 400; round++) {
      await settle()
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
