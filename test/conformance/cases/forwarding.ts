/** What slurmrestd gets to see of a request: the listed headers, a Slurm token of our own, each write once. */

import { expect } from 'vitest'
import { waitUntil } from '../../support/program.ts'
import type { RawHeader } from '../../support/raw-http.ts'
import type { RecordedRequest } from '../../support/fake-slurmrestd.ts'
import { verifySlurmJwt } from '../../support/slurm-jwt.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectOutage, readJson, readSent } from '../expect-answer.ts'
import type { TokenName } from '../issued-tokens.ts'
import { postJson } from '../post-json.ts'

const SOURCE =
  'slurm.md: mint one short token per caller; strip every client X-SLURM-* and Authorization header'
const SUBMIT = '/slurm/v0.0.42/job/submit'

const ALLOWED = [
  'host',
  'connection',
  'accept',
  'accept-encoding',
  'user-agent',
  'content-type',
  'content-length',
  'x-slurm-user-name',
  'x-slurm-user-token',
]

function buildNoise(canary: string): RawHeader[] {
  return [
    'X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'Via', 'X-Real-IP', 'Cookie', 'Referer', 'Origin',
    'User-Agent', 'X-Slurm-Account', 'X-SLURM-USER-ID', 'X-Request-Id', 'X-HTTP-Method-Override', 'X-Original-URL',
    'Proxy-Authorization', 'If-None-Match', 'TE', 'Trailer', 'Accept-Language', 'X-Anything', 'Upgrade-Insecure',
  ].map((name) => [name, canary] as const) // prettier-ignore
}

/** @returns the claims of the minted token. */
function expectOwnHeaders(bench: Bench, request: RecordedRequest, user: string): void {
  const names = request.headers.map(([name]) => name.toLowerCase())
  const ofRuntime = bench.target.name === 'workerd' ? ['cf-worker', 'cache-control', 'pragma'] : []
  expect(names.filter((name) => ![...ALLOWED, ...ofRuntime].includes(name))).toEqual([])
  expect(new Set(names).size).toBe(names.length)
  expect(readSent(request, 'authorization')).toBeNull()
  expect(readSent(request, 'accept-encoding') ?? 'identity').toBe('identity')
  const token = readSent(request, 'x-slurm-user-token') ?? ''
  bench.world.secrets.add(token)
  const claims = verifySlurmJwt(token, bench.world.slurmKey)
  if (claims === null) throw new Error('the Slurm token is not valid')
  expect(claims.sun).toBe(user)
  expect(readSent(request, 'x-slurm-user-name')).toBe(user)
  const now = Date.now() / 1000
  expect(claims.exp - claims.iat).toBeLessThanOrEqual(120)
  // Used only with at least half its life left (CONTRACT SLURM_JWT_LIFESPAN_SECONDS); a second for the call itself.
  expect(claims.exp - now).toBeGreaterThan(59)
  expect(claims.iat).toBeLessThanOrEqual(now + 1)
}

