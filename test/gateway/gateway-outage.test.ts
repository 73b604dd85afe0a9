/** CONTRACT "HTTP" (503, never 401; 502; 504) and STYLE 4: a dependency that fails closes the gate and blames nobody. */

import { describe, expect, it } from 'vitest'
import { Outage, type OutageRule } from '../../src/refusal.ts'
import { bearer, createInMemoryGate, munge } from './in-memory-gate.ts'
import { buildAnswer, buildSlurmErrors } from './in-memory-ports.ts'

const JOBS = '/slurm/v0.0.42/jobs'
type Gate = ReturnType<typeof createInMemoryGate>

const fail = (rule: OutageRule) => (): never => {
  throw new Outage(rule, 'canary-detail', { cause: new Error('canary-cause') })
}

describe('a dependency that does not answer', () => {
  it.each<[OutageRule, readonly [string, string], (gate: Gate) => void]>([
    [
      'token_store_unavailable',
      bearer('free'),
      ({ world }) => (world.findToken = fail('token_store_unavailable')),
    ],
    ['verifier_unavailable', munge, ({ world }) => (world.verify = fail('verifier_unavailable'))],
    ['munged_unavailable', munge, ({ world }) => (world.verify = fail('munged_unavailable'))],
    ['names_unavailable', munge, ({ world }) => (world.verify = fail('names_unavailable'))],
    ['replay_guard_unavailable', munge, ({ world }) => (world.claim = fail('replay_guard_unavailable'))],
    ['versions_unknown', bearer('free'), ({ world }) => (world.findVersions = fail('versions_unknown'))],
  ])('is 503 %s with Retry-After, never 401, and nothing is forwarded', async (rule, credential, breakIt) => {
    const gate = createInMemoryGate()
    breakIt(gate)
    const answer = await gate.send(JOBS, { headers: [credential] })
    expect(answer).toMatchObject({ status: 503, rule })
    expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    expect(answer.headers.get('www-authenticate')).toBeNull()
    expect(gate.world.sent).toEqual([])
    expect(answer.text).not.toContain('canary')
    expect(gate.log.lines.map(({ level, fields }) => [level, fields['outcome']])).toEqual([
      ['error', 'outage'],
    ])
    expect(JSON.stringify(gate.log.lines)).not.toContain('canary-cause')
  })

  it.each<[number, OutageRule]>([
    [502, 'upstream_unreachable'],
    [504, 'upstream_timeout'],
    [503, 'overloaded'],
  ])('is %i %s where it is slurmrestd, and the request is sent once', async (status, rule) => {
    const gate = createInMemoryGate()
    gate.world.answer = fail(rule)
    const init = {
      method: 'POST',
      headers: [munge, ['Content-Type', 'application/json'] as const],
      body: '{}',
    }
    expect(await gate.send('/slurm/v0.0.42/job/submit', init)).toMatchObject({ status, rule })
    expect(gate.world.sent).toHaveLength(1)
    expect(gate.events.at(-1)).toBe(`upstream ${rule}`)
  })

  it('leaves public paths alive', async () => {
    const gate = createInMemoryGate()
    gate.world.findToken = fail('token_store_unavailable')
    gate.world.findVersions = fail('versions_unknown')
    expect(await gate.send('/ping')).toMatchObject({ status: 200, text: 'pong' })
    expect((await gate.send('/healthz')).status).toBe(200)
    expect(await gate.send('/meta/versions/latest')).toMatchObject({ status: 503, rule: 'versions_unknown' })
  })

  it('refuses our own token: 502, never 401, without a challenge', async () => {
    const gate = createInMemoryGate()
    for (const answer of [buildAnswer(401, 'x', 'text/plain'), buildAnswer(511, buildSlurmErrors(1007))]) {
      gate.world.answer = () => answer
      const response = await gate.send(JOBS, { headers: [bearer('free')] })
      expect(response).toMatchObject({ status: 502, rule: 'slurm_token_refused' })
      expect(response.headers.get('www-authenticate')).toBeNull()
    }
  })

  it('leaves a job unwritten that could not be looked at', async () => {
    const gate = createInMemoryGate()
    gate.world.answer = () => buildAnswer(500, 'x', 'text/plain')
    const answer = await gate.send('/slurm/v0.0.42/job/7', { method: 'DELETE', headers: [bearer('bound')] })
    expect(answer).toMatchObject({ status: 502, rule: 'job_check_failed' })
    expect(gate.world.sent.map(({ method }) => method)).toEqual(['GET'])
  })
})

describe('a failure that nobody foresaw', () => {
  const bug = (): never => {
    throw new TypeError('canary-message')
  }
  it.each<[string, (gate: Gate) => void]>([
    ['the store', ({ world }) => (world.findToken = bug)],
    ['the versions', ({ world }) => (world.findVersions = bug)],
    ['slurmrestd’s client', ({ world }) => (world.answer = bug)],
    ['the runtime’s connection', ({ world }) => (world.readConnection = bug)],
  ])(
    'in %s is 500 in Slurm’s shape, with an audit line, and shows its message to nobody',
    async (_, breakIt) => {
      const gate = createInMemoryGate()
      breakIt(gate)
      const answer = await gate.send(JOBS, { headers: [bearer('free')] })
      expect(answer.status).toBe(500)
      expect(answer.text + JSON.stringify(gate.log.lines)).not.toContain('canary')
      expect(answer.rule).toBe('internal_error')
      expect(gate.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1)
    },
  )
})

describe('public paths', () => {
  it('say what the contract says, to anybody', async () => {
    const gate = createInMemoryGate()
    const headers = [bearer('revoked'), bearer('expired')]
    expect(await gate.send('/ping', { headers })).toMatchObject({ status: 200, text: 'pong' })
    expect(await gate.send('/meta/versions/latest/')).toMatchObject({ status: 200, text: 'v0.0.42' })
    expect(JSON.parse((await gate.send('//meta/versions/supported')).text)).toEqual(['v0.0.40', 'v0.0.42'])
    expect((await gate.send('/readyz')).status).toBe(200)
    expect([gate.world.sent, gate.world.lookups]).toEqual([[], 0])
  })

  it.each(['/ping/x', '/PING', '/ping%2f', '/healthz/../slurm/v0.0.42/jobs', '/meta', '/meta/versions', '/metrics', '/ping%00'])(
    '%s is not one of them', async (target) => {
      expect(await createInMemoryGate().send(target)).toMatchObject({ status: 401, rule: 'credential_missing' })
    },
  ) // prettier-ignore
})

describe('whoami', () => {
  it('tells a token what it is, and a MUNGE caller who they are', async () => {
    const gate = createInMemoryGate()
    const token = JSON.parse(
      (await gate.send('/meta/whoami', { headers: [bearer('bound')] })).text,
    ) as unknown
    expect(token).toMatchObject({ method: 'token', slurm_user: 'alice', account: 'own', expires_at: null })
    expect(token).toHaveProperty('scopes', ['slurm:read', 'slurmdb:read', 'slurm:jobs:manage'])
    const caller = JSON.parse((await gate.send('/meta/whoami', { headers: [munge] })).text) as unknown
    expect(caller).toMatchObject({ method: 'munge', slurm_user: 'alice', account: null })
    expect(gate.world.sent).toEqual([])
  })
})
