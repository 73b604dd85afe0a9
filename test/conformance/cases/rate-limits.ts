/** What one caller may send, what one verifier takes to munged: over it 429 and 503, never forwarded, soon over. */

import { expect } from 'vitest'
import { sleep, waitUntil } from '../../support/program.ts'
import { findHeader, type RawAnswer } from '../../support/raw-http.ts'
import { OTHER_ADDRESS, startVerifier } from '../../support/surroundings.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectOutage, expectRefusal } from '../expect-answer.ts'

const SOURCE = 'CONTRACT RATE_LIMIT_PER_SECOND'
const ONE_A_SECOND = { RATE_LIMIT_PER_SECOND: '1' }
const JSON_BODY = ['Content-Type', 'application/json'] as const
/** Many more than there is room for, at once: a slow machine makes room for some of them, not for all. */
const FLOOD = 16

interface Flood {
  readonly limited: readonly RawAnswer[]
  readonly others: readonly RawAnswer[]
  /** Of `others`, the most that one caller may have: the burst of two, and one a second. */
  readonly othersMax: number
}

async function flood(send: (index: number) => Promise<RawAnswer>): Promise<Flood> {
  const startedAt = performance.now()
  const answers = await Promise.all(Array.from({ length: FLOOD }, (_, index) => send(index)))
  const othersMax = 2 + Math.ceil((performance.now() - startedAt) / 1000)
  const limited = answers.filter(({ status }) => status === 429)
  return { limited, others: answers.filter((answer) => !limited.includes(answer)), othersMax }
}

function expectLimited({ limited, others, othersMax }: Flood): void {
  expect(limited.length).toBeGreaterThan(0)
  expect(others.length).toBeGreaterThanOrEqual(2)
  expect(others.length).toBeLessThanOrEqual(othersMax)
}

/** The flood reached slurmrestd as often as it was answered, and no more. */
function expectForwardedOnly(bench: Bench, { others }: Flood): void {
  expect(others.map(({ status }) => status)).toEqual(others.map(() => 200))
  expect(bench.world.upstream.operations).toHaveLength(others.length)
  bench.reset()
}

function limited(name: string, run: (bench: Bench) => Promise<void>): ConformanceCase {
  return {
    name,
    source: SOURCE,
    run: (bench) =>
      bench.withSettings(ONE_A_SECOND, async (small) => {
        await small.waitUntilReady()
        await run(small)
      }),
  }
}