const headers: readonly ConformanceCase[] = [
  {
    name: 'of what a client sends on GET only the listed headers go on, with a Slurm token of our own',
    source: SOURCE,
    async run(bench) {
      const canary = bench.makeCanary()
      const noise = [...buildNoise(canary), ['X-Slurm-User-Name', 'palmapi_bearer'] as const]
      const request = expectForwarded(bench, await bench.sendAs('free', { headers: noise }))
      expectOwnHeaders(bench, request, bench.userName)
      expect(JSON.stringify([request.target, request.headers])).not.toContain('canary')
      expect(JSON.stringify(request.headers)).not.toContain(bench.tokens.free.text)
    },
  },
  {
    name: 'of what a client sends on POST only the listed headers go on, with a Slurm token of our own',
    source: SOURCE,
    async run(bench) {
      const canary = bench.makeCanary()
      const request = postJson(SUBMIT, '{"job":{"name":"n"}}')
      const sent = { ...request, headers: [...(request.headers ?? []), ...buildNoise(canary)] }
      const forwarded = expectForwarded(bench, await bench.sendAs('jwt', sent))
      expectOwnHeaders(bench, forwarded, bench.userName)
      expect(JSON.stringify(forwarded.headers)).not.toContain('canary')
      expect(readSent(forwarded, 'content-length')).toBe(String(forwarded.body.length))
    },
  },
  {
    name: "a MUNGE caller's credential does not go on, a Slurm token of our own does",
    source: SOURCE,
    async run(bench) {
      const request = expectForwarded(
        bench,
        await bench.sendAsMunge({ headers: buildNoise(bench.makeCanary()) }),
      )
      expectOwnHeaders(bench, request, bench.userName)
      expect(JSON.stringify(request.headers)).not.toMatch(/canary|MUNGE/)
    },
  },
  {
    name: 'a connection to slurmrestd carries no Content-Type or body where there is none',
    source: 'slurm.md: 24.11+ reads parameters from a body if there is one',
    async run(bench) {
      const sent = [['Content-Type', 'application/json'] as const, ['Content-Length', '0'] as const]
      const request = expectForwarded(bench, await bench.sendAs('free', { headers: sent }))
      expect(request.body).toHaveLength(0)
      expect(readSent(request, 'content-length') ?? '0').toBe('0')
    },
  },
]

const identities: readonly ConformanceCase[] = [
  {
    name: 'sixty simultaneous calls of two users are never mixed up, errors in between included',
    source: 'slurm.md: prove it with identities that would notice a mix-up',
    async run(bench) {
      bench.world.upstream.behaviour.doublesErrors = true
      const calls = Array.from({ length: 60 }, async (_, at) => {
        const [token, user] = at % 2 === 0 ? (['bob', 'bob'] as const) : (['free', bench.userName] as const)
        const isError = at % 3 === 0
        const target = isError ? '/slurm/v0.0.42/job/999' : `/slurm/v0.0.42/node/n${String(at)}`
        const answer = await bench.sendAs(token, { target })
        const body = answer.body.toString('utf8')
        expect(answer.status, body).toBe(isError ? 404 : 200)
        expect(readJson(answer)).toMatchObject({ meta: { client: { user } } })
        if (!isError) expect(body).toContain(`"path":"${target}"`)
      })
      await Promise.all(calls)
      for (const request of bench.world.upstream.operations) {
        const user = readSent(request, 'x-slurm-user-name') ?? ''
        expect(verifySlurmJwt(readSent(request, 'x-slurm-user-token') ?? '', bench.world.slurmKey)?.sun).toBe(
          user,
        )
      }
    },
  },
  {
    name: 'UPSTREAM_MAX_CONCURRENCY bounds what slurmrestd gets at once, and everybody is served in the end',
    source: 'CONTRACT UPSTREAM_MAX_CONCURRENCY',
    run: (bench) =>
      bench.withSettings({ UPSTREAM_MAX_CONCURRENCY: '2' }, async (bounded) => {
        expect((await bounded.sendAs('free')).status).toBe(200)
        bounded.reset()
        bounded.world.upstream.behaviour.delayMilliseconds = 40
        const answers = await Promise.all(Array.from({ length: 20 }, () => bounded.sendAs('free')))
        expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(200))
        expect(bounded.world.upstream.peakInFlight).toBeLessThanOrEqual(2)
      }),
  },
  {
    name: 'what one caller sends beyond its share waits and is served, and another caller does not wait for it',
    source: 'README UPSTREAM_MAX_CONCURRENCY_PER_CALLER',
    run: (bench) =>
      bench.withSettings({ UPSTREAM_MAX_CONCURRENCY_PER_CALLER: '2' }, async (shared) => {
        expect((await shared.sendAs('free')).status).toBe(200)
        expect((await shared.sendAs('bob')).status).toBe(200)
        shared.reset()
        const { upstream } = shared.world
        upstream.behaviour.delayMilliseconds = 500
        const served: TokenName[] = []
        const send = async (token: TokenName): Promise<number> => {
          const { status } = await shared.sendAs(token)
          served.push(token)
          return status
        }
        const greedy = Array.from({ length: 8 }, () => send('free'))
        await waitUntil('its share is taken', () => upstream.operations.length === 2)
        const statuses = await Promise.all([...greedy, send('bob')])
        expect(statuses).toEqual(Array<number>(9).fill(200))
        // Two of the first caller's and the other one's; it did not queue up behind six.
        expect(upstream.peakInFlight).toBeLessThanOrEqual(3)
        expect(served.indexOf('bob')).toBeLessThan(6)
      }),
  },
  {
    name: 'by default one caller has 4 slots of slurmrestd, and /slurmdb has 4 of them',
    source: 'README UPSTREAM_MAX_CONCURRENCY_PER_CALLER',
    async run(bench) {
      const { upstream } = bench.world
      for (const target of ['/slurm/v0.0.42/jobs', '/slurmdb/v0.0.42/jobs']) {
        bench.reset()
        upstream.behaviour.delayMilliseconds = 200
        const answers = await Promise.all(Array.from({ length: 10 }, () => bench.sendAs('free', { target })))
        expect(answers.map(({ status }) => status)).toEqual(Array<number>(10).fill(200))
        expect(upstream.peakInFlight).toBeLessThanOrEqual(4)
        expect(upstream.peakInFlight).toBeGreaterThan(1)
      }
    },
  },
  {
    name: 'more than can be queued is shed with 503, not with 401 and not in silence',
    source: 'CONTRACT HTTP, 503: shedding load',
    run: (bench) =>
      bench.withSettings(
        { UPSTREAM_MAX_CONCURRENCY: '1', UPSTREAM_TIMEOUT_SECONDS: '20' },
        async (bounded) => {
          expect((await bounded.sendAs('free')).status).toBe(200)
          bounded.world.upstream.behaviour.delayMilliseconds = 14_000
          const answers = await Promise.all(
            Array.from({ length: 4 }, () => bounded.sendAs('free', { timeoutMilliseconds: 40_000 })),
          )
          const shed = answers.filter(({ status }) => status !== 200)
          expect(shed.length).toBeGreaterThan(0)
          for (const answer of shed) expectOutage(answer, 'overloaded')
        },
      ),
  },
]

