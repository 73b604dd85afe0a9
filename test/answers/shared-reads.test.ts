/** What those who ask the same have to do with one another: the log's lines, the turns of callers, and room. */

import { expect, it } from 'vitest'
import { setImmediate as turn } from 'node:timers/promises'
import type { TokenPrincipal } from '../../src/principal.ts'
import { buildToken } from '../gateway/in-memory-ports.ts'
import { bearer, CACHE_OFF, createInMemoryGate } from '../gateway/in-memory-gate.ts'
import { buildJobs, createWorld } from './answer-world.ts'

const job = (id: number): string => `/slurm/v0.0.42/job/${String(id)}`

it('reads of one turn are one call, though the lines of their decisions are not out yet', async () => {
  const cache = { ...CACHE_OFF, ttlSeconds: { jobs: 2, nodes: 0, accounting: 0 }, entryMaxBytes: 9_999, maxBytes: 99_999 } // prettier-ignore
  const { world, send } = createInMemoryGate({ cache })
  world.whenWritten = () => turn()
  world.answer = async () => {
    const answer = buildJobs('once')
    await turn()
    world.sent.at(-1)?.takeWhole?.(answer.contentLength ?? 0)
    return answer
  }
  const ask = () => send('/slurm/v0.0.42/jobs', { headers: [bearer('reader')] })
  const answers = await Promise.all([ask(), ask(), ask(), ask()])
  expect(answers.map(({ headers }) => headers.get('x-cache')).toSorted()).toEqual(['COALESCED', 'COALESCED', 'COALESCED', 'MISS']) // prettier-ignore
  expect(world.sent).toHaveLength(1)
})

it('what is held stays within its room, also where a call ends before the line of who joined is out', async () => {
  const text = 'x'.repeat(4_000)
  const { world, begin, get } = createWorld({ entryMaxBytes: 5_000, maxBytes: 20_000 })
  world.text = () => text
  let letGo = (): void => undefined
  world.isPrompt = false
  const first = await begin({ path: job(1) })
  world.whenWritten = () => new Promise((resolve) => (letGo = resolve))
  const joined = await begin({ path: job(1) })
  world.asked[0]?.answer(buildJobs(text))
  ;(await first.found).release()
  letGo()
  const found = await joined.found
  expect(found.state).toBe('COALESCED')
  found.release()
  world.whenWritten = () => null
  world.isPrompt = true
  for (let count = 0; count < 50; count += 1) expect((await get({ path: job(1) })).state).toBe('HIT')
  for (let id = 2; id <= 20; id += 1) await get({ path: job(id) })
  const states: string[] = []
  for (let id = 20; id >= 2; id -= 1) states.push((await get({ path: job(id) })).state)
  expect(states.filter((state) => state === 'HIT')).toHaveLength(3)
})

const buildDashboard = (tokenId: string): TokenPrincipal => ({ ...buildToken(['slurm:read']), tokenId })

it('nobody waits for the turn of another token of the same user', async () => {
  const { world, begin } = createWorld()
  world.isPrompt = false
  world.isQueued = true
  const batch = await begin({ principal: buildDashboard('tok_batch') })
  const own = await begin({ principal: buildDashboard('tok_batch') })
  const dashboard = await begin({ principal: buildDashboard('tok_dashboard') })
  expect([batch.state, own.state, dashboard.state]).toEqual(['MISS', 'COALESCED', 'MISS'])
  // Its turn has come.
  world.asked[1]?.events.onSend?.()
  const third = await begin({ principal: buildDashboard('tok_third') })
  expect(third.state).toBe('COALESCED')
  for (const { answer } of world.asked) answer(buildJobs('x'))
  for (const { found } of [batch, own, dashboard, third]) (await found).release()
  expect(world.asked).toHaveLength(2)
})

it('the age of an answer counts from when it was asked for, also for who joined late (RFC 9111 section 4.2.3)', async () => {
  const { world, begin, get } = createWorld()
  world.isPrompt = false
  const first = await begin()
  world.now += 30_000
  const late = await begin()
  world.asked[0]?.answer(buildJobs('x'))
  ;(await first.found).release()
  const joined = await late.found
  expect([joined.state, joined.ageSeconds]).toEqual(['COALESCED', 30])
  joined.release()
  world.now += 1_000
  const hit = await get()
  expect([hit.state, hit.found.ageSeconds]).toEqual(['HIT', 31])
})

it('what a long question asks for is not kept: strings as long are told apart one by one', async () => {
  const { world, get } = createWorld()
  const ask = () => get({ path: `/slurm/v0.0.42/shares?users=${'a,'.repeat(400)}a` })
  expect([(await ask()).state, (await ask()).state]).toEqual(['BYPASS', 'BYPASS'])
  expect(world.asked).toHaveLength(2)
})
