/** Answers that are kept for a moment: whose they are, what a client is told of them, and what ends them. */

import { expect } from 'vitest'
import { waitUntil } from '../../support/program.ts'
import { findHeader, type RawAnswer } from '../../support/raw-http.ts'
import type { Bench, SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectOutage, expectRefusal } from '../expect-answer.ts'

const SOURCE = 'README “Answers from memory”'
const KEPT = { CACHE_TTL_SECONDS: '60' }
const JOBS = '/slurm/v0.0.42/jobs'

function cached(
  name: string,
  environment: Readonly<Record<string, string>>,
  run: (bench: Bench) => Promise<void>,
): ConformanceCase {
  return {
    name,
    source: SOURCE,
    run: (bench) =>
      bench.withSettings({ ...KEPT, ...environment }, async (keeping) => {
        await keeping.waitUntilReady()
        let count = 0
        // Each answer names the one who asked, and its number.
        keeping.world.upstream.behaviour.answer = ({ headers }) => {
          count += 1
          const user = headers.find(([field]) => field.toLowerCase() === 'x-slurm-user-name')?.[1] ?? ''
          const body = JSON.stringify({ jobs: [{ user, number: count }], errors: [], warnings: [] })
          return { status: 200, contentType: 'application/json', body }
        }
        await run(keeping)
      }),
  }
}

const stateOf = (answer: RawAnswer) => findHeader(answer, 'X-Cache')
const textOf = (answer: RawAnswer) => answer.body.toString('utf8')
const countCalls = (bench: Bench) => bench.world.upstream.operations.length

