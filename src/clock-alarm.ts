/**
 * Says so when another clock is off: credentials live five seconds, signed calls count as long, and the replay guard forgets
 * by the database's clock. Judges nobody by it: a clock that is off is the operator's to set, not a caller's to suffer.
 */

import { CLOCK_SKEW_MAX_SECONDS } from './limits.ts'
import type { Clock, Log } from './ports.ts'

export type OtherClock = 'munged' | 'verifier' | 'database'

/** A look at another clock. All Unix seconds. */
export interface ClockReading {
  /** Ours, before it was asked and after it answered. */
  readonly askedAt: number
  readonly answeredAt: number
  /** Its own, cut off to whole `precisionSeconds`; 0: to none. */
  readonly told: number
  readonly precisionSeconds: number
}

/** Told of every look at another clock. Never throws. */
export type WatchClock = (whose: OtherClock, reading: ClockReading) => void

const INTERVAL_MILLISECONDS = 60_000

/** Writes `clock_skew`, at most once a minute for each clock while it lasts. */
export function createClockAlarm({ clock, log }: { readonly clock: Clock; readonly log: Log }): WatchClock {
  const saidAt = new Map<OtherClock, number>()
  return (whose, reading) => {
    const seconds = findSkew(reading)
    if (Math.abs(seconds) <= CLOCK_SKEW_MAX_SECONDS) return
    const now = clock()
    const last = saidAt.get(whose)
    if (last !== undefined && Math.abs(now - last) < INTERVAL_MILLISECONDS) return
    saidAt.set(whose, now)
    log.write('error', 'clock_skew', { clock: whose, seconds: Math.round(seconds * 10) / 10 })
  }
}

/** @returns by how many seconds it is ahead of ours at least, behind if negative; 0: maybe not at all. */
export function findSkew({ askedAt, answeredAt, told, precisionSeconds }: ClockReading): number {
  if (told > answeredAt) return told - answeredAt
  return Math.min(0, told + precisionSeconds - askedAt)
}
