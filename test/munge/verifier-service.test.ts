/** Gateway side and service over a `fetch` in memory; munged and names are counted, so that no question goes unseen. */

import { expect, test } from 'vitest'
import { createVerifierEnd } from '../../src/munge/exchange.ts'
import { type Fetch } from '../../src/munge/verifier-channel.ts'
import { buildRemoteVerifier } from '../support/remote-verifier.ts'
import type { CredentialVerifier } from '../../src/munge/verify-credential.ts'
import { createVerifierService } from '../../src/munge/verifier-service.ts'
import type { ClientAddress, MungeVerifier, UnclaimedIdentity } from '../../src/ports.ts'
import { Outage, refuse, type Refusal } from '../../src/refusal.ts'
import { parseCredentialString } from '../../src/munge/credential-string.ts'

const KEY = new Uint8Array(32).fill(1)
const OTHER_KEY = new Uint8Array(32).fill(2)
const CREDENTIAL = `MUNGE:${Buffer.alloc(60, 7).toString('base64')}:`
const CLIENT: ClientAddress = { address: '10.0.0.7', isDirectLoopback: false, hostAddresses: [] }
const NOW = 1_800_000_000_000

type Decide = (credential: string, client: ClientAddress) => Promise<UnclaimedIdentity | Refusal>

async function acceptAlice(credential: string): Promise<UnclaimedIdentity> {
  const parsed = await parseCredentialString(credential)
  return {
    user: 'alice',
    uid: 1234,
    credentialDigest: parsed?.digest ?? '',
    expiresAt: NOW / 1000 + 5,
    boundDigest: null,
  }
}

function setUp(
  options: {
    decide?: Decide
    check?: () => Promise<void>
    gatewayKey?: Uint8Array<ArrayBuffer>
    whenWritten?: () => Promise<void> | null
  } = {},
) {
  const asked: { credential: string; client: ClientAddress }[] = []
  const lines: Record<string, unknown>[] = []
  const sent: { url: string; body: string }[] = []
  let checks = 0
  const inner: CredentialVerifier = {
    verify: (credential, client) => {
      asked.push({ credential, client })
      return (options.decide ?? acceptAlice)(credential, client)
    },
    check: () => {
      checks += 1
      return options.check?.() ?? Promise.resolve()
    },
  }
  const clock = { now: NOW }
  const service = createVerifierService({
    end: createVerifierEnd({ keys: [KEY], clock: () => clock.now }),
    verifier: inner,
    signer: null,
    questionsPerSecond: 0,
    clock: () => clock.now,
    log: {
      write: (level, event, fields) => void lines.push({ level, event, ...fields }),
      whenWritten: options.whenWritten ?? (() => null),
    },
  })
  const fetchService: Fetch = async (url, init) => {
    sent.push({ url, body: typeof init.body === 'string' ? init.body : '' })
    return await service.request(url, init)
  }
  const buildRemote = (fetch: Fetch = fetchService): MungeVerifier =>
    buildRemoteVerifier({
      url: new URL('http://127.0.0.1:8081/base/'),
      keys: [options.gatewayKey ?? KEY],
      fetch: (url, init) => fetch(url.replace('/base/', '/'), init),
      clock: () => clock.now,
      randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    })
  return { service, buildRemote, fetchService, asked, lines, sent, clock, checks: () => checks }
}

const post = (body: string): RequestInit => ({ method: 'POST', body })

async function findOutage(promise: Promise<unknown>): Promise<unknown> {
  const error: unknown = await promise.catch((caught: unknown) => caught)
  return error instanceof Outage ? error.rule : error
}

test('a credential is judged for the client the gateway saw, and the identity comes back', async () => {
  const { buildRemote, asked } = setUp()
  expect(await buildRemote().verify(CREDENTIAL, CLIENT)).toEqual(await acceptAlice(CREDENTIAL))
  expect(asked).toEqual([{ credential: CREDENTIAL, client: CLIENT }])
})

test("a refusal comes back with its rule and the verifier's own words", async () => {
  const refusal = refuse('munge_ttl_too_long', { description: 'this credential lives 300 s' })
  const { buildRemote } = setUp({ decide: () => Promise.resolve(refusal) })
  expect(await buildRemote().verify(CREDENTIAL, CLIENT)).toEqual(refusal)
})

