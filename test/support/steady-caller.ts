/** Calls without a break while something is changed behind it, and counts what came of each call. */

import { onTestFinished } from 'vitest'
import { sleep } from './program.ts'
import type { RawAnswer } from './raw-http.ts'

export interface Tally {
  readonly calls: number
  readonly good: number
  /** Each kind of what was not 200, with how often: `502 slurm_token_refused`. */
  readonly failures: Readonly<Record<string, number>>
}

export interface SteadyCaller {
  /** Until so many calls that begin from now on are over. */
  waitForCalls(count: number): Promise<void>
  stop(): Promise<Tally>
}

/** Two at a time, each with a short rest in between. No call is made twice; with its test it ends in any case. */
const LOOPS = 2
const REST_MILLISECONDS = 20

export function startSteadyCaller(
  call: () => Promise<RawAnswer>,
  restMilliseconds = REST_MILLISECONDS,
): SteadyCaller {
  const failures: Record<string, number> = {}
  let calls = 0
  let good = 0
  let isStopped = false
  const runLoop = async (): Promise<void> => {
    while (!isStopped) {
      const outcome = await call().then(describe, (error: unknown) => `no answer: ${String(error)}`)
      if (outcome === '') good += 1
      else failures[outcome] = (failures[outcome] ?? 0) + 1
      calls += 1
      await sleep(restMilliseconds)
    }
  }
  const loops = Array.from({ length: LOOPS }, runLoop)
  const stop = async (): Promise<Tally> => {
    isStopped = true
    await Promise.all(loops)
    return { calls, good, failures }
  }
  onTestFinished(async () => {
    await stop()
  })
  return {
    async waitForCalls(count) {
      const until = calls + LOOPS + count
      while (calls < until) await sleep(REST_MILLISECONDS)
    },
    stop,
  }
}

/** @returns '' for a good one. */
function describe({ status, body }: RawAnswer): string {
  if (status === 200) return ''
  const text = body.toString('utf8')
  return `${String(status)} ${/"error":\s*"([^"]+)"/.exec(text)?.[1] ?? text.slice(0, 80)}`
}
