/** CONTRACT "HTTP": the order of refusals, nothing forwarded on any of them, and what goes upstream otherwise. */

import { jwtVerify } from 'jose'
import { describe, expect, it } from 'vitest'
import { Outage, refuse } from '../../src/refusal.ts'
import {
  bearer,
  createInMemoryGate,
  json,
  munge,
  NOW,
  SLURM_KEY,
  type GateRequestInit,
} from './in-memory-gate.ts'
import { buildAnswer, buildSlurmErrors } from './in-memory-ports.ts'

const JOBS = '/slurm/v0.0.42/jobs'
const SUBMIT = '/slurm/v0.0.42/job/submit'
const LONG: readonly [string, string] = ['X-Padding', 'x'.repeat(16 * 1024)]
const post = (body: string, ...headers: (readonly [string, string])[]): GateRequestInit => ({
  method: 'POST',
  headers: [...headers, json],
  body,
})

describe('first match wins, and nothing is forwarded', () => {
  it.each<[number, string, string, GateRequestInit]>([
    [431, 'head_too_large', '/ping', { headers: [LONG, bearer('free'), bearer('free')] }],
    [405, 'method_not_allowed', '/ping', { method: 'POST' }],
    [400, 'credential_repeated', '/nope', { headers: [bearer('free'), bearer('free')] }],
    [400, 'credential_conflict', '/slurm/v9/x', { headers: [bearer('expired'), ['X-Slurm-User-Token', 'x']] }],
    [401, 'credential_missing', '/', {}],
    [401, 'credential_missing', '/slurm/v9/jobs', { method: 'PATCH' }],
    [401, 'credential_missing', '/openapi/v3', {}],
    [401, 'credential_missing', '/meta/whoami', {}],
    [401, 'token_unknown', JOBS, { headers: [['Authorization', `Bearer ${'z'.repeat(40)}`]] }],
    [401, 'token_expired', '/slurm/v9/jobs', { headers: [bearer('expired')] }],
    [401, 'token_revoked', '/nope', { headers: [bearer('revoked')] }],
    [401, 'token_user_denied', JOBS, { headers: [bearer('denied')] }],
    [401, 'user_name_mismatch', JOBS, { headers: [bearer('free'), ['X-Slurm-User-Name', 'bob']] }],
    [401, 'user_name_mismatch', JOBS, { headers: [munge, ['X-Slurm-User-Name', 'bob']] }],
    [401, 'token_malformed', JOBS, { headers: [['X-Slurm-User-Token', 'short']] }],
    [400, 'version_not_served', '/slurm/v0.0.41/nope?x', { method: 'PATCH', headers: [bearer('reader')] }],
    [404, 'path_unknown', '/nope', { headers: [bearer('free')] }],
    [404, 'path_unknown', '/slurm/v0.0.42/nope?x=1', { method: 'PATCH', headers: [bearer('reader')] }],
    [404, 'path_unknown', '/__proto__', { headers: [munge] }],
    [405, 'method_not_allowed', `${JOBS}?x=1`, { method: 'PUT', headers: [bearer('reader')] }],
    [405, 'method_not_allowed', '/openapi/v3', post('{}', bearer('free'))],
    [404, 'path_id_malformed', '/slurm/v0.0.42/job/01?x=1', { method: 'DELETE', headers: [bearer('reader')] }],
    [403, 'insufficient_scope', `${SUBMIT}?x=1`, post('{', bearer('reader'))],
    [403, 'insufficient_scope', '/slurm/v0.0.42/reconfigure', { headers: [bearer('free')] }],
    [403, 'operation_closed', '/slurm/v0.0.42/job/allocate', post('{', bearer('free'))],
    [403, 'operation_closed', '/slurm/v0.0.42/jobs/', { method: 'DELETE', headers: [bearer('bound')] }],
    [400, 'query_not_allowed', `${JOBS}?bogus=1`, { headers: [bearer('free')] }],
    [400, 'query_on_post', `${SUBMIT}?x=1`, { method: 'POST', headers: [bearer('free'), ['Content-Type', 'x/y']], body: '{' }],
    [400, 'body_not_allowed', '/slurm/v0.0.42/job/7', { method: 'DELETE', headers: [munge, json], body: '{}' }],
    [415, 'content_type_unsupported', SUBMIT, { method: 'POST', headers: [bearer('free'), ['Content-Type', 'x/y']], body: 'x'.repeat(2000) }],
    [413, 'body_too_large', SUBMIT, post('{'.repeat(2000), bearer('free'))],
    [400, 'json_malformed', SUBMIT, post('{"job":{"account":"oth"}', bearer('bound'))],
    [403, 'account_mismatch', SUBMIT, post('{"job":{"account":"oth"}}', bearer('bound'))],
  ])('%i %s: %s', async (status, rule, target, init) => {
    const gate = createInMemoryGate()
    const answer = await gate.send(target, init)
    expect([answer.status, answer.rule]).toEqual([status, rule])
    expect(gate.world.sent).toEqual([])
    expect(answer.headers.get('www-authenticate') !== null).toBe(status === 401 || rule === 'insufficient_scope')
    expect(answer.headers.get('x-request-id')).toBe('ab'.repeat(16))
    expect(JSON.stringify(gate.log.lines) + answer.text).not.toMatch(/aaaaa|ddddd|zzzzz|eyJ/)
  }) // prettier-ignore

  it.each(['HEAD', 'OPTIONS'])('405 for %s without CORS, on public and other paths', async (method) => {
    const gate = createInMemoryGate()
    for (const target of ['/ping', JOBS, '/openapi/v3']) {
      const answer = await gate.send(target, {
        method,
        headers: [bearer('free'), ['Origin', 'https://x.example']],
      })
      expect(answer.status).toBe(405)
      expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    }
    expect(gate.world.sent).toEqual([])
  })

  it('a refused form asks neither the store nor the verifier', async () => {
    const gate = createInMemoryGate()
    for (const headers of [[], [bearer('free'), bearer('free')], [['Authorization', 'Basic x']]] as (readonly [string, string])[][]) await gate.send(JOBS, { headers })
    expect([gate.world.lookups, gate.world.claims]).toEqual([0, 0])
  }) // prettier-ignore

  it('a body on GET /openapi/v3 and /meta/whoami is one where none belongs', async () => {
    const gate = createInMemoryGate()
    for (const target of ['/openapi/v3', '/meta/whoami']) {
      const headers = [bearer('free'), json, ['Content-Length', '2'] as const]
      expect((await gate.send(target, { headers })).rule).toBe('body_not_allowed')
    }
    expect(gate.world.sent).toEqual([])
  })
})

