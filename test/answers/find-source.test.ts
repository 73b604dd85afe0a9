/** Which calls go to slurmrestd, which are answered from memory, and what a write makes of both. */

import { describe, expect, it } from 'vitest'
import { ANSWER_OVERHEAD_BYTES } from '../../src/limits.ts'
import type { Principal } from '../../src/principal.ts'
import { Outage } from '../../src/refusal.ts'
import { buildToken, MUNGE_ALICE, outageOf } from '../gateway/in-memory-ports.ts'
import { buildJobs, createWorld, type Ask } from './answer-world.ts'

const JOBS = '/slurm/v0.0.42/jobs'
const CANCEL: Ask = { method: 'DELETE', path: '/slurm/v0.0.42/job/7' }
const BOB: Principal = { ...MUNGE_ALICE, slurmUser: 'bob', uid: 1002 }
const settle = () => new Promise((resolve) => setTimeout(resolve, 5))

describe('the same read', () => {
  it.each([
    [JOBS, 2],
    ['/slurm/v0.0.42/job/7', 2],
    ['/slurm/v0.0.42/nodes', 10],
    ['/slurm/v0.0.42/partition/debug', 10],
    ['/slurmdb/v0.0.42/jobs', 30],
  ])('of %s is answered from memory for %i s, with its age', async (path, seconds) => {
    const { world, get } = createWorld()
    expect((await get({ path })).state).toBe('MISS')
    world.now += 1000 * seconds - 1
    const hit = await get({ path })
    expect([hit.state, hit.text, hit.found.ageSeconds]).toEqual([
      'HIT',
      expect.stringContaining('of alice'),
      seconds - 1,
    ])
    world.now += 1
    expect((await get({ path })).state).toBe('MISS')
    expect(world.asked).toHaveLength(2)
  })

  it.each(['/slurm/v0.0.42/ping', '/slurm/v0.0.42/diag', '/slurmdb/v0.0.42/ping', '/slurmdb/v0.0.42/config'])(
    'of %s is asked for each time: who asks wants to know how it is now',
    async (path) => {
      const { world, get } = createWorld()
      expect([(await get({ path })).state, (await get({ path })).state]).toEqual(['BYPASS', 'BYPASS'])
      expect(world.asked).toHaveLength(2)
    },
  )

  it('is the same by a MUNGE credential of the same host user, or in another order of its query', async () => {
    const { world, get } = createWorld()
    await get({ path: `${JOBS}?flags=DETAIL&update_time=1` })
    expect((await get({ path: `${JOBS}?update_time=1&flags=DETAIL` })).state).toBe('HIT')
    expect(world.asked).toHaveLength(1)
  })

  it.each<[string, Ask]>([
    ['of another user', { principal: BOB }],
    ['of another uid by the same name', { principal: { ...MUNGE_ALICE, uid: 1002 } }],
    ['of an API token, whose policy is another', { principal: buildToken(['slurm:read']) }],
    ['of another version', { path: '/slurm/v0.0.41/jobs' }],
    ['with a query', { path: `${JOBS}?update_time=1` }],
    ['of another path', { path: '/slurm/v0.0.42/job/1' }],
    ['in another form', { headers: { accept: 'application/yaml' } }],
  ])('is not the one %s', async (_what, ask) => {
    const { world, get } = createWorld()
    await get()
    expect((await get(ask)).state).toBe('MISS')
    expect(world.asked).toHaveLength(2)
  })

  it('is another one after the policy of a token has changed', async () => {
    const { get } = createWorld()
    const principal = { ...buildToken(['slurm:read']), policyVersion: 1 }
    await get({ principal })
    expect((await get({ principal })).state).toBe('HIT')
    expect((await get({ principal: { ...principal, policyVersion: 2 } })).state).toBe('MISS')
  })

  it.each(['no-cache', 'max-age=0', 'No-Store', 'private, no-cache'])(
    'is asked for where the client wants a fresh one (Cache-Control: %s)',
    async (control) => {
      const { world, get } = createWorld()
      await get()
      expect((await get({ headers: { 'cache-control': control } })).state).toBe('BYPASS')
      expect(world.asked).toHaveLength(2)
    },
  )

  it('is asked for each time where its kind is off, and is still tagged', async () => {
    const { get } = createWorld({ ttlSeconds: { jobs: 0, nodes: 10, accounting: 30 } })
    await get()
    const again = await get()
    expect([again.state, again.found.etag]).toEqual(['BYPASS', expect.stringMatching(/^"[0-9a-f]{32}"$/)])
  })

  it('is not answered by a clock that was set back', async () => {
    const { world, get } = createWorld()
    await get()
    world.now -= 1
    expect((await get()).state).toBe('MISS')
  })
})

