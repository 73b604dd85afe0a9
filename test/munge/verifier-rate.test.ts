/** VERIFIER_RATE_LIMIT_PER_SECOND: what one verifier takes to munged, whose room that is, and what a gateway makes of it. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { parseCredentialString } from '../../src/munge/credential-string.ts'
import { createVerifierEnd } from '../../src/munge/exchange.ts'
import { type Post } from '../../src/munge/verifier-channel.ts'
import { buildRemoteVerifier } from '../support/remote-verifier.ts'
import { createVerifierService } from '../../src/munge/verifier-service.ts'
import type { ClientAddress, MungeVerifier } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import { createMemoryLog } from '../gateway/in-memory-ports.ts'

const KEY = new Uint8Array(32).fill(1)
const OTHER_KEY = new Uint8Array(32).fill(2)
const CREDENTIAL = `MUNGE:${Buffer.alloc(60, 7).toString('base64')}:`
const CLIENT: ClientAddress = { address: '10.0.0.7', isDirectLoopback: false, hostAddresses: [] }
const NOW = 1_800_000_000_000

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout'] }))
afterEach(() => void vi.useRealTimers())

function setUp(questionsPerSecond: number) {
  const log = createMemoryLog()
  const clock = { now: NOW }
  const world = { asked: 0, checks: 0 }
  const service = createVerifierService({
    end: createVerifierEnd({ keys: [KEY], clock: () => clock.now }),
    verifier: {
      async verify(credential) {
        world.asked += 1
        const parsed = await parseCredentialString(credential)
        const expiresAt = NOW / 1000 + 5
        return {
          user: 'alice',
          uid: 1234,
          credentialDigest: parsed?.digest ?? '',
          expiresAt,
          boundDigest: null,
        }
      },
      check() {
        world.checks += 1
        return Promise.resolve()
      },
    },
    signer: null,
    questionsPerSecond,
    clock: () => clock.now,
    log,
  })
  const answers: { status: number; retryAfter: string | null; text: string }[] = []
  const buildRemote = (key: Uint8Array<ArrayBuffer> = KEY): MungeVerifier =>
    buildRemoteVerifier({
      url: new URL('http://127.0.0.1:8081'),
      keys: [key],
      async fetch(url, init) {
        const response = await service.request(url, init)
        const { status, headers } = response
        const text = await response.text()
        answers.push({ status, retryAfter: headers.get('retry-after'), text })
        return new Response(text, { status })
      },
      clock: () => clock.now,
      randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    })
  return { log, clock, world, answers, buildRemote }
}

/** What became of each of so many questions, one after the other. */
async function ask(remote: MungeVerifier, times: number): Promise<string[]> {
  const outcomes = []
  for (let question = 0; question < times; question++) {
    const outcome = await remote.verify(CREDENTIAL, CLIENT).catch((error: unknown) => error)
    outcomes.push(outcome instanceof Outage ? outcome.rule : 'judged')
  }
  return outcomes
}

const judged = (times: number): string[] => Array.from({ length: times }, () => 'judged')

test('one too many is 429 with Retry-After, munged is not asked, and the gateway makes an outage of it', async () => {
  const { buildRemote, world, answers, clock } = setUp(3)
  const remote = buildRemote()
  expect(await ask(remote, 8)).toEqual([...judged(6), 'verifier_overloaded', 'verifier_overloaded'])
  expect(world.asked).toBe(6)
  expect(answers.at(-1)).toEqual({ status: 429, retryAfter: '1', text: 'too many questions\n' })
  clock.now += 1000
  expect(await ask(remote, 4)).toEqual([...judged(3), 'verifier_overloaded'])
})

test('what is not genuine never uses the room of what is', async () => {
  const { buildRemote, world, answers } = setUp(1)
  expect(await ask(buildRemote(OTHER_KEY), 200)).toEqual(
    Array.from({ length: 200 }, () => 'verifier_unavailable'),
  )
  expect(answers.every(({ status }) => status === 401)).toBe(true)
  expect(await ask(buildRemote(), 3)).toEqual([...judged(2), 'verifier_overloaded'])
  // And is told nothing about it.
  expect(await ask(buildRemote(OTHER_KEY), 1)).toEqual(['verifier_unavailable'])
  expect(answers.at(-1)?.status).toBe(401)
  expect(world.asked).toBe(2)
})

test('questions about readiness neither use the room nor need it', async () => {
  const { buildRemote, world } = setUp(1)
  const remote = buildRemote()
  for (let question = 0; question < 20; question++) await remote.check()
  expect(await ask(remote, 3)).toEqual([...judged(2), 'verifier_overloaded'])
  await remote.check()
  expect(world.checks).toBe(1)
})

test('with 0 there is no limit', async () => {
  const { buildRemote, world } = setUp(0)
  expect(await ask(buildRemote(), 100)).toEqual(judged(100))
  expect(world.asked).toBe(100)
})

test('a flood of either kind is a few lines, then the count, each kind by itself', async () => {
  const { buildRemote, log } = setUp(1)
  await ask(buildRemote(OTHER_KEY), 50)
  await ask(buildRemote(), 52)
  const count = (event: string): number => log.lines.filter((line) => line.event === event).length
  expect([count('verifier_request_refused'), count('verifier_overloaded'), log.lines.length]).toEqual([
    5, 5, 10,
  ])
  expect(log.lines.at(-1)).toEqual({
    level: 'warn',
    event: 'verifier_overloaded',
    fields: { questionsPerSecond: 1 },
  })
  vi.advanceTimersByTime(1000)
  expect(log.lines.slice(10).map(({ event, fields }) => [event, fields])).toEqual([
    ['verifier_request_refused', { leftOut: 45 }],
    ['verifier_overloaded', { leftOut: 45 }],
  ])
})

test('a 429 is an outage that says why, over whatever carries the questions, and is not asked again', async () => {
  let calls = 0
  const post: Post = () => {
    calls += 1
    return Promise.resolve({ status: 429, text: '' })
  }
  const remote = buildRemoteVerifier({
    url: new URL('http://127.0.0.1:8081'),
    keys: [KEY],
    fetch: () => Promise.reject(new Error('not this way')),
    post,
    clock: () => NOW,
    randomBytes: (length) => new Uint8Array(length),
  })
  for (const call of [() => remote.verify(CREDENTIAL, CLIENT), () => remote.check()]) {
    const outage: unknown = await call().catch((error: unknown) => error)
    expect(outage).toBeInstanceOf(Outage)
    expect(outage).toMatchObject({ rule: 'verifier_overloaded' })
    expect(String(outage)).toContain('VERIFIER_RATE_LIMIT_PER_SECOND')
  }
  expect(calls).toBe(2)
})