describe('MUNGE', () => {
  it.each([
    ['munge_off', { isMungeOff: true }],
    ['munge_client_address_unknown', { peer: null }],
  ])('is 401 %s', async (rule, more) => {
    const gate = createInMemoryGate(more)
    expect(await gate.send(JOBS, { headers: [munge] })).toMatchObject({ status: 401, rule })
    expect([gate.world.sent, gate.world.claims]).toEqual([[], 0])
  })

  it('a credential that another verifier has seen is replayed, and a denied user uses none up', async () => {
    const gate = createInMemoryGate()
    gate.world.claim = () => false
    expect(await gate.send(JOBS, { headers: [munge] })).toMatchObject({ status: 401, rule: 'munge_replayed' })
    gate.world.verify = () => ({
      user: 'root',
      uid: 1002,
      credentialDigest: 'y',
      expiresAt: 0,
      boundDigest: null,
    })
    expect(await gate.send(JOBS, { headers: [munge] })).toMatchObject({
      status: 401,
      rule: 'munge_user_denied',
    })
    gate.world.verify = () => refuse('munge_expired')
    expect(await gate.send(JOBS, { headers: [munge] })).toMatchObject({ status: 401, rule: 'munge_expired' })
    expect([gate.world.sent, gate.world.claims]).toEqual([[], 1])
  })
})

