/** CONTRACT `SLURM_JWT_LIFESPAN_SECONDS` ("chosen after any queueing"), facts/slurm.md 1: our headers, our token, sent once. */

import { describe, expect, it } from 'vitest'
import type { UpstreamAnswer, UpstreamRequest } from '../../src/ports.ts'
import { nameCaller, type Principal } from '../../src/principal.ts'
import { Outage } from '../../src/refusal.ts'
import { createSendUpstream, readAccept, type UpstreamCall } from '../../src/upstream-request.ts'
import { buildAnswer, encode, MUNGE_ALICE, outageOf } from './in-memory-ports.ts'

const GET: UpstreamCall = {
  method: 'GET',
  target: '/x',
  accept: 'application/json',
  body: null,
  sendBefore: null,
}

function setUp() {
  const events: string[] = []
  const sent: UpstreamRequest[] = []
  const world = {
    now: 1_000,
    take: (): Promise<void> => Promise.resolve(),
    findToken: (user: string): Promise<string> => Promise.resolve(`token-of-${user}`),
    answer: (): Promise<UpstreamAnswer> => Promise.resolve(buildAnswer(200, {})),
  }
  const send = createSendUpstream({
    upstream: {
      send: (request) => {
        events.push('send')
        sent.push(request)
        return world.answer()
      },
    },
    slurmTokens: {
      confirm: null,
      findToken: ({ slurmUser }: Principal) => {
        events.push('token')
        return world.findToken(slurmUser)
      },
    },
    slots: {
      take: async () => {
        await world.take()
        events.push('slot')
        return () => void events.push('give back')
      },
    },
    nameCaller,
    timeoutMilliseconds: 1234,
    now: () => world.now,
  })
  return { send, sent, world, events }
}

describe('a write whose job was looked at', () => {
  it('goes out as long as what was seen counts, and not a millisecond later', async () => {
    const { send, sent, world, events } = setUp()
    await send(MUNGE_ALICE, { ...GET, sendBefore: world.now })
    expect(sent).toHaveLength(1)
    world.take = () => {
      world.now += 1
      return Promise.resolve()
    }
    const late = { ...GET, sendBefore: world.now }
    expect(await outageOf(() => send(MUNGE_ALICE, late))).toBe('job_check_stale')
    expect(sent).toHaveLength(1)
    expect(events.at(-1)).toBe('give back')
  })
})

describe('a call that slurmrestd was too slow for', () => {
  it('keeps its slot: slurmrestd does not notice that nobody waits (measured)', async () => {
    const { send, world, events } = setUp()
    world.answer = () => Promise.reject(new Outage('upstream_timeout', 'late'))
    expect(await outageOf(() => send(MUNGE_ALICE, GET))).toBe('upstream_timeout')
    expect(events).not.toContain('give back')
  })
})

describe('a call', () => {
  it('waits for its slot first, and chooses its token then', async () => {
    const { send, world, events } = setUp()
    let free = (): void => undefined
    world.take = () => new Promise((resolve) => (free = resolve))
    const answer = send(MUNGE_ALICE, GET)
    await Promise.resolve()
    expect(events).toEqual([])
    free()
    await answer
    expect(events.slice(0, 3)).toEqual(['slot', 'token', 'send'])
  })

  it('carries the principal’s name and token, and no Authorization beside them (401 on 24.11+)', async () => {
    const { send, sent } = setUp()
    const bytes = encode('{}')
    await send(MUNGE_ALICE, { ...GET, method: 'POST', body: { contentType: 'application/x-yaml', bytes } })
    expect(sent[0]).toMatchObject({ method: 'POST', target: '/x', body: bytes, timeoutMilliseconds: 1234 })
    expect(sent[0]?.headers).toEqual({
      accept: 'application/json',
      'content-type': 'application/x-yaml',
      'x-slurm-user-name': 'alice',
      'x-slurm-user-token': 'token-of-alice',
    })
  })

  it('without a body has no content type', async () => {
    const { send, sent } = setUp()
    await send(MUNGE_ALICE, GET)
    expect(Object.keys(sent[0]?.headers ?? {})).not.toContain('content-type')
    expect(sent[0]?.body).toBeNull()
  })

  it.each(['token', 'send'])(
    'that fails at its %s gives its slot back, and is not sent again',
    async (stage) => {
      const { send, sent, world, events } = setUp()
      const fail = () => Promise.reject(new Outage('upstream_unreachable', 'gone'))
      if (stage === 'token') world.findToken = fail
      else world.answer = fail
      expect(await outageOf(() => send(MUNGE_ALICE, GET))).toBe('upstream_unreachable')
      expect(events.at(-1)).toBe('give back')
      expect(sent).toHaveLength(stage === 'token' ? 0 : 1)
    },
  )

  it('that gets no slot is not sent', async () => {
    const { send, sent, world } = setUp()
    world.take = () => Promise.reject(new Outage('overloaded', 'full'))
    expect(await outageOf(() => send(MUNGE_ALICE, GET))).toBe('overloaded')
    expect(sent).toEqual([])
  })
})

describe('what the client accepts', () => {
  // facts/clients.md: the three forms that clients send, and none.
  it.each<[string | null, string]>([
    [null, 'application/json'],
    ['*/*', 'application/json'],
    ['application/json, text/plain, */*', 'application/json'],
    ['application/json, application/yaml', 'application/json'],
    ['application/yaml, application/json', 'application/json'],
    ['application/x-yaml', 'application/yaml'],
    ['application/yaml', 'application/yaml'],
    ['text/YAML', 'application/yaml'],
    ['application/yaml, */*;q=0.1', 'application/json'],
    ['text/html', 'application/json'],
    ['', 'application/json'],
    ['canary', 'application/json'],
  ])('%j is asked for as %s: one of two fixed types, never the client’s own text', (accept, expected) => {
    expect(readAccept(new Headers(accept === null ? {} : { accept }))).toBe(expected)
  })
})