const callers: readonly ConformanceCase[] = [
  limited(
    'a token that sends too much is 429 with Retry-After, and is served again after that',
    async (bench) => {
      const sent = await flood(() => bench.sendAs('free'))
      expectLimited(sent)
      expectForwardedOnly(bench, sent)
      for (const answer of sent.limited) {
        expectRefusal(bench, answer, 'rate_limited')
        expect(findHeader(answer, 'retry-after')).toBe('1')
      }
      await sleep(1_100)
      expectForwarded(bench, await bench.sendAs('free'))
      const isAudited = (line: string): boolean =>
        ['"rate_limited"', '"refused"', '429', bench.tokens.free.id].every((part) => line.includes(part))
      await waitUntil('its audit line', () => bench.target.logs().some(isAudited))
    },
  ),
  limited('another token of the same user, and the user by MUNGE, have their own', async (bench) => {
    expectLimited(await flood(() => bench.sendAs('free')))
    bench.reset()
    expectForwarded(bench, await bench.sendAs('reader'))
    bench.reset()
    expectForwarded(bench, await bench.sendAsMunge())
  }),
  limited('a MUNGE caller has one for all of its hosts', async (bench) => {
    const { munge, otherHostMunge } = bench.world
    const credentials: string[] = []
    for (let index = 0; index < FLOOD; index++) {
      const from = index % 2 === 0 ? munge : otherHostMunge
      credentials.push(await bench.makeCredential(undefined, { from }))
    }
    const sent = await flood((index) => {
      const headers = [['Authorization', `MUNGE ${credentials[index] ?? ''}`] as const]
      return bench.send({ headers, ...(index % 2 === 0 ? {} : { clientAddress: OTHER_ADDRESS }) })
    })
    expectLimited(sent)
    expectForwardedOnly(bench, sent)
  }),
  limited('whoami and explanations count', async (bench) => {
    const question = '{"method":"GET","path":"/slurm/latest/jobs"}'
    const sent = await flood((index) =>
      index % 2 === 0
        ? bench.sendAs('free', { target: '/meta/whoami' })
        : bench.sendAs('free', {
            method: 'POST',
            target: '/meta/explain',
            headers: [JSON_BODY],
            body: question,
          }),
    )
    expectLimited(sent)
    for (const { status } of sent.others) expect(status).toBe(200)
  }),
  limited('public paths neither count nor are limited', async (bench) => {
    const answers = await Promise.all(
      Array.from({ length: FLOOD }, () => bench.sendAs('free', { target: '/ping' })),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expectForwarded(bench, await bench.sendAs('free'))
  }),
  {
    name: 'without the setting nobody is limited',
    source: SOURCE,
    async run(bench) {
      const answers = await Promise.all(
        Array.from({ length: 2 * FLOOD }, () => bench.sendAs('free', { target: '/meta/whoami' })),
      )
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    },
  },
]

const order: readonly ConformanceCase[] = [
  limited('429 wins over a version not served, and over a body that is never sent', async (bench) => {
    const unserved = await flood(() => bench.sendAs('free', { target: '/slurm/v0.0.99/jobs' }))
    expectLimited(unserved)
    for (const answer of unserved.others) expectRefusal(bench, answer, 'version_not_served')
    const headers = [JSON_BODY, ['Content-Length', String(100 * 1024 * 1024)] as const]
    const submit = { method: 'POST', target: '/slurm/v0.0.42/job/submit', headers, framing: 'bare' } as const
    const unsent = await flood(() => bench.sendAs('manager', submit))
    expectLimited(unsent)
    for (const answer of unsent.others) expectRefusal(bench, answer, 'body_too_large')
  }),
  limited('401 wins over 429, and counts for nobody', async (bench) => {
    const other = [['X-Slurm-User-Name', 'somebody_else'] as const]
    const mismatched = await flood(() => bench.sendAs('free', { headers: other }))
    for (const answer of mismatched.others) expectRefusal(bench, answer, 'user_name_mismatch')
    const revoked = await flood(() => bench.sendAs('revoked'))
    for (const answer of revoked.others) expectRefusal(bench, answer, 'token_revoked')
    expect([mismatched.limited, revoked.limited]).toEqual([[], []])
    expectLimited(await flood(() => bench.sendAs('free')))
    bench.reset()
    const more = await flood(() => bench.sendAs('free', { headers: other }))
    expect(more.limited).toEqual([])
    for (const answer of more.others) expectRefusal(bench, answer, 'user_name_mismatch')
  }),
]

const verifier: readonly ConformanceCase[] = [
  {
    name: 'a verifier that is asked too much is 503 verifier_overloaded with Retry-After, never 401, and answers again',
    source: 'CONTRACT VERIFIER_RATE_LIMIT_PER_SECOND',
    async run(bench) {
      const { port, program } = await startVerifier({
        ...bench.world.verifierEnvironment,
        VERIFIER_RATE_LIMIT_PER_SECOND: '1',
      })
      try {
        const MUNGE_VERIFIER_URL = `http://127.0.0.1:${String(port)}`
        await bench.withSettings({ MUNGE_VERIFIER_URL }, async (small) => {
          await small.waitUntilReady()
          const credentials: string[] = []
          for (let index = 0; index < FLOOD; index++) credentials.push(await small.makeCredential())
          const answers = await Promise.all(
            credentials.map((credential) =>
              small.send({ headers: [['Authorization', `MUNGE ${credential}`]] }),
            ),
          )
          const overloaded = answers.filter(({ status }) => status === 503)
          expect(overloaded.length).toBeGreaterThan(0)
          for (const answer of overloaded) expectOutage(answer, 'verifier_overloaded')
          const served = answers.filter(({ status }) => status === 200)
          expect(served.length).toBe(FLOOD - overloaded.length)
          expect(small.world.upstream.operations).toHaveLength(served.length)
          small.reset()
          await waitUntil('MUNGE works again', async () => (await small.sendAsMunge()).status === 200)
        })
      } finally {
        await program.stop()
      }
    },
  },
]

export const RATE_LIMIT_CASES: readonly ConformanceCase[] = [...callers, ...order, ...verifier]