describe('what goes upstream', () => {
  it('is built from parsed parts under our own token: of the client’s headers nothing is copied', async () => {
    const gate = createInMemoryGate()
    const headers = [
      bearer('free'), ['X-SLURM-USER-NAME', 'palmapi_bearer'], ['X-Slurm-Other', 'root'], ['Cookie', 'x'], ['Keep-Alive', '5'], ['Expect', '100-continue'],
      ['X-Forwarded-For', '127.0.0.1'], ['Accept-Encoding', 'gzip'], ['Accept', 'text/html, */*'], ['Host', 'evil.example'], ['Connection', 'close'],
    ] as const // prettier-ignore
    const answer = await gate.send('//slurm/latest//jobs/?flags=%44ETAIL', { headers })
    expect([answer.status, answer.headers.get('x-slurm-api-version')]).toEqual([200, 'v0.0.42'])
    const [sent] = gate.world.sent
    expect(sent).toMatchObject({ method: 'GET', target: '/slurm/v0.0.42/jobs?flags=DETAIL', body: null })
    expect(Object.keys(sent?.headers ?? {}).sort()).toEqual([
      'accept',
      'x-slurm-user-name',
      'x-slurm-user-token',
    ])
    expect(sent?.headers['x-slurm-user-name']).toBe('alice')
    const options = { algorithms: ['HS256'], currentDate: new Date(NOW) }
    const { payload } = await jwtVerify(sent?.headers['x-slurm-user-token'] ?? '', SLURM_KEY, options)
    expect(payload).toEqual({ sun: 'alice', iat: NOW / 1000, exp: NOW / 1000 + 120 })
  })

  it('of a MUNGE caller is the original bytes, of a restricted token our own with its account in lower case', async () => {
    const gate = createInMemoryGate()
    const text = '{"job":{"name":"x",},}'
    await gate.send(SUBMIT, post(text, munge))
    await gate.send(SUBMIT, post(text, bearer('bound')))
    const bodies = gate.world.sent.map(({ body }) => new TextDecoder().decode(body ?? new Uint8Array()))
    expect(bodies).toEqual([text, '{"job":{"name":"x","account":"own"}}'])
    expect(gate.world.sent.map(({ headers }) => headers['content-type'])).toEqual(['application/json', 'application/json'])
  }) // prettier-ignore

  it('comes after the decision’s audit line, and a job that is foreign is looked at but never written to', async () => {
    const gate = createInMemoryGate()
    await gate.send('/slurm/v0.0.42/job/7', { method: 'DELETE', headers: [bearer('free')] })
    expect(gate.events).toEqual(['decision token_scope', 'DELETE /slurm/v0.0.42/job/7', 'upstream 200'])
    gate.events.length = 0
    gate.world.answer = () => buildAnswer(200, { jobs: [{ job_id: 7, account: 'oth' }], errors: [] })
    expect((await gate.send('/slurm/v0.0.42/job/7', { method: 'DELETE', headers: [bearer('bound')] })).rule).toBe('account_mismatch')
    expect(gate.events).toEqual(['GET /slurm/v0.0.42/job/7', 'decision account_mismatch'])
  }) // prettier-ignore

  it('keeps admin scopes shut unless they are on, though the row carries one', async () => {
    const gate = createInMemoryGate({ areAdminScopesOn: true })
    expect((await gate.send('/slurm/v0.0.42/reconfigure', { headers: [bearer('free')] })).status).toBe(200)
    expect((await gate.send('/slurm/v0.0.42/reconfigure', { headers: [bearer('bound')] })).rule).toBe(
      'operation_closed',
    )
  })

  it('is stripped of the base path, outside of which there is nothing, not even /ping', async () => {
    const gate = createInMemoryGate({ basePath: '/api/x' })
    expect((await gate.send('/api/x/ping')).text).toBe('pong')
    expect((await gate.send('/api//x//slurm/v0.0.42/jobs', { headers: [bearer('free')] })).status).toBe(200)
    for (const target of ['/ping', '/api/ping', '/api/xx/ping', JOBS])
      expect((await gate.send(target)).status).toBe(401)
    expect((await gate.send(JOBS, { headers: [bearer('free')] })).rule).toBe('path_unknown')
    expect(gate.world.sent.map(({ target }) => target)).toEqual([JOBS])
  })

  it('gives its slot back, whatever becomes of it', async () => {
    const gate = createInMemoryGate()
    const answers = [() => Promise.reject(new Outage('upstream_unreachable', 'x')), () => buildAnswer(401, 'x', 'text/plain'), () => buildAnswer(500, buildSlurmErrors(1007)),
      () => buildAnswer(204, ''), () => buildAnswer(200, 'x'), () => ({ status: 200, contentType: null, contentLength: null, body: null })] // prettier-ignore
    for (const answer of answers) {
      gate.world.answer = answer
      for (let round = 0; round < 5; round++) await gate.send(JOBS, { headers: [bearer('free')] })
    }
    const all = await Promise.race([Promise.all([1, 2, 3, 4].map(() => gate.slots.take({ caller: 'somebody else', isAccounting: false }))), new Promise((resolve) => setTimeout(resolve, 500, null))])
    expect(all).toHaveLength(4)
  }) // prettier-ignore
})
