/** CONTRACT "HTTP", first match wins: 401, then 429, then what the request says; counted for valid credentials only. */

import { expect, test } from 'vitest'
import { refuse } from '../../src/refusal.ts'
import { bearer, createInMemoryGate, json, munge, type GateRequestInit } from './in-memory-gate.ts'

const JOBS = '/slurm/v0.0.42/jobs'
const get = (...headers: (readonly [string, string])[]): GateRequestInit => ({ headers })
const explain = (...headers: (readonly [string, string])[]): GateRequestInit => ({
  method: 'POST',
  headers: [...headers, json],
  body: `{"method":"GET","path":"${JOBS}"}`,
})

/** A gate of one request a second, whose `free` token has just used up its two. */
async function exhaust() {
  const gate = createInMemoryGate({ requestsPerSecond: 1 })
  for (let request = 0; request < 2; request++)
    expect((await gate.send(JOBS, get(bearer('free')))).status).toBe(200)
  gate.world.sent.length = 0
  gate.log.lines.length = 0
  return gate
}

test('over the rate is 429 with Retry-After, in Slurm’s shape, with its audit line, and nothing is forwarded', async () => {
  const gate = await exhaust()
  const answer = await gate.send(JOBS, get(bearer('free')))
  expect([answer.status, answer.rule, answer.headers.get('retry-after')]).toEqual([429, 'rate_limited', '1'])
  expect(JSON.parse(answer.text)).toMatchObject({
    meta: { plugin: { type: 'slurmgate' } },
    errors: [{ error_number: 20420, error: 'rate_limited', source: 'slurmgate' }],
  })
  expect(answer.headers.get('www-authenticate')).toBeNull()
  expect(gate.world.sent).toEqual([])
  expect(gate.log.lines).toMatchObject([
    {
      level: 'audit',
      event: 'decision',
      fields: {
        rule: 'rate_limited',
        outcome: 'refused',
        status: 429,
        token_id: 'tok_free',
        principal: 'alice',
      },
    },
  ])
  gate.world.now += 1000
  expect((await gate.send(JOBS, get(bearer('free')))).status).toBe(200)
  expect((await gate.send(JOBS, get(bearer('free')))).status).toBe(429)
})

test.each<[string, string, GateRequestInit]>([
  ['a version that is not served', '/slurm/v0.0.99/jobs', get(bearer('free'))],
  ['an unknown path', '/nope', get(bearer('free'))],
  ['a wrong method', JOBS, { method: 'PATCH', headers: [bearer('free')] }],
  ['whoami', '/meta/whoami', get(bearer('free'))],
  ['an explanation', '/meta/explain', explain(bearer('free'))],
  ['slurmrestd’s description', '/openapi/v3', get(bearer('free'))],
])('429 comes before %s', async (_what, target, init) => {
  const gate = await exhaust()
  expect((await gate.send(target, init)).rule).toBe('rate_limited')
  expect(gate.world.sent).toEqual([])
})

test('429 comes before a body is read, and before a bound credential is compared with it', async () => {
  const gate = createInMemoryGate({ requestsPerSecond: 1 })
  const boundDigest = 'ab'.repeat(32)
  gate.world.verify = () => ({ user: 'alice', uid: 1001, credentialDigest: 'x', expiresAt: 0, boundDigest })
  const submit = { method: 'POST', headers: [munge, json], body: 'x'.repeat(5000) }
  const rules = []
  for (let request = 0; request < 3; request++)
    rules.push((await gate.send('/slurm/v0.0.42/job/submit', submit)).rule)
  expect(rules).toEqual(['body_too_large', 'body_too_large', 'rate_limited'])
})

test('401 comes before 429, and what is not accepted is not counted', async () => {
  const gate = createInMemoryGate({ requestsPerSecond: 1 })
  const other = ['X-Slurm-User-Name', 'bob'] as const
  for (let request = 0; request < 5; request++) {
    expect((await gate.send(JOBS)).rule).toBe('credential_missing')
    for (const name of ['expired', 'revoked', 'denied'] as const)
      expect((await gate.send(JOBS, get(bearer(name)))).status).toBe(401)
    expect((await gate.send(JOBS, get(bearer('free'), other))).rule).toBe('user_name_mismatch')
    expect((await gate.send(JOBS, get(bearer('free'), bearer('free')))).rule).toBe('credential_repeated')
  }
  const { verify } = gate.world
  gate.world.verify = () => refuse('munge_wrong_host')
  for (let request = 0; request < 5; request++)
    expect((await gate.send(JOBS, get(munge))).rule).toBe('munge_wrong_host')
  gate.world.verify = verify
  gate.world.claim = () => false
  for (let request = 0; request < 5; request++)
    expect((await gate.send(JOBS, get(munge))).rule).toBe('munge_replayed')
  gate.world.claim = () => true
  for (const header of [bearer('free'), munge]) {
    const statuses = []
    for (let request = 0; request < 3; request++) statuses.push((await gate.send(JOBS, get(header))).status)
    expect(statuses).toEqual([200, 200, 429])
  }
})

test('an exhausted caller with a bad credential is 401 all the same', async () => {
  const gate = await exhaust()
  expect((await gate.send(JOBS, get(bearer('free'), ['X-Slurm-User-Name', 'bob']))).rule).toBe(
    'user_name_mismatch',
  )
})

test('whoami and explanations count like any other call', async () => {
  const gate = createInMemoryGate({ requestsPerSecond: 1 })
  expect((await gate.send('/meta/whoami', get(bearer('free')))).status).toBe(200)
  expect((await gate.send('/meta/explain', explain(bearer('free')))).status).toBe(200)
  expect((await gate.send(JOBS, get(bearer('free')))).status).toBe(429)
})

test('public paths neither count nor are limited, with a credential or without', async () => {
  const gate = createInMemoryGate({ requestsPerSecond: 1 })
  for (let request = 0; request < 5; request++) {
    for (const path of ['/ping', '/meta/versions/supported', '/healthz', '/readyz'])
      expect((await gate.send(path, get(bearer('free')))).status).toBe(200)
  }
  expect((await gate.send(JOBS, get(bearer('free')))).status).toBe(200)
  for (let request = 0; request < 3; request++) await gate.send(JOBS, get(bearer('free')))
  expect((await gate.send('/ping', get(bearer('free')))).text).toBe('pong')
})

test('a MUNGE caller’s hosts share what it may; two tokens of its user have their own', async () => {
  const gate = createInMemoryGate({ requestsPerSecond: 1 })
  const connectFrom = (peerAddress: string): void => {
    gate.world.readConnection = () => ({ peerAddress, isEdge: false, hostAddresses: () => [] })
  }
  const statuses = []
  for (const address of ['192.0.2.7', '192.0.2.8', '192.0.2.9', '192.0.2.10']) {
    connectFrom(address)
    statuses.push((await gate.send(JOBS, get(munge))).status)
  }
  expect(statuses).toEqual([200, 200, 429, 429])
  for (const name of ['free', 'reader', 'bound'] as const) {
    const answers = []
    for (let request = 0; request < 3; request++)
      answers.push((await gate.send(JOBS, get(bearer(name)))).status)
    expect(answers).toEqual([200, 200, 429])
  }
})

test('without the setting nobody is limited', async () => {
  const gate = createInMemoryGate()
  for (let request = 0; request < 200; request++)
    expect((await gate.send('/meta/whoami', get(bearer('free')))).status).toBe(200)
})
