/** A map with a bound: for what is new where it is full, the entry that was set longest ago goes, and no other. */

export interface BoundedMap<Key, Value> {
  get(key: Key): Value | undefined
  /** The newest from now on, whether or not it was there before. */
  set(key: Key, value: Value): void
  delete(key: Key): void
}

/** @param maxEntries at least 1. */
export function createBoundedMap<Key, Value>(maxEntries: number): BoundedMap<Key, Value> {
  // A Map keeps the order in which its keys were set first (ECMA-262, 24.1).
  const entries = new Map<Key, Value>()
  return {
    get: (key) => entries.get(key),
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      if (entries.size <= maxEntries) return
      const [oldest] = entries.keys()
      entries.delete(oldest as Key)
    },
    delete: (key) => void entries.delete(key),
  }
}
