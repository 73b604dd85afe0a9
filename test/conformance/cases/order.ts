/** Two faults in one request: the earlier one of the contract's order is answered. */

import { expect } from 'vitest'
import type { Rule } from '../../../src/refusal.ts'
import type { RawAnswer } from '../../support/raw-http.ts'
import type { Bench, SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectNothingForwarded, expectRefusal } from '../expect-answer.ts'
import type { TokenName } from '../issued-tokens.ts'

const SOURCE = 'CONTRACT HTTP, First match wins'
const JSON_BODY = ['Content-Type', 'application/json'] as const
const UNSERVED = '/slurm/v0.0.99/jobs'
const SUBMIT = '/slurm/v0.0.42/job/submit'
const MEBIBYTE = 1024 * 1024

interface Pair {
  readonly wins: Rule
  readonly over: string
  readonly as?: TokenName
  readonly request: SendOptions
}

const PAIRS: readonly Pair[] = [
  { wins: 'credential_missing', over: 'a version not served', request: { target: UNSERVED } },
  { wins: 'credential_missing', over: 'an unknown path', request: { target: '/slurm/v0.0.42/nope' } },
  { wins: 'credential_missing', over: 'a wrong method', request: { method: 'PATCH' } },
  { wins: 'credential_missing', over: 'a malformed query', request: { target: '/slurm/v0.0.42/jobs?%zz' } },
  {
    wins: 'credential_missing',
    over: 'a wrong Content-Type',
    request: { method: 'POST', target: SUBMIT, headers: [['Content-Type', 'text/plain']], body: 'x' },
  },
  {
    wins: 'credential_missing',
    over: 'malformed JSON',
    request: { method: 'POST', target: SUBMIT, headers: [JSON_BODY], body: '{' },
  },
  { wins: 'token_expired', over: 'a version not served', as: 'expired', request: { target: UNSERVED } },
  { wins: 'token_revoked', over: 'an unknown path', as: 'revoked', request: { target: '/nope' } },
  {
    wins: 'version_not_served',
    over: 'an unknown path',
    as: 'free',
    request: { target: '/slurm/v0.0.99/nope' },
  },
  {
    wins: 'version_not_served',
    over: 'a wrong method',
    as: 'free',
    request: { method: 'PUT', target: UNSERVED },
  },
  {
    wins: 'version_not_served',
    over: 'a missing scope',
    as: 'accountingReader',
    request: { target: UNSERVED },
  },
  {
    wins: 'path_unknown',
    over: 'a wrong method',
    as: 'free',
    request: { method: 'PUT', target: '/slurm/v0.0.42/nope' },
  },
  {
    wins: 'path_unknown',
    over: 'a missing scope',
    as: 'accountingReader',
    request: { target: '/slurm/v0.0.42/nope?x=1' },
  },
  {
    wins: 'method_not_allowed',
    over: 'a missing scope',
    as: 'accountingReader',
    request: { method: 'DELETE', target: '/slurm/v0.0.42/diag' },
  },
  {
    wins: 'method_not_allowed',
    over: 'a query and a body',
    as: 'free',
    request: { method: 'PUT', target: '/slurm/v0.0.42/jobs?x=1', body: 'x' },
  },
  {
    wins: 'insufficient_scope',
    over: 'an unknown query parameter',
    as: 'accountingReader',
    request: { target: '/slurm/v0.0.42/jobs?bogus=1' },
  },
  {
    wins: 'insufficient_scope',
    over: 'a body on GET',
    as: 'accountingReader',
    request: { body: '{}' },
  },
  {
    wins: 'insufficient_scope',
    over: 'a query on POST',
    as: 'reader',
    request: { method: 'POST', target: `${SUBMIT}?x=1`, headers: [JSON_BODY], body: '{}' },
  },
  {
    wins: 'insufficient_scope',
    over: 'a wrong Content-Type',
    as: 'reader',
    request: { method: 'POST', target: SUBMIT, headers: [['Content-Type', 'text/plain']], body: 'x' },
  },
  {
    wins: 'operation_closed',
    over: 'malformed JSON',
    as: 'free',
    request: { method: 'POST', target: '/slurm/v0.0.42/job/allocate', headers: [JSON_BODY], body: '{' },
  },
  {
    wins: 'query_on_post',
    over: 'a wrong Content-Type',
    as: 'free',
    request: {
      method: 'POST',
      target: `${SUBMIT}?x=1`,
      headers: [['Content-Type', 'text/plain']],
      body: 'x',
    },
  },
  {
    wins: 'content_type_unsupported',
    over: 'a body that is too large',
    as: 'free',
    request: {
      method: 'POST',
      target: SUBMIT,
      headers: [
        ['Content-Type', 'text/plain'],
        ['Content-Length', String(9 * MEBIBYTE)],
      ],
      framing: 'bare',
    },
  },
  {
    wins: 'body_too_large',
    over: 'malformed JSON',
    as: 'free',
    request: {
      method: 'POST',
      target: SUBMIT,
      headers: [JSON_BODY, ['Content-Length', String(9 * MEBIBYTE)]],
      body: '{{{{',
      framing: 'bare',
    },
  },
  {
    wins: 'json_malformed',
    over: "another's account",
    as: 'confined',
    request: { method: 'POST', target: SUBMIT, headers: [JSON_BODY], body: '{"job":{"account":"proj_b"' },
  },
]