const writes: readonly ConformanceCase[] = [
  {
    name: 'a submission whose connection breaks without an answer is sent once',
    source: 'slurm.md: never retry a POST',
    async run(bench) {
      bench.world.upstream.behaviour.cutsAnswerAfterBytes = 0
      const answer = await bench.sendAs('free', postJson(SUBMIT, '{"job":{"name":"n"}}'))
      expectOutage(answer, 'upstream_unreachable')
      expect(bench.world.upstream.operations).toHaveLength(1)
    },
  },
  {
    name: 'a submission that fails with 500 is sent once and its answer passed on',
    source: 'slurm.md: never retry a POST',
    async run(bench) {
      bench.world.upstream.behaviour.answer = () => ({
        status: 500,
        contentType: 'application/json',
        body: '{"errors":[{"error_number":2045,"error":"Invalid account"}]}',
      })
      const answer = await bench.sendAs('free', postJson(SUBMIT, '{"job":{"name":"n"}}'))
      expectForwarded(bench, answer, 500)
      expect(answer.body.toString('utf8')).toContain('2045')
    },
  },
  {
    name: 'an answer that breaks off is not passed on as a whole one',
    source: 'RFC 9112 section 8',
    async run(bench) {
      bench.world.upstream.behaviour.cutsAnswerAfterBytes = 300
      const outcome = await bench.sendAs('free').then(
        (answer) => `${String(answer.status)} ${JSON.stringify(answer.headers)} ${String(answer.body)}`,
        () => 'broken off',
      )
      expect(outcome).toMatch(/^(502 |broken off)/)
    },
  },
]

export const FORWARDING_CASES: readonly ConformanceCase[] = [...headers, ...identities, ...writes]
