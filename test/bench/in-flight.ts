/** Runs many calls, so many at once, and tells how long that took. */

/**
 * Calls `task` once for each item, at most `maxInFlight` at a time.
 * @returns calls per second.
 * @throws what a call throws: a number counts only if every call succeeded.
 */
export async function measureRate<Item>(
  items: readonly Item[],
  maxInFlight: number,
  task: (item: Item) => Promise<void>,
): Promise<number> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < items.length) await task(items[next++] as Item)
  }
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: maxInFlight }, work))
  return (items.length * 1000) / (performance.now() - startedAt)
}