describe('what is not kept', () => {
  it.each([
    ['an error', buildJobs('x', 500)],
    ['an absence', buildJobs('x', 404)],
    ['200 with errors, as 22.05 says it', { ...buildJobs('x'), body: new TextEncoder().encode('{"errors": [{"error": "x"}], "jobs": []}') }],
    ['200 that does not say whether there are errors', { ...buildJobs('x'), body: new TextEncoder().encode('{"jobs": []}') }],
  ])('%s', async (_what, answer) => {
    const { world, begin, get } = createWorld()
    world.isPrompt = false
    const first = begin()
    await settle()
    world.asked[0]?.answer(answer)
    ;(await (await first).found).release()
    world.isPrompt = true
    expect((await get()).state).toBe('MISS')
  }) // prettier-ignore

  it('is what is larger than an entry may be: it streams, to everybody who asked on their own', async () => {
    const { world, begin, get } = createWorld({ entryMaxBytes: 10 })
    world.isPrompt = false
    const both = [await begin(), await begin()]
    expect(both.map(({ state }) => state)).toEqual(['MISS', 'COALESCED'])
    world.isPrompt = true
    world.asked[0]?.answer(buildJobs('x'))
    const found = await Promise.all(both.map((one) => one.found))
    expect(found.map(({ state, etag }) => [state, etag])).toEqual([['BYPASS', null], ['BYPASS', null]])
    expect(world.asked).toHaveLength(2)
    expect((await get()).state).toBe('BYPASS')
  }) // prettier-ignore

  it('is what has no room beside answers on their way: the room is never exceeded, and comes back', async () => {
    const length = buildJobs('of alice').contentLength ?? 0
    const { begin, get } = createWorld({
      entryMaxBytes: length,
      maxBytes: 2 * (length + ANSWER_OVERHEAD_BYTES),
    })
    const path = (id: number) => `/slurm/v0.0.42/job/${id}`
    const held = [await (await begin({ path: path(1) })).found, await (await begin({ path: path(2) })).found]
    expect(held.map(({ state }) => state)).toEqual(['MISS', 'MISS'])
    // Both are kept and held by clients: no room, even after they were given up.
    expect((await get({ path: path(3) })).state).toBe('BYPASS')
    for (const { release } of held) release()
    expect((await get({ path: path(3) })).state).toBe('MISS')
    expect((await get({ path: path(3) })).state).toBe('HIT')
    expect((await get({ path: path(1) })).state).toBe('MISS')
  })

  it('are many small ones beyond their room: each counts with what its keeping takes', async () => {
    const { world, get } = createWorld({ maxBytes: 10 * (ANSWER_OVERHEAD_BYTES + 100) })
    const read = (id: number) => get({ path: `/slurm/v0.0.42/job/${id}` })
    for (let id = 1; id <= 500; id += 1) await read(id)
    const asked = world.asked.length
    const states: string[] = []
    for (let id = 500; id > 480; id -= 1) states.push((await read(id)).state)
    expect(states.filter((state) => state === 'HIT')).toHaveLength(10)
    expect(world.asked.length).toBe(asked + 10)
  })

  it('is the one that was used longest ago, where there are too many', async () => {
    const length = buildJobs('of alice').contentLength ?? 0
    const { get } = createWorld({ entryMaxBytes: length, maxBytes: 2 * (length + ANSWER_OVERHEAD_BYTES) })
    const path = (id: number) => `/slurm/v0.0.42/job/${id}`
    for (const id of [1, 2, 1, 3]) await get({ path: path(id) })
    expect((await get({ path: path(1) })).state).toBe('HIT')
    expect((await get({ path: path(2) })).state).toBe('MISS')
  })
})

describe('reads under way', () => {
  it('are one call for all who ask the same, and each gets the whole', async () => {
    const { world, begin } = createWorld()
    world.isPrompt = false
    const all = await Promise.all(Array.from({ length: 24 }, () => begin()))
    expect(all.map(({ state }) => state)).toEqual(['MISS', ...Array.from({ length: 23 }, () => 'COALESCED')])
    expect(world.asked).toHaveLength(1)
    world.asked[0]?.answer(buildJobs('once'))
    for (const { found } of all) {
      const { answer, release } = await found
      expect(await new Response(answer.body).text()).toContain('once')
      release()
    }
  })

  it('fail together, and the next one asks anew', async () => {
    const { world, begin, get } = createWorld()
    world.isPrompt = false
    const all = await Promise.all([begin(), begin()])
    world.asked[0]?.answer(Promise.reject(new Outage('upstream_unreachable', 'gone')))
    for (const { found } of all) expect(await outageOf(() => found)).toBe('upstream_unreachable')
    world.isPrompt = true
    expect((await get()).state).toBe('MISS')
  })

  it('are a call each where no request may wait for another one (workerd)', async () => {
    const { world, begin } = createWorld({}, false)
    world.isPrompt = false
    const all = await Promise.all([begin(), begin()])
    expect(all.map(({ state }) => state)).toEqual(['MISS', 'MISS'])
    for (const asked of world.asked) asked.answer(buildJobs('x'))
    await Promise.all(all.map(({ found }) => found))
    expect(world.asked).toHaveLength(2)
  })

  it('of a slurmrestd that refused our token are 502 for all, and kept for nobody', async () => {
    const { world, begin, get } = createWorld()
    world.isPrompt = false
    const all = await Promise.all([begin(), begin()])
    world.asked[0]?.answer(buildJobs('x', 511))
    for (const { found } of all) expect(await outageOf(() => found)).toBe('slurm_token_refused')
    world.isPrompt = true
    expect((await get()).state).toBe('MISS')
  })
})

