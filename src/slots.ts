/**
 * Bounds how many requests slurmrestd works on at once: about 124 connections stall it (measured). Waiting is bounded
 * in number and time; whoever cannot be served is told so with 503 before anything went upstream.
 */

import { QUEUE_MAX_MILLISECONDS, QUEUE_MAX_REQUESTS } from './limits.ts'
import type { Clock } from './ports.ts'
import { Outage } from './refusal.ts'

/** Gives a slot back; calling it twice is harmless. */
export type GiveBack = () => void

export interface Slots {
  /** @throws Outage `overloaded` */
  take(): Promise<GiveBack>
}

/** For runtimes where a request may wait for another one to end, and where every request does end. */
export function createQueuedSlots(maxConcurrency: number): Slots {
  let taken = 0
  const waiting: (() => void)[] = []

  function give(): GiveBack {
    let isGivenBack = false
    return () => {
      if (isGivenBack) return
      isGivenBack = true
      taken -= 1
      waiting.shift()?.()
    }
  }

  function wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(wake), 1)
        reject(new Outage('overloaded', `no upstream slot within ${QUEUE_MAX_MILLISECONDS} ms`))
      }, QUEUE_MAX_MILLISECONDS)
      const wake = (): void => {
        clearTimeout(timer)
        taken += 1
        resolve()
      }
      waiting.push(wake)
    })
  }

  return {
    async take() {
      if (taken < maxConcurrency) {
        taken += 1
        return give()
      }
      if (waiting.length >= QUEUE_MAX_REQUESTS) {
        throw new Outage('overloaded', `${waiting.length} requests wait for ${maxConcurrency} upstream slots`)
      }
      await wait()
      return give()
    },
  }
}

/**
 * For workerd: no request may wake another, and one whose client has gone may end without running any more code, so
 * each slot is a lease that runs out.
 * @param leaseMilliseconds longer than any upstream call takes.
 */
export function createLeasedSlots(maxConcurrency: number, leaseMilliseconds: number, now: Clock): Slots {
  const leases = new Map<symbol, number>()
  return {
    take() {
      for (const [lease, endsAt] of leases) if (endsAt <= now()) leases.delete(lease)
      if (leases.size >= maxConcurrency) {
        return Promise.reject(new Outage('overloaded', `all ${maxConcurrency} upstream slots are taken`))
      }
      const lease = Symbol('lease')
      leases.set(lease, now() + leaseMilliseconds)
      return Promise.resolve(() => void leases.delete(lease))
    },
  }
}
