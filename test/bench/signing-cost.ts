/**
 * What it costs a MUNGE call that its Slurm token is signed at the verifier: a difference of some hundredths, less than what a
 * shared machine's speed changes by within seconds. So the two ways take turns many times a second.
 */

import type { MungeDaemon } from '../support/munge-daemon.ts'
import { findMedian } from './rate-table.ts'

const PAIRS = 150
const WARM_UP_PAIRS = 10
const BATCH = 400
/** What munged remembers of credentials slows it: it starts anew before that shows. */
const PAIRS_PER_DAEMON = 10

export interface Cost {
  /** Calls per second. */
  readonly rate: number
  /** Processor time of gateway and verifier for a call, in microseconds. */
  readonly processor: number
}

/** Makes so many credentials, then so many calls. */
export type MeasureCalls = (calls: number) => Promise<Cost>

export interface SigningPair {
  /** Who remembers the credentials, in both. */
  readonly guardName: string
  readonly plain: MeasureCalls
  readonly signed: MeasureCalls
}

interface Pair {
  readonly plain: Cost
  readonly signed: Cost
}

/** @returns a line for the reader. */
export async function measureSigningCost(
  daemon: MungeDaemon,
  { guardName, plain, signed }: SigningPair,
): Promise<string> {
  const pairs: Pair[] = []
  for (let index = 0; index < WARM_UP_PAIRS + PAIRS; index += 1) {
    if (index % PAIRS_PER_DAEMON === 0) {
      await daemon.stop()
      await daemon.start()
    }
    const pair = index % 2 === 0 ? await measurePair(plain, signed) : await measureBackwards(plain, signed)
    if (index >= WARM_UP_PAIRS) pairs.push(pair)
  }
  return describe(guardName, pairs)
}

async function measurePair(plain: MeasureCalls, signed: MeasureCalls): Promise<Pair> {
  const first = await plain(BATCH)
  return { plain: first, signed: await signed(BATCH) }
}

async function measureBackwards(plain: MeasureCalls, signed: MeasureCalls): Promise<Pair> {
  const first = await signed(BATCH)
  return { plain: await plain(BATCH), signed: first }
}

/** Pair by pair: what disturbs both of one pair disturbs their ratio least. */
function describe(guardName: string, pairs: readonly Pair[]): string {
  const rate = findMedian(pairs.map(({ plain, signed }) => signed.rate / plain.rate))
  const ratios = pairs.map(({ plain, signed }) => signed.processor / plain.processor)
  const [signedCost, plainCost] = [
    findMedian(pairs.map(({ signed }) => signed.processor)),
    findMedian(pairs.map(({ plain }) => plain.processor)),
  ].map((microseconds) => String(Math.round(microseconds)))
  return (
    `signing, ${guardName}, medians of ${String(pairs.length)} pairs of ${String(BATCH)} calls: ${rate.toFixed(2)} x the rate without it; ` +
    `${findMedian(ratios).toFixed(3)} ± ${findError(ratios).toFixed(3)} x the processor time of gateway and verifier ` +
    `(${String(signedCost)} µs a call, ${String(plainCost)} µs without it)\n`
  )
}

/** Standard error of a median: 1.25 times that of the mean, where values spread as chance has it; from the middle half of them. */
function findError(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)] ?? Number.NaN
  const deviation = (at(0.75) - at(0.25)) / 1.349
  return (1.253 * deviation) / Math.sqrt(values.length)
}
