/** RFC 9112 section 3.2: a target is split where a URL parser would split it, whichever way is taken. */

import { expect, test } from 'vitest'
import { escapeBackslashes, parseTarget } from '../../src/request-target.ts'

const PIECES = ['slurm', 'v0.0.42', 'jobs', '/', '/', '.', '..', '%2e', '%2E%2e', '%2F', '?', '&', '=', '+', ':', ',', '#', '\\', '~', ' ', 'ü', "'", '"', '<', '%', '_-'] // prettier-ignore
const TARGETS = 20_000

/** The same sequence each time (Park and Miller's generator). */
function createNumbers(): (below: number) => number {
  let seed = 4711
  return (below) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
}

test('any target has the path and the query that a URL parser finds', () => {
  const pick = createNumbers()
  let plain = 0
  for (let count = 0; count < TARGETS; count += 1) {
    const pieces = Array.from({ length: pick(9) }, () => PIECES[pick(PIECES.length)] ?? '')
    const target = `/${pieces.join('')}`
    const url = new URL(`http://gate.invalid${escapeBackslashes(target)}`)
    const parsed = parseTarget(target)
    expect({ pathname: parsed.pathname, search: parsed.search }, target).toEqual({ pathname: url.pathname, search: url.search }) // prettier-ignore
    if (!(parsed instanceof URL)) plain += 1
  }
  // Both ways were taken.
  expect(plain).toBeGreaterThan(TARGETS / 20)
  expect(plain).toBeLessThan(TARGETS / 2)
})
