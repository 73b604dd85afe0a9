/** SECURITY "What is guaranteed": a MUNGE credential that is bound to a request is worth nothing for another one. */

import { describe, expect, it } from 'vitest'
import { digestRequest } from '../../src/munge/binding-payload.ts'
import { refuse } from '../../src/refusal.ts'
import { bearer, createInMemoryGate, json, munge, NOW, type GateRequestInit } from './in-memory-gate.ts'
import { encode } from './in-memory-ports.ts'

const JOBS = '/slurm/v0.0.42/jobs?flags=DETAIL&update_time=1'
const SUBMIT = '/slurm/v0.0.42/job/submit'
const BODY = '{"job":{"name":"x"}}'
const GET: GateRequestInit = { headers: [munge] }
const POST: GateRequestInit = { method: 'POST', headers: [munge, json], body: BODY }

type Gate = ReturnType<typeof createInMemoryGate>

/** The next credentials are bound to this request; `null`: to none. */
async function bind(gate: Gate, bound: readonly [method: string, target: string, body?: string] | null) {
  const [method, target, body = ''] = bound ?? ['', '']
  const boundDigest = bound === null ? null : await digestRequest({ method, target, body: encode(body) })
  const identity = { user: 'alice', uid: 1001, credentialDigest: 'x', expiresAt: NOW / 1000 + 5 }
  gate.world.verify = () => ({ ...identity, boundDigest })
}

async function createBoundGate(...bound: [method: string, target: string, body?: string]) {
  const gate = createInMemoryGate()
  await bind(gate, bound)
  return gate
}

