/**
 * How much of the adversarial run is wanted, from which seed, and where its figures go: `npm test` runs a tenth, the
 * full run is `npm run test:adversarial`. ADVERSARIAL_SEED repeats a run.
 */

import { randomInt } from 'node:crypto'
import { appendFileSync } from 'node:fs'

/** Percent of the full run. */
const SHARE = readNumber('ADVERSARIAL_SHARE', 10)

export const SEED = readNumber('ADVERSARIAL_SEED', randomInt(2 ** 31))

/** That share of a full run's count. */
export function scale(fullCount: number): number {
  return Math.max(1, Math.ceil((fullCount * SHARE) / 100))
}

/** One line for the reader: at once, and in the summary at the end of `npm test`. */
export function report(line: string): void {
  process.stderr.write(`  ${line}\n`)
  const file = process.env['ADVERSARIAL_REPORT_FILE']
  if (file !== undefined && file !== '') appendFileSync(file, `${line}\n`)
}

/** @returns a whole number of the environment. */
export function readNumber(name: string, otherwise: number): number {
  const text = process.env[name] ?? ''
  if (text === '') return otherwise
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} is not a whole number`)
  return value
}

const PROBLEMS_SHOWN = 12

/** @throws with the first few, each once for all API versions. */
export function requireNone(problems: readonly string[]): void {
  const kinds = new Map<string, string>()
  for (const problem of problems) {
    const kind = problem.replaceAll(/v0\.0\.\d\d/g, 'v0.0.N')
    if (!kinds.has(kind)) kinds.set(kind, problem)
  }
  if (kinds.size === 0) return
  const shown = [...kinds.values()].slice(0, PROBLEMS_SHOWN)
  throw new Error([`${kinds.size} kinds of problem:`, ...shown].join('\n'))
}