test('an outage of munged or of the names comes back as that outage', async () => {
  for (const rule of ['munged_unavailable', 'names_unavailable'] as const) {
    const { buildRemote } = setUp({ decide: () => Promise.reject(new Outage(rule, 'down')) })
    expect(await findOutage(buildRemote().verify(CREDENTIAL, CLIENT))).toBe(rule)
  }
})

test.each([
  ['an identity', {}],
  ['a refusal', { decide: () => Promise.resolve(refuse('munge_expired')) }],
  ['an outage', { decide: () => Promise.reject(new Outage('munged_unavailable', 'down')) }],
  ['a bug', { decide: () => Promise.reject(new TypeError('a bug')) }],
  ['no for a stranger', { gatewayKey: OTHER_KEY }],
] as const)('%s is answered only when its line is written', async (_, options) => {
  let release = (): void => undefined
  const written = new Promise<void>((resolve) => (release = resolve))
  const { buildRemote, fetchService } = setUp({ ...options, whenWritten: () => written })
  let isAnswered = false
  const remote = buildRemote(async (url, init) => {
    const response = await fetchService(url, init)
    isAnswered = true
    return response
  })
  const verdict = remote.verify(CREDENTIAL, CLIENT).catch(() => undefined)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(isAnswered).toBe(false)
  release()
  await verdict
  expect(isAnswered).toBe(true)
})

test('a malformed credential is refused without a call', async () => {
  const { buildRemote, sent } = setUp()
  expect(await buildRemote().verify(`${CREDENTIAL} `, CLIENT)).toMatchObject({ rule: 'munge_malformed' })
  expect(sent).toEqual([])
})

