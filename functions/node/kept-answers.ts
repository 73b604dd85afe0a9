/** Keeps the answers of slow questions for a while, asks again behind them, and asks once where many want to know. */

import { createBoundedMap } from '../../src/bounded-map.ts'
import { isWithin } from '../../src/is-within.ts'
import type { Clock } from '../../src/ports.ts'

const FRESH_MILLISECONDS = 60_000
const RENEW_AFTER_MILLISECONDS = 30_000
const RENEW_AGAIN_AFTER_MILLISECONDS = 5000
const ABSENT_FRESH_MILLISECONDS = 5000

interface Entry<Answer> {
  readonly answer: Answer | null
  readonly answeredAt: number
  /** Whoever asks from then on is answered at once, and the question is asked again behind the answer. */
  renewAt: number
}

/**
 * Answers may be up to 60 s old, null ("absent") up to 5 s. Concurrent questions about one key are one look-up.
 * @param options.lookUp what it throws is kept by nobody.
 * @param options.maxEntries answers kept; the least recently used one goes.
 */
export function keepAnswers<Key, Answer>(options: {
  clock: Clock
  maxEntries: number
  lookUp: (key: Key) => Promise<Answer | null>
}): (key: Key) => Promise<Answer | null> {
  const { clock, maxEntries, lookUp } = options
  const cache = createBoundedMap<Key, Entry<Answer>>(maxEntries)
  const pending = new Map<Key, Promise<Answer | null>>()

  function findFresh(key: Key): Entry<Answer> | null {
    const entry = cache.get(key)
    if (entry === undefined) return null
    const freshMilliseconds = entry.answer === null ? ABSENT_FRESH_MILLISECONDS : FRESH_MILLISECONDS
    if (!isWithin(entry.answeredAt, freshMilliseconds, clock())) {
      cache.delete(key)
      return null
    }
    cache.set(key, entry)
    return entry
  }

  function remember(key: Key, answer: Answer | null): void {
    const answeredAt = clock()
    // An absence is over before.
    cache.set(key, { answer, answeredAt, renewAt: answeredAt + RENEW_AFTER_MILLISECONDS })
  }

  async function lookUpOnce(key: Key): Promise<Answer | null> {
    try {
      const answer = await lookUp(key)
      remember(key, answer)
      return answer
    } finally {
      pending.delete(key)
    }
  }

  function ask(key: Key): Promise<Answer | null> {
    const running = pending.get(key) ?? lookUpOnce(key)
    pending.set(key, running)
    return running
  }

  /** A failure shows once the answer is stale. */
  function renew(key: Key, entry: Entry<Answer>): void {
    if (pending.has(key)) return
    entry.renewAt = clock() + RENEW_AGAIN_AFTER_MILLISECONDS
    ask(key).catch(() => undefined)
  }

  return function find(key) {
    const entry = findFresh(key)
    if (entry === null) return ask(key)
    if (entry.renewAt <= clock()) renew(key, entry)
    return Promise.resolve(entry.answer)
  }
}