describe('a bound credential', () => {
  it('is taken with its request, and slurmrestd is sent the bytes that were bound', async () => {
    const gate = await createBoundGate('POST', SUBMIT, BODY)
    expect((await gate.send(SUBMIT, POST)).status).toBe(200)
    const [sent] = gate.world.sent
    expect(new TextDecoder().decode(sent?.body ?? new Uint8Array())).toBe(BODY)
    expect(gate.events).toEqual(['decision munge_user', `POST ${SUBMIT}`, 'upstream 200'])
    expect(gate.log.lines[0]?.fields).toMatchObject({ credential: 'munge', is_bound: true })
  })

  it('is taken with a read, query and all, and with a write that has no body', async () => {
    const reading = await createBoundGate('GET', JOBS)
    expect((await reading.send(JOBS, GET)).status).toBe(200)
    const cancelling = await createBoundGate('DELETE', '/slurm/latest/job/17')
    expect((await cancelling.send('/slurm/latest/job/17', { ...GET, method: 'DELETE' })).status).toBe(200)
  })

  it('is bound to the target as it was sent, however the gate reads that', async () => {
    for (const target of ['//slurm//latest/jobs/', '/slurm/latest/./jobs', '/slurm/%6Catest/jobs?', '/slurm/latest/jobs?&&']) {
      const gate = await createBoundGate('GET', target)
      expect((await gate.send(target, GET)).status, target).toBe(200)
      await bind(gate, ['GET', '/slurm/latest/jobs'])
      expect((await gate.send(target, GET)).rule, target).toBe('munge_request_mismatch')
    }
  }) // prettier-ignore

  it('is bound to the base path too: the target is the one that the gate receives', async () => {
    const gate = createInMemoryGate({ basePath: '/api/x' })
    await bind(gate, ['GET', '/api/x/slurm/latest/jobs'])
    expect((await gate.send('/api/x/slurm/latest/jobs', GET)).status).toBe(200)
    await bind(gate, ['GET', '/slurm/latest/jobs'])
    expect((await gate.send('/api/x/slurm/latest/jobs', GET)).rule).toBe('munge_request_mismatch')
  })

  it.each<[string, string, GateRequestInit]>([
    ['another method', '/slurm/v0.0.42/job/17', { ...GET, method: 'DELETE' }],
    ['another path', '/slurm/v0.0.42/job/18', GET],
    ['another version', '/slurm/latest/job/17', GET],
    ['a trailing slash', '/slurm/v0.0.42/job/17/', GET],
    ['a doubled slash', '//slurm/v0.0.42/job/17', GET],
    ['percent-encoding', '/slurm/v0.0.42/job/%317', GET],
    ['a dot segment', '/slurm/v0.0.42/job/./17', GET],
    ['a question mark', '/slurm/v0.0.42/job/17?', GET],
    ['a query', '/slurm/v0.0.42/job/17?flags=DETAIL', GET],
    ['a body', '/slurm/v0.0.42/job/17', { headers: [munge, json, ['Content-Length', '2']] }],
    [
      'an empty body in chunks',
      '/slurm/v0.0.42/job/17',
      { headers: [munge, ['Transfer-Encoding', 'chunked']] },
    ],
    ['one of our own paths', '/meta/whoami', GET],
    ['a path that does not exist', '/nothing', GET],
    ['a version that is not served', '/slurm/v0.0.99/job/17', GET],
    ['a path outside of ours', '/slurm/v0.0.42/%00', GET],
  ])('for GET /slurm/v0.0.42/job/17 is 401 with %s, and nothing is forwarded', async (_, target, init) => {
    const gate = await createBoundGate('GET', '/slurm/v0.0.42/job/17')
    const answer = await gate.send(target, init)
    expect(answer).toMatchObject({ status: 401, rule: 'munge_request_mismatch' })
    expect(answer.headers.get('www-authenticate')).toContain('MUNGE')
    expect(gate.world.sent).toEqual([])
    expect(gate.events).toEqual(['decision munge_request_mismatch'])
  })

  it('for a query is 401 with the same parameters in another order, or one encoded', async () => {
    const gate = await createBoundGate('GET', JOBS)
    for (const query of ['?update_time=1&flags=DETAIL', '?flags=%44ETAIL&update_time=1', '?flags=DETAIL&update_time=2', ''])
      expect((await gate.send(`/slurm/v0.0.42/jobs${query}`, GET)).rule).toBe('munge_request_mismatch')
    expect(gate.world.sent).toEqual([])
  }) // prettier-ignore

  it('for a body is 401 with one bit of it changed, with less, more or none of it', async () => {
    const gate = await createBoundGate('POST', SUBMIT, BODY)
    for (const body of [BODY.replace('x', 'y'), BODY.slice(0, -1), `${BODY} `, `${BODY}\n`, '', '{"job":{"name":"X"}}'])
      expect((await gate.send(SUBMIT, { ...POST, body })).rule, body).toBe('munge_request_mismatch')
    expect((await gate.send(SUBMIT, { method: 'POST', headers: [munge, json] })).rule).toBe('munge_request_mismatch')
    expect(gate.world.sent).toEqual([])
  }) // prettier-ignore

  it('is 401 wherever its digest differs, be it in one character', async () => {
    const digest = await digestRequest({ method: 'GET', target: JOBS, body: encode('') })
    const gate = createInMemoryGate()
    const identity = { user: 'alice', uid: 1001, credentialDigest: 'x', expiresAt: NOW / 1000 + 5 }
    for (let index = 0; index < digest.length; index += 1) {
      const other = digest[index] === '0' ? '1' : '0'
      const boundDigest = digest.slice(0, index) + other + digest.slice(index + 1)
      gate.world.verify = () => ({ ...identity, boundDigest })
      expect((await gate.send(JOBS, GET)).rule, boundDigest).toBe('munge_request_mismatch')
    }
    expect(gate.world.sent).toEqual([])
  })

  it('is used up by a request it does not fit', async () => {
    const gate = await createBoundGate('GET', JOBS)
    await gate.send('/slurm/v0.0.42/jobs', GET)
    expect(gate.world.claims).toBe(1)
  })

  it('that fits is refused for what it always would be, in the same order', async () => {
    for (const [target, init, rule] of [
      ['/slurm/v0.0.99/jobs', GET, 'version_not_served'],
      ['/nothing', GET, 'path_unknown'],
      ['/slurm/v0.0.42/jobs', { ...GET, method: 'PUT' }, 'method_not_allowed'],
      ['/slurm/v0.0.42/jobs?x=1', GET, 'query_not_allowed'],
      [SUBMIT, { ...POST, headers: [munge] }, 'content_type_unsupported'],
      [SUBMIT, { ...POST, body: '{' }, 'json_malformed'],
    ] as const) {
      const gate = await createBoundGate(
        'method' in init ? (init.method ?? '') : 'GET',
        target,
        'body' in init ? init.body : '',
      )
      expect((await gate.send(target, init)).rule, target).toBe(rule)
      expect(gate.world.sent).toEqual([])
    }
  })

  it('whose body is too large, or in a coding, is told so: it cannot be compared', async () => {
    const body = 'x'.repeat(1001)
    const gate = await createBoundGate('POST', SUBMIT, body)
    expect(await gate.send(SUBMIT, { ...POST, body })).toMatchObject({ status: 413, rule: 'body_too_large' })
    const coded: GateRequestInit = { ...POST, headers: [munge, json, ['Transfer-Encoding', 'gzip, chunked']] }
    expect(await gate.send(SUBMIT, coded)).toMatchObject({ status: 400, rule: 'body_malformed' })
    expect(gate.world.sent).toEqual([])
  })

  it('is never compared before it is known whose it is', async () => {
    const gate = await createBoundGate('GET', JOBS)
    gate.world.claim = () => false
    expect((await gate.send('/slurm/v0.0.42/jobs', GET)).rule).toBe('munge_replayed')
    gate.world.verify = () => refuse('munge_expired')
    expect((await gate.send('/slurm/v0.0.42/jobs', GET)).rule).toBe('munge_expired')
  })

  it('counts on our own paths too', async () => {
    const question = '{"method":"GET","path":"/slurm/latest/jobs"}'
    for (const [method, target, body] of [
      ['GET', '/meta/whoami', ''],
      ['GET', '/openapi/v3', ''],
      ['POST', '/meta/explain', question],
    ] as const) {
      const gate = await createBoundGate(method, target, body)
      const init = { method, headers: [munge, json], ...(body !== '' && { body }) }
      expect((await gate.send(target, init)).status, target).toBe(200)
      await bind(gate, [method, target, `${body} `])
      gate.world.sent.length = 0
      expect((await gate.send(target, init)).rule, target).toBe('munge_request_mismatch')
      expect(gate.world.sent).toEqual([])
    }
  })
})