export const CACHED_ANSWER_CASES: readonly ConformanceCase[] = [
  cached('the same read is answered from memory, with its age and the same bytes', {}, async (bench) => {
    const first = await bench.sendAs('free')
    expectForwarded(bench, first)
    expect([stateOf(first), findHeader(first, 'Age')]).toEqual(['MISS', null])
    const second = await bench.sendAs('free')
    expect([second.status, stateOf(second), textOf(second)]).toEqual([200, 'HIT', textOf(first)])
    expect(findHeader(second, 'Age')).toMatch(/^\d+$/)
    for (const name of ['Cache-Control', 'Vary', 'Content-Type', 'ETag', 'X-Slurm-Api-Version']) {
      expect(findHeader(second, name), name).toBe(findHeader(first, name))
    }
    expect(findHeader(second, 'X-Request-Id')).not.toBe(findHeader(first, 'X-Request-Id'))
    expect(countCalls(bench)).toBe(1)
  }),
  cached(
    'a client that has the answer already is told so: 304 without a body (RFC 9110 section 15.4.5)',
    {},
    async (bench) => {
      const tag = findHeader(await bench.sendAs('free'), 'ETag') ?? ''
      expect(tag).toMatch(/^"[0-9a-f]{32}"$/)
      const ask = (value: string) => bench.sendAs('free', { headers: [['If-None-Match', value]] })
      for (const value of [tag, `W/${tag}`, `"other", ${tag}`]) {
        const answer = await ask(value)
        expect([answer.status, textOf(answer), findHeader(answer, 'ETag')]).toEqual([304, '', tag])
      }
      expect((await ask('"other"')).status).toBe(200)
      expect(countCalls(bench)).toBe(1)
    },
  ),
  cached('nobody gets what slurmrestd answered another user, by whatever credential', {}, async (bench) => {
    const asAlice = await bench.sendAs('free')
    const asBob = await bench.sendAs('bob')
    expect([stateOf(asAlice), stateOf(asBob)]).toEqual(['MISS', 'MISS'])
    expect(textOf(asBob)).toContain('"user":"bob"')
    expect(textOf(await bench.sendAs('free'))).toBe(textOf(asAlice))
    const byMunge = await bench.sendAsMunge()
    expect([byMunge.status, stateOf(byMunge)]).toEqual([200, 'MISS'])
    expect(textOf(byMunge)).toContain(`"user":"${bench.userName}"`)
    expect(stateOf(await bench.sendAsMunge())).toBe('HIT')
  }),
  cached('who may not ask gets no answer from memory either', {}, async (bench) => {
    await bench.sendAs('free')
    bench.world.upstream.reset()
    expectRefusal(bench, await bench.send({}), 'credential_missing')
    expectRefusal(bench, await bench.sendAs('accountingReader'), 'insufficient_scope')
    expectRefusal(bench, await bench.sendAs('expired'), 'token_expired')
    expectRefusal(bench, await bench.sendAs('revoked'), 'token_revoked')
    expectRefusal(bench, await bench.sendAs('free', { target: `${JOBS}?nonsense=1` }), 'query_not_allowed')
  }),
  cached('a client that wants a fresh answer gets one', {}, async (bench) => {
    await bench.sendAs('free')
    const fresh = await bench.sendAs('free', { headers: [['Cache-Control', 'no-cache']] })
    expect([stateOf(fresh), countCalls(bench)]).toEqual(['BYPASS', 2])
  }),
  cached(
    'a write goes upstream each time, and nothing read before it is told after it',
    {},
    async (bench) => {
      await bench.sendAs('free')
      const cancel: SendOptions = { method: 'DELETE', target: '/slurm/v0.0.42/job/7' }
      for (let count = 0; count < 2; count += 1)
        expect(stateOf(await bench.sendAs('free', cancel))).toBe('BYPASS')
      const after = await bench.sendAs('free')
      expect([stateOf(after), countCalls(bench)]).toEqual(['MISS', 4])
    },
  ),
  cached('errors are asked for again, and pass as they are', {}, async (bench) => {
    bench.world.upstream.behaviour.answer = () => ({
      status: 404,
      contentType: 'application/json',
      body: '{"errors":[{"error_number":2017}],"warnings":[]}',
    })
    for (let count = 0; count < 2; count += 1) {
      const answer = await bench.sendAs('free', { target: '/slurm/v0.0.42/job/7' })
      expect([answer.status, findHeader(answer, 'ETag')]).toEqual([404, null])
    }
    expect(countCalls(bench)).toBe(2)
  }),
  cached(
    'an answer that is too large to be held streams, without a tag',
    { CACHE_ENTRY_MAX_BYTES: '100000' },
    async (bench) => {
      const body = JSON.stringify({ jobs: ['x'.repeat(200_000)], errors: [] })
      bench.world.upstream.behaviour.answer = () => ({ status: 200, contentType: 'application/json', body })
      for (let count = 0; count < 2; count += 1) {
        const answer = await bench.sendAs('free')
        expect([stateOf(answer), findHeader(answer, 'ETag')]).toEqual(['BYPASS', null])
        expect(textOf(answer)).toBe(body)
      }
      expect(countCalls(bench)).toBe(2)
    },
  ),
  {
    ...cached('those who ask the same while it is asked share one call', {}, async (bench) => {
      bench.world.upstream.behaviour.delayMilliseconds = 500
      const answers = await Promise.all(Array.from({ length: 8 }, () => bench.sendAs('free')))
      const states = answers.map(stateOf).sort()
      expect(states).toEqual([...Array.from({ length: 7 }, () => 'COALESCED'), 'MISS'])
      expect(new Set(answers.map(textOf)).size).toBe(1)
      expect(countCalls(bench)).toBe(1)
    }),
    skipOn: { workerd: 'a Worker’s request may not wait for what another one asked' },
  },
  cached(
    'while slurmrestd is gone, answers count for as long as the operator says, with their age; then it is 502',
    { CACHE_TTL_SECONDS: '1', CACHE_STALE_SECONDS: '3' },
    async (bench) => {
      const first = await bench.sendAs('free')
      await bench.world.relays.upstream.cut()
      try {
        await waitUntil(
          'the answer is old',
          async () => stateOf(await bench.sendAs('free')) === 'STALE',
          10_000,
        )
        const stale = await bench.sendAs('free')
        expect([stale.status, textOf(stale)]).toEqual([200, textOf(first)])
        expect(Number(findHeader(stale, 'Age'))).toBeGreaterThanOrEqual(1)
        await waitUntil('it is over', async () => (await bench.sendAs('free')).status !== 200, 10_000)
        expectOutage(await bench.sendAs('free'), 'upstream_unreachable')
      } finally {
        await bench.world.relays.upstream.restore()
      }
    },
  ),
  cached('the decision on an answer from memory has its line, which says so', {}, async (bench) => {
    await bench.sendAs('free')
    const hit = await bench.sendAs('free')
    const id = findHeader(hit, 'X-Request-Id') ?? ''
    await waitUntil('the line', () => bench.target.logs().some((line) => line.includes(id)))
    const lines = bench.target.logs().filter((line) => line.includes(id))
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { event: 'decision', outcome: 'allowed', cache: 'HIT', credential: 'token' },
    ])
  }),
]