describe('a write', () => {
  it('always goes upstream, is told so, and is neither tagged nor kept', async () => {
    const { world, get } = createWorld()
    const [one, two] = [await get(CANCEL), await get(CANCEL)]
    expect([one.state, two.state, one.found.etag]).toEqual(['BYPASS', 'BYPASS', null])
    expect(world.asked).toHaveLength(2)
  })

  it('makes what the user read before it worthless, and nobody else’s', async () => {
    const { get } = createWorld()
    await get()
    await get({ principal: BOB })
    await get(CANCEL)
    expect((await get()).state).toBe('MISS')
    expect((await get({ principal: BOB })).state).toBe('HIT')
  })

  it('makes reads that began before it, or while it ran, worthless for who comes after', async () => {
    const { world, begin, get } = createWorld()
    world.isPrompt = false
    const before = await begin()
    const write = await begin(CANCEL)
    const during = await begin()
    expect(during.state).toBe('MISS')
    for (const asked of world.asked) asked.answer(buildJobs('old'))
    for (const { found } of [before, write, during]) (await found).release()
    world.isPrompt = true
    world.text = () => 'new'
    const after = await get()
    expect([after.state, after.text]).toEqual(['MISS', expect.stringContaining('new')])
  })

  it('that ended in a 504 counts again when slurmrestd is done with it', async () => {
    const { world, begin, get } = createWorld()
    world.isPrompt = false
    const write = await begin(CANCEL)
    await settle()
    const late = world.asked[0]
    late?.answer(Promise.reject(new Outage('upstream_timeout', 'late')))
    expect(await outageOf(() => write.found)).toBe('upstream_timeout')
    world.isPrompt = true
    await get()
    expect((await get()).state).toBe('HIT')
    late?.events.onEnd?.()
    expect((await get()).state).toBe('MISS')
  })

  it('that could not be sent makes nothing worse than a read more', async () => {
    const { world, begin, get } = createWorld()
    await get()
    world.isPrompt = false
    const write = await begin(CANCEL)
    world.asked.at(-1)?.answer(Promise.reject(new Outage('overloaded', 'full')))
    expect(await outageOf(() => write.found)).toBe('overloaded')
    world.isPrompt = true
    expect((await get()).state).toBe('MISS')
  })
})

describe('while slurmrestd cannot be reached', () => {
  async function lose(
    staleSeconds: number,
    rule: 'upstream_unreachable' | 'upstream_timeout' | 'overloaded',
  ) {
    const { world, begin, get } = createWorld({ staleSeconds })
    await get()
    world.now += 2_000
    world.isPrompt = false
    const ask = async (headers = {}) => {
      const { found } = await begin({ headers })
      world.asked.at(-1)?.answer(Promise.reject(new Outage(rule, 'gone')))
      return found
    }
    return { world, get, ask }
  }

  it.each(['upstream_unreachable', 'upstream_timeout'] as const)(
    'answers count longer where the operator says so, with their age (%s)',
    async (rule) => {
      const { world, ask } = await lose(60, rule)
      world.now += 9_000
      const stale = await ask()
      expect([stale.state, stale.ageSeconds, stale.outage?.rule]).toEqual(['STALE', 11, rule])
      world.now += 51_000
      expect(await outageOf(() => ask())).toBe(rule)
    },
  )

  it('they do not where he does not, nor for who wants a fresh one, nor where the gate is too busy', async () => {
    expect(await outageOf(async () => (await lose(0, 'upstream_unreachable')).ask())).toBe(
      'upstream_unreachable',
    )
    expect(
      await outageOf(async () =>
        (await lose(60, 'upstream_unreachable')).ask({ 'cache-control': 'no-cache' }),
      ),
    ).toBe('upstream_unreachable')
    expect(await outageOf(async () => (await lose(60, 'overloaded')).ask())).toBe('overloaded')
  })

  it('they do not after a write', async () => {
    const { world, get, ask } = await lose(60, 'upstream_unreachable')
    world.isPrompt = true
    await get(CANCEL)
    world.isPrompt = false
    expect(await outageOf(() => ask())).toBe('upstream_unreachable')
  })
})