describe('MUNGE_REQUIRE_BINDING=writes', () => {
  const WRITES: readonly (readonly [string, GateRequestInit])[] = [
    [SUBMIT, POST],
    ['/slurm/v0.0.42/job/17', { ...GET, method: 'DELETE' }],
    ['/slurm/v0.0.42/reconfigure', GET],
    ['/slurm/v0.0.45/job/17/requeue', GET],
    ['/slurmdb/v0.0.42/qos', { ...POST, body: '{}' }],
  ]

  it.each(WRITES)(
    '%s needs a bound credential: a bare one is 401 in words that help',
    async (target, init) => {
      const gate = createInMemoryGate({ areWritesBound: true })
      gate.world.findVersions = () => [42, 45]
      const answer = await gate.send(target, init)
      expect(answer).toMatchObject({ status: 401, rule: 'munge_binding_required' })
      expect(answer.text).toContain('slurmgate munge-header')
      expect(answer.headers.get('www-authenticate')).toContain('MUNGE')
      expect(gate.events).toEqual(['decision munge_binding_required'])
      expect(gate.world.sent).toEqual([])
      await bind(gate, [init.method ?? 'GET', target, init.body ?? ''])
      expect((await gate.send(target, init)).status).toBe(200)
    },
  )

  it('leaves reads and our own paths to bare credentials', async () => {
    const gate = createInMemoryGate({ areWritesBound: true })
    for (const target of [JOBS, '/slurmdb/latest/jobs', '/meta/whoami', '/openapi/v3'])
      expect((await gate.send(target, GET)).status, target).toBe(200)
  })

  it('comes after path and method, before the body', async () => {
    const gate = createInMemoryGate({ areWritesBound: true })
    expect((await gate.send('/nothing', POST)).rule).toBe('path_unknown')
    expect((await gate.send(SUBMIT, GET)).rule).toBe('method_not_allowed')
    expect((await gate.send(SUBMIT, { ...POST, body: '{' })).rule).toBe('munge_binding_required')
  })

  it('is told by an explanation, as the caller’s credential is', async () => {
    const gate = createInMemoryGate({ areWritesBound: true })
    const body = '{"method":"DELETE","path":"/slurm/v0.0.42/job/17"}'
    const bare = await gate.send('/meta/explain', { ...POST, body })
    expect(JSON.parse(bare.text)).toMatchObject({ decision: 'refused', rule: 'munge_binding_required' })
    await bind(gate, ['POST', '/meta/explain', body])
    const bound = await gate.send('/meta/explain', { ...POST, body })
    expect(JSON.parse(bound.text)).toMatchObject({ decision: 'allowed', rule: 'munge_user' })
  })

  it('says nothing about API tokens', async () => {
    const gate = createInMemoryGate({ areWritesBound: true })
    const init = { ...POST, headers: [bearer('free'), json] }
    expect((await gate.send(SUBMIT, init)).status).toBe(200)
  })

  it('is off by default: a bare credential may write', async () => {
    const gate = createInMemoryGate()
    expect((await gate.send(SUBMIT, POST)).status).toBe(200)
    expect(gate.log.lines[0]?.fields).toMatchObject({ credential: 'munge', is_bound: false })
  })
})