test('no oracle: whoever lacks the key gets 401 and munged is never asked', async () => {
  const { service, asked, buildRemote, sent, lines, clock } = setUp()
  await buildRemote().verify(CREDENTIAL, CLIENT)
  const genuine = JSON.parse(sent[0]?.body ?? '{}') as { credential: string; request: string }
  asked.length = 0
  const [header = '', payload = '', signature = ''] = genuine.request.split('.')
  const other = `MUNGE:${Buffer.alloc(60, 8).toString('base64')}:`
  const bodies = [
    '',
    'hello',
    '[]',
    '{}',
    JSON.stringify({ credential: CREDENTIAL }),
    JSON.stringify({ credential: CREDENTIAL, request: 5 }),
    JSON.stringify({ credential: 5, request: genuine.request }),
    JSON.stringify({ credential: CREDENTIAL, request: '' }),
    JSON.stringify({ credential: CREDENTIAL, request: `${header}.${payload}.` }),
    JSON.stringify({
      credential: CREDENTIAL,
      request: `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    }),
    JSON.stringify({ credential: other, request: genuine.request }),
    JSON.stringify({ request: genuine.request }),
  ]
  for (const body of bodies) {
    const response = await service.request('/verify', post(body))
    expect(response.status, body).toBe(401)
    expect(await response.text()).toBe('unauthorized\n')
  }
  clock.now = NOW + 6000
  expect((await service.request('/verify', post(JSON.stringify(genuine)))).status).toBe(401)
  expect(asked).toEqual([])
  expect(JSON.stringify(lines)).not.toContain(CREDENTIAL.slice(6, 30))
})

test('a gateway with another key is told by its own outage, not by a refusal of its caller', async () => {
  const { buildRemote, asked } = setUp({ gatewayKey: OTHER_KEY })
  expect(await findOutage(buildRemote().verify(CREDENTIAL, CLIENT))).toBe('verifier_unavailable')
  expect(asked).toEqual([])
})

test('a body over 16 KiB is 413 unread, whether or not it says its length', async () => {
  const { service, asked } = setUp()
  const body = JSON.stringify({ credential: CREDENTIAL, request: 'A'.repeat(17_000) })
  expect((await service.request('/verify', post(body))).status).toBe(413)
  const stream = new Blob([body]).stream()
  const chunked = new Request('http://verifier/verify', {
    method: 'POST',
    body: stream,
    duplex: 'half',
  })
  expect((await service.request(chunked)).status).toBe(413)
  expect(asked).toEqual([])
})

test.each([
  ['unsigned', () => new Response('{"user":"root"}')],
  ['empty', () => new Response('')],
  ['too long', () => new Response('A'.repeat(9000))],
  ['a redirect', () => new Response(null, { status: 302, headers: { location: 'http://127.0.0.1:1/' } })],
  ['an error', () => new Response('no', { status: 500 })],
])('an answer that is %s is an outage', async (_what, answer) => {
  const remote = setUp().buildRemote(() => Promise.resolve(answer()))
  expect(await findOutage(remote.verify(CREDENTIAL, CLIENT))).toBe('verifier_unavailable')
  expect(await findOutage(remote.check())).toBe('verifier_unavailable')
})

test('an answer replayed to another request is an outage, and so is the request reflected', async () => {
  const { buildRemote, fetchService } = setUp()
  let recorded = ''
  await buildRemote(async (url, init) => {
    const response = await fetchService(url, init)
    recorded = await response.clone().text()
    return response
  }).verify(CREDENTIAL, CLIENT)
  const replaying = buildRemote(() => Promise.resolve(new Response(recorded)))
  expect(await findOutage(replaying.verify(CREDENTIAL, CLIENT))).toBe('verifier_unavailable')
  const reflecting = buildRemote((_url, init) => {
    const { request } = JSON.parse(typeof init.body === 'string' ? init.body : '{}') as { request: string }
    return Promise.resolve(new Response(request))
  })
  expect(await findOutage(reflecting.verify(CREDENTIAL, CLIENT))).toBe('verifier_unavailable')
})

test('an identity for another credential than the one sent is an outage', async () => {
  const { buildRemote } = setUp({
    decide: async () => await acceptAlice(`MUNGE:${Buffer.alloc(60).toString('base64')}:`),
  })
  expect(await findOutage(buildRemote().verify(CREDENTIAL, CLIENT))).toBe('verifier_unavailable')
})

test('a failed call is an outage and is never sent again', async () => {
  let calls = 0
  const remote = setUp().buildRemote(() => {
    calls += 1
    return Promise.reject(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') }))
  })
  expect(await findOutage(remote.verify(CREDENTIAL, CLIENT))).toBe('verifier_unavailable')
  expect(calls).toBe(1)
})

test('a verifier that does not answer is an outage after the timeout, given to the call as its signal', async () => {
  const remote = buildRemoteVerifier({
    url: new URL('http://127.0.0.1:8081'),
    keys: [KEY],
    fetch: (_url, init) =>
      new Promise((_resolve, reject) => {
        init.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error))
      }),
    clock: () => NOW,
    randomBytes: (length) => new Uint8Array(length),
    timeoutMilliseconds: 50,
  })
  expect(await findOutage(remote.verify(CREDENTIAL, CLIENT))).toBe('verifier_unavailable')
})

test('the check is signed like a verification: it tells a wrong key, and an outage of munged', async () => {
  const healthy = setUp()
  await healthy.buildRemote().check()
  expect(healthy.asked).toEqual([])
  expect(await findOutage(setUp({ gatewayKey: OTHER_KEY }).buildRemote().check())).toBe(
    'verifier_unavailable',
  )
  const down = setUp({ check: () => Promise.reject(new Outage('munged_unavailable', 'down')) })
  expect(await findOutage(down.buildRemote().check())).toBe('munged_unavailable')
})

test('readiness asks munged at most once a second, health never', async () => {
  const { service, clock, checks } = setUp()
  await Promise.all(Array.from({ length: 20 }, async () => await service.request('/readyz')))
  expect((await service.request('/healthz')).status).toBe(200)
  expect(checks()).toBe(1)
  clock.now += 1000
  const ready = await service.request('/readyz')
  expect([ready.status, await ready.json()]).toEqual([200, { ready: true, outage: null }])
  expect(checks()).toBe(2)
})

test('readiness names what does not answer with 503', async () => {
  const { service } = setUp({ check: () => Promise.reject(new Outage('names_unavailable', 'down')) })
  const response = await service.request('/readyz')
  expect([response.status, await response.json()]).toEqual([
    503,
    { ready: false, outage: 'names_unavailable' },
  ])
})

test('everything else is 404', async () => {
  const { service } = setUp()
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/verify'],
    ['PUT', '/verify'],
    ['POST', '/healthz'],
    ['POST', '/verify/x'],
  ] as const) {
    expect((await service.request(path, { method })).status, `${method} ${path}`).toBe(404)
  }
})

test('a failure of our own is 500, unsigned, and an outage for the gateway', async () => {
  const { buildRemote, lines } = setUp({ decide: () => Promise.reject(new Error('bug')) })
  expect(await findOutage(buildRemote().verify(CREDENTIAL, CLIENT))).toBe('verifier_unavailable')
  expect(lines).toMatchObject([{ level: 'error', event: 'verifier_failed' }])
})
