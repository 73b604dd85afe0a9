/** What is written down of every decision, and what is never written down. Runs last: it reads all that was printed. */

import { expect } from 'vitest'
import { sleep, waitUntil } from '../../support/program.ts'
import { findHeader } from '../../support/raw-http.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded } from '../expect-answer.ts'

const SOURCE = 'CONTRACT LOG_LEVEL; STYLE: audit before forward'

/** Lines of one request: JSON objects that carry its id. */
function findLines(bench: Bench, requestId: string): Record<string, unknown>[] {
  return bench.target
    .logs()
    .filter((line) => line.includes(requestId))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function waitForLines(
  bench: Bench,
  requestId: string | null,
  count: number,
): Promise<Record<string, unknown>[]> {
  const id = requestId ?? 'no request id'
  await waitUntil(`${String(count)} lines of one request`, () => findLines(bench, id).length >= count, 3000)
  return findLines(bench, id)
}

export const AUDIT_CASES: readonly ConformanceCase[] = [
  {
    name: 'an allowed call is written down before slurmrestd gets it, and its status after',
    source: SOURCE,
    async run(bench) {
      bench.world.upstream.behaviour.delayMilliseconds = 1200
      const before = bench.target.logs().length
      const sending = bench.sendAs('confined', { target: '/slurm/v0.0.42/job/101' })
      await waitUntil('slurmrestd got it', () => bench.world.upstream.operations.length > 0)
      await sleep(300)
      const early = bench.target.logs().slice(before)
      expect(
        early.some((line) => line.includes(`"${bench.userName}"`) && line.includes(bench.tokens.confined.id)),
      ).toBe(true)
      const answer = await sending
      expectForwarded(bench, answer)
      const lines = await waitForLines(bench, findHeader(answer, 'x-request-id'), 2)
      expect(lines.some((line) => Object.values(line).includes(200))).toBe(true)
    },
  },
  {
    name: 'a MUNGE call is written down with its user',
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAsMunge()
      const lines = await waitForLines(bench, findHeader(answer, 'x-request-id'), 1)
      expect(JSON.stringify(lines)).toContain(`"${bench.userName}"`)
    },
  },
  {
    name: 'a refusal is written down with its rule and request id',
    source: SOURCE,
    async run(bench) {
      for (const [token, rule] of [
        ['revoked', 'token_revoked'],
        ['expired', 'token_expired'],
      ] as const) {
        const answer = await bench.sendAs(token)
        const lines = await waitForLines(bench, findHeader(answer, 'x-request-id'), 1)
        expect(JSON.stringify(lines)).toContain(rule)
      }
      const answer = await bench.sendAs('accountingReader')
      const lines = await waitForLines(bench, findHeader(answer, 'x-request-id'), 1)
      expect(JSON.stringify(lines)).toContain('insufficient_scope')
    },
  },
  {
    name: 'what a client sends cannot forge a line or colour a terminal',
    source: 'CWE-117',
    async run(bench) {
      const target = '/slurm/v0.0.42/node/x%0a%7b%22level%22:%22info%22%7d%1b%5b31m'
      await bench.sendAs('free', { target, headers: [['User-Agent', 'forged\x1b[31m'] as const] })
      await sleep(100)
      expect(bench.allLines.filter((line) => /[\x00-\x08\x0b-\x1f]/.test(line))).toEqual([])
    },
  },
  {
    name: 'every line the gateway printed is one JSON object with level and event',
    source: 'CONTRACT LOG_LEVEL: JSON lines on stdout',
    run(bench) {
      // What workerd itself says of a request it cannot read is not ours.
      const own = bench.target.logs().filter((line) => !/^(workerd\/|stack: )/.test(line))
      const odd = own.filter((line) => {
        try {
          const value: unknown = JSON.parse(line)
          return typeof value !== 'object' || value === null || !('level' in value) || !('event' in value)
        } catch {
          return true
        }
      })
      expect(odd).toEqual([])
      expect(bench.target.logs().length).toBeGreaterThan(100)
      return Promise.resolve()
    },
  },
  {
    name: 'slurmrestd was never spoken to in a way it does not survive',
    source: 'slurm.md HTTP towards slurmrestd',
    run(bench) {
      expect(bench.world.upstream.violations).toEqual([])
      return Promise.resolve()
    },
  },
  {
    name: 'nothing any process printed, and no error answer, holds a token, a credential, a key or a password',
    source: 'STYLE: secrets are in neither',
    run(bench) {
      const { secrets } = bench.world
      for (const { text } of Object.values(bench.tokens)) secrets.add(text)
      const printed = [...bench.allLines, ...bench.world.errorAnswers].join('\n')
      expect(bench.world.errorAnswers.length).toBeGreaterThan(100)
      expect(printed.length).toBeGreaterThan(10_000)
      expect(secrets.size).toBeGreaterThan(50)
      // The secret part alone counts as well: the end of a token, the signature of a JWT.
      const parts = [...secrets]
        .flatMap((secret) => [secret, secret.slice(-24)])
        .filter((part) => part.length >= 12)
      expect(parts.filter((part) => printed.includes(part)).length).toBe(0)
      return Promise.resolve()
    },
  },
]