const pairs: readonly ConformanceCase[] = PAIRS.map(({ wins, over, as, request }) => ({
  name: `${wins}${as === undefined ? '' : ` (token ${as})`} wins over ${over}`,
  source: SOURCE,
  async run(bench) {
    const answer = await (as === undefined ? bench.send(request) : bench.sendAs(as, request))
    expectRefusal(bench, answer, wins)
  },
}))

/** 17 KiB of head; the runtime may refuse it in its own words. */
const LONG_HEAD = ['X-Padding', 'x'.repeat(17 * 1024)] as const

function expectHeadTooLarge(bench: Bench, answer: RawAnswer): void {
  expect(answer.status).toBe(431)
  expectNothingForwarded(bench)
}

const heads: readonly ConformanceCase[] = [
  {
    name: 'a head over 16 KiB is 431, even with a good credential',
    source: SOURCE,
    async run(bench) {
      expectHeadTooLarge(bench, await bench.sendAs('free', { headers: [LONG_HEAD] }))
    },
  },
  {
    name: 'a head over 16 KiB wins over a public path',
    source: SOURCE,
    async run(bench) {
      expectHeadTooLarge(bench, await bench.send({ target: '/ping', headers: [LONG_HEAD] }))
    },
  },
  {
    name: 'a head over 16 KiB wins over a repeated credential',
    source: SOURCE,
    async run(bench) {
      expectHeadTooLarge(bench, await bench.sendAs('free', { headers: [bench.bearer('free'), LONG_HEAD] }))
    },
  },
  {
    name: 'a head of 12 KiB is served',
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAs('free', { headers: [['X-Padding', 'x'.repeat(12 * 1024)]] })
      expect(answer.status).toBe(200)
    },
  },
]

const credentials: readonly ConformanceCase[] = [
  {
    name: 'a public path wins over conflicting and repeated credentials',
    source: SOURCE,
    async run(bench) {
      const headers = [bench.bearer('expired'), bench.bearer('revoked'), 'X-Slurm-User-Token: nonsense']
      const answer = await bench.send({ target: '/ping', headers })
      expect([answer.status, answer.body.toString('utf8')]).toEqual([200, 'pong'])
    },
  },
  {
    name: 'two different unknown tokens are a conflict, not an unknown token',
    source: SOURCE,
    async run(bench) {
      const headers = [`Authorization: Bearer ${'x'.repeat(40)}`, `X-Slurm-User-Token: ${'y'.repeat(40)}`]
      expectRefusal(bench, await bench.send({ headers }), 'credential_conflict')
    },
  },
  {
    name: 'a repeated credential wins over a version not served and an unknown path',
    source: SOURCE,
    async run(bench) {
      const headers = [bench.bearer('free'), bench.bearer('free')]
      expectRefusal(bench, await bench.send({ target: UNSERVED, headers }), 'credential_repeated')
      expectRefusal(bench, await bench.send({ target: '/nope', headers }), 'credential_repeated')
    },
  },
  {
    name: 'a MUNGE credential from the wrong host wins over an unknown path',
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAsMunge({ target: '/nope', clientAddress: '203.0.113.9' })
      expectRefusal(bench, answer, 'munge_wrong_host')
    },
  },
  {
    name: 'a 401 arrives before any byte of a body was sent',
    source: 'CONTRACT HTTP, Credentials: read before any body',
    async run(bench) {
      const headers = [JSON_BODY, ['Content-Length', String(100 * MEBIBYTE)] as const]
      const answer = await bench.send({ method: 'POST', target: SUBMIT, headers, framing: 'bare' })
      expectRefusal(bench, answer, 'credential_missing')
    },
  },
  {
    name: 'an unknown scope wins over a body that was never sent',
    source: SOURCE,
    async run(bench) {
      const headers = [JSON_BODY, ['Content-Length', '100'] as const]
      const answer = await bench.sendAs('reader', {
        method: 'POST',
        target: SUBMIT,
        headers,
        framing: 'bare',
      })
      expectRefusal(bench, answer, 'insufficient_scope')
    },
  },
]

export const ORDER_CASES: readonly ConformanceCase[] = [...heads, ...credentials, ...pairs]
