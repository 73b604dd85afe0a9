/**
 * Keeps what was read of tokens in use, so that most requests ask nobody. How old it may be is bounded twice: by a feed that
 * tells of every change within a second, and by five seconds whatever becomes of the feed.
 */

import {
  CHANGES_TOLD_MILLISECONDS,
  TOKEN_FRESH_MILLISECONDS,
  TOKEN_UNKNOWN_MILLISECONDS,
  TOKENS_KEPT,
  TOKENS_UNKNOWN_KEPT,
} from '../limits.ts'
import type { Clock, TokenLookUp, TokenRecord, TokenStore } from '../ports.ts'
import { parseHex } from '../hex.ts'

/** Tells of changes of tokens. */
export interface ChangeFeed {
  /** Whether every change of more than a second ago was told. While not, nothing that was kept may be used. */
  isCurrent(): boolean
  /** @param listener called for every change, and where changes may have been missed. */
  subscribe(listener: () => void): void
}

export interface WarmTokenOptions {
  readonly store: Pick<TokenStore, 'findByDigest'>
  /** null: the runtime cannot listen; then five seconds are the bound. */
  readonly changes: ChangeFeed | null
  /** Whether one request may wait for what another one asked: not on workerd. */
  readonly maySharePromises: boolean
  readonly now: Clock
}

interface Kept {
  /** null: there is no such token. */
  readonly record: TokenRecord | null
  /** When the look-up began. */
  readonly readAt: number
}

interface Running {
  readonly answer: Promise<TokenRecord | null>
  readonly beganAt: number
}

/**
 * Of a look-up under way: what changed longer ago than a change may go untold it has seen, also where no feed is current and
 * it takes as long as the database may.
 */
function isRecent(ageMilliseconds: number): boolean {
  return ageMilliseconds >= 0 && ageMilliseconds < CHANGES_TOLD_MILLISECONDS
}

export function createWarmTokens({ store, changes, maySharePromises, now }: WarmTokenOptions): TokenLookUp {
  const known = new Map<string, Kept>()
  /** Of their own, so that whoever tries many tokens pushes out none that is in use. */
  const unknown = new Map<string, Kept>()
  const running = new Map<string, Running>()
  /** Grows with every change: what was asked before it is not kept, and not shared with who comes after. */
  let era = 0

  changes?.subscribe(() => {
    era += 1
    known.clear()
    unknown.clear()
    running.clear()
  })

  const mayKeep = (): boolean => changes?.isCurrent() ?? true

  function isFresh({ record, readAt }: Kept): boolean {
    const age = now() - readAt
    return age >= 0 && age < (record === null ? TOKEN_UNKNOWN_MILLISECONDS : TOKEN_FRESH_MILLISECONDS)
  }

  async function ask(digest: string): Promise<TokenRecord | null> {
    const [askedIn, readAt] = [era, now()]
    const record = await store.findByDigest(parseHex(digest))
    if (askedIn !== era || !mayKeep()) return record
    if (record === null) keep(unknown, TOKENS_UNKNOWN_KEPT, digest, { record, readAt })
    else keep(known, TOKENS_KEPT, digest, { record, readAt })
    return record
  }

  function share(digest: string): Promise<TokenRecord | null> {
    const beganAt = now()
    const found = running.get(digest)
    if (found !== undefined && isRecent(beganAt - found.beganAt)) return found.answer
    const asked: Running = {
      beganAt,
      answer: ask(digest).finally(() => {
        if (running.get(digest) === asked) running.delete(digest)
      }),
    }
    running.set(digest, asked)
    return asked.answer
  }

  return {
    find(digest) {
      const kept = known.get(digest) ?? unknown.get(digest)
      if (kept !== undefined && isFresh(kept) && mayKeep()) return kept.record
      return maySharePromises ? share(digest) : ask(digest)
    },
  }
}

/** The oldest goes where there is no room. */
function keep(kept: Map<string, Kept>, most: number, digest: string, what: Kept): void {
  kept.delete(digest)
  const [oldest] = kept.size < most ? [] : kept.keys()
  if (oldest !== undefined) kept.delete(oldest)
  kept.set(digest, what)
}
