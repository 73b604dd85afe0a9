/** Gathers calls that come while earlier ones are under way into one, where the runtime lets a request wait for another. */

import { isWithin } from '../is-within.ts'
import type { Clock } from '../ports.ts'

export interface GatherOptions {
  readonly itemsMax: number
  /** Runs under way at once. */
  readonly runsMax: number
  /** How long an item waits for a run to end before it starts one beside it. */
  readonly patienceMilliseconds: number
  /** An item that has waited longer when its turn comes is not run. */
  readonly waitMaxMilliseconds: number
  /** Milliseconds; better one that is never set. */
  readonly clock: Clock
  /** What such an item gets. */
  readonly buildLate: () => Error
}

interface Waiting<Item, Result> {
  readonly item: Item
  readonly cameAt: number
  readonly resolve: (result: Result) => void
  readonly reject: (cause: unknown) => void
}

/**
 * The quicker its runs are, the more they carry each; one that is stuck holds up none of the others
 * for longer than the patience, until so many are stuck as may run.
 * @param run gets all items that waited; its results are in their order. What it throws, each of them gets.
 * @returns a call for one item: it starts at once where nothing is under way.
 */
export function gather<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  options: GatherOptions,
): (item: Item) => Promise<Result> {
  const { itemsMax, runsMax, patienceMilliseconds, waitMaxMilliseconds, clock } = options
  const queue: Waiting<Item, Result>[] = []
  let running = 0
  let patience: ReturnType<typeof setTimeout> | null = null

  async function settle(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await run(batch.map(({ item }) => item))
      for (const [index, { resolve, reject }] of batch.entries()) {
        if (index in results) resolve(results[index] as Result)
        else reject(new TypeError('a gathered call has no result'))
      }
    } catch (cause) {
      for (const { reject } of batch) reject(cause)
    }
  }

  function dropLate(): void {
    const now = clock()
    while (queue[0] !== undefined && !isWithin(queue[0].cameAt, waitMaxMilliseconds, now))
      queue.shift()?.reject(options.buildLate())
  }

  function start(): void {
    if (patience !== null) clearTimeout(patience)
    patience = null
    if (running >= runsMax) return
    dropLate()
    if (queue.length === 0) return
    running += 1
    void settle(queue.splice(0, itemsMax)).then(() => {
      running -= 1
      start()
    })
    if (queue.length > 0) wait()
  }

  function wait(): void {
    if (running < runsMax) patience ??= setTimeout(start, patienceMilliseconds)
  }

  return (item) =>
    new Promise((resolve, reject) => {
      queue.push({ item, cameAt: clock(), resolve, reject })
      if (running === 0) start()
      else wait()
    })
}
