/**
 * Whether the gate's dependencies answer, by name. Asked at most once a second, and by one request
 * at a time; says nothing but "ok" or "failed".
 */

import { isWithin } from './is-within.ts'
import { READINESS_FRESH_MILLISECONDS, READINESS_TURN_MILLISECONDS } from './limits.ts'
import type { Clock, Log } from './ports.ts'
import { createSingleFlight } from './single-flight.ts'

export interface Readiness {
  readonly isReady: boolean
  readonly dependencies: Readonly<Record<string, 'ok' | 'failed' | 'off'>>
}

/** A check throws when the dependency does not answer; null: not in use. */
export type DependencyChecks = Readonly<Record<string, (() => Promise<void>) | null>>

export interface ReadinessOptions {
  readonly checks: DependencyChecks
  readonly maySharePromises: boolean
  readonly now: Clock
  readonly log: Log
}

export function createReadiness(options: ReadinessOptions): () => Promise<Readiness> {
  const { checks, now, log } = options
  let last: Readiness | null = null
  let toldAt = Number.NEGATIVE_INFINITY
  const tell = async (): Promise<Readiness> => {
    const states = await Promise.all(
      Object.entries(checks).map(([name, check]) => runCheck(name, check, log)),
    )
    const readiness = {
      isReady: states.every(([, state]) => state !== 'failed'),
      dependencies: Object.fromEntries(states),
    }
    last = readiness
    toldAt = now()
    return readiness
  }
  const ask = createSingleFlight(tell, { ...options, turnMilliseconds: READINESS_TURN_MILLISECONDS })
  return async function findReadiness() {
    if (last !== null && isWithin(toldAt, READINESS_FRESH_MILLISECONDS, now())) return last
    return (await ask()) ?? buildUnready(checks)
  }
}

/** Nobody was told in time. */
function buildUnready(checks: DependencyChecks): Readiness {
  const states = Object.entries(checks).map(
    ([name, check]) => [name, check === null ? 'off' : 'failed'] as const,
  )
  return { isReady: false, dependencies: Object.fromEntries(states) }
}

async function runCheck(
  name: string,
  check: (() => Promise<void>) | null,
  log: Log,
): Promise<readonly [string, 'ok' | 'failed' | 'off']> {
  if (check === null) return [name, 'off']
  try {
    await check()
    return [name, 'ok']
  } catch (cause) {
    log.write('warn', 'dependency_failed', {
      dependency: name,
      detail: cause instanceof Error ? cause.message : 'unknown',
    })
    return [name, 'failed']
  }
}
