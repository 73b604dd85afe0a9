/** MUNGE credentials that are bound to a request: good for this one, worth nothing for any other. Made by real munged. */

import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import type { RawAnswer } from '../../support/raw-http.ts'
import type { Bench, SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectNothingForwarded, expectRefusal, readJson } from '../expect-answer.ts'
import { BOUND_EXAMPLE_CASES } from './bound-examples.ts'

const SOURCE = 'SECURITY: a bound MUNGE credential is good for one method, target and body'
const JOBS = '/slurm/v0.0.42/jobs'
const SUBMIT = '/slurm/v0.0.42/job/submit'
const BODY = '{"job":{"script":"#!/bin/sh","name":"bound"}}'
const TYPE = ['Content-Type', 'application/json'] as const

interface Bound {
  readonly method?: string
  readonly target?: string
  readonly body?: string
}

/** Written without the code under test. */
function buildPayload({ method = 'GET', target = JOBS, body = '' }: Bound): Buffer {
  const bodyDigest = createHash('sha256').update(body).digest('hex')
  const digest = createHash('sha256').update(`${method}\n${target}\n${bodyDigest}`).digest()
  return Buffer.concat([Buffer.from('slurmgate1:'), digest])
}

function makeBound(bench: Bench, bound: Bound): Promise<string> {
  return bench.makeCredential(['-t', '5'], { payload: buildPayload(bound) })
}

/** Sends a request with a fresh credential that is bound to another, or by default to the same. */
async function sendBound(bench: Bench, sent: SendOptions, bound: Bound = sent as Bound): Promise<RawAnswer> {
  const credential = await makeBound(bench, bound)
  const headers = [['Authorization', `MUNGE ${credential}`] as const, ...(sent.headers ?? [])]
  return bench.send({ target: JOBS, ...sent, headers })
}

const submit: SendOptions & Bound = { method: 'POST', target: SUBMIT, headers: [TYPE], body: BODY }

const taken: readonly ConformanceCase[] = [
  {
    name: 'a submit goes upstream with the bytes that were bound',
    source: SOURCE,
    async run(bench) {
      const request = expectForwarded(bench, await sendBound(bench, submit))
      expect(request.body.toString('utf8')).toBe(BODY)
    },
  },
  {
    name: 'so does one in chunks, and a large one',
    source: SOURCE,
    async run(bench) {
      expectForwarded(bench, await sendBound(bench, { ...submit, framing: 'chunked', pieceBytes: 11 }))
      bench.reset()
      const body = BODY.replace('bound', 'b'.repeat(1_000_000))
      expectForwarded(bench, await sendBound(bench, { ...submit, body }))
    },
  },
  ...[
    '/slurm/v0.0.42/jobs?flags=DETAIL&update_time=1',
    '/slurm/v0.0.42/jobs?flags=%44ETAIL',
    '/slurm/v0.0.42/jobs?',
    '/slurm/v0.0.42/jobs/',
    '//slurm//v0.0.42//jobs',
    '/slurm/v0.0.42/%6Aobs',
  ].map((target): ConformanceCase => ({
    name: `a read of ${target} is bound as it was sent`,
    source: 'README: nothing decoded, sorted or resolved',
    async run(bench) {
      expectForwarded(bench, await sendBound(bench, { target }))
      bench.reset()
      const canonical = target.includes('?') ? `${JOBS}?flags=DETAIL` : JOBS
      expectRefusal(
        bench,
        await sendBound(bench, { target }, { target: canonical }),
        'munge_request_mismatch',
      )
    },
  })),
  {
    name: 'our own paths take it',
    source: SOURCE,
    async run(bench) {
      expect((await sendBound(bench, { target: '/meta/whoami' })).status).toBe(200)
      expect((await sendBound(bench, { target: '/openapi/v3' })).status).toBe(200)
      const body = `{"method":"GET","path":"${JOBS}"}`
      const answer = await sendBound(bench, {
        method: 'POST',
        target: '/meta/explain',
        headers: [TYPE],
        body,
      })
      expect(readJson(answer)).toMatchObject({ decision: 'allowed', rule: 'munge_user' })
    },
  },
  {
    name: 'under PUBLIC_BASE_PATH the target has the base path in it',
    source: 'CONTRACT PUBLIC_BASE_PATH',
    run: (bench) =>
      bench.withSettings({ PUBLIC_BASE_PATH: '/cluster/a' }, async (mounted) => {
        const target = `/cluster/a${JOBS}`
        expectForwarded(mounted, await sendBound(mounted, { target }))
        mounted.reset()
        const answer = await sendBound(mounted, { target }, { target: JOBS })
        expectRefusal(mounted, answer, 'munge_request_mismatch')
      }),
  },
]

const OTHERS: readonly (readonly [name: string, sent: SendOptions, bound: Bound])[] = [
  ['another method', { method: 'DELETE', target: '/slurm/v0.0.42/job/101' }, { target: '/slurm/v0.0.42/job/101' }],
  ['another path', { target: '/slurm/v0.0.42/job/101' }, { target: '/slurm/v0.0.42/job/102' }],
  ['a trailing slash', { target: `${JOBS}/` }, {}],
  ['a query', { target: `${JOBS}?flags=DETAIL` }, {}],
  ['its query in another order', { target: `${JOBS}?flags=DETAIL&update_time=1` }, { target: `${JOBS}?update_time=1&flags=DETAIL` }],
  ['percent-encoding', { target: '/slurm/v0.0.42/%6aobs' }, {}],
  ['one bit of the body changed', { ...submit, body: BODY.replace('bound', 'boune') }, submit],
  ['a line end after the body', { ...submit, body: `${BODY}\n` }, submit],
  ['no body', { method: 'POST', target: SUBMIT, headers: [TYPE] }, submit],
  ['a body added to a GET', { body: '{}', headers: [TYPE] }, {}],
  ['a body added to a GET in chunks', { body: '{}', headers: [TYPE], framing: 'chunked' }, {}],
  ['a path that does not exist', { target: '/nothing' }, {}],
  ['one of our own paths', { target: '/meta/whoami' }, {}],
  ['an explanation of another question', { ...submit, target: '/meta/explain', body: '{"method":"GET","path":"/x"}' }, { ...submit, target: '/meta/explain' }],
] // prettier-ignore

const mismatched: readonly ConformanceCase[] = [
  ...OTHERS.map(([name, sent, bound]): ConformanceCase => ({
    name: `refused: a credential of another request, for ${name}`,
    source: SOURCE,
    async run(bench) {
      expectRefusal(bench, await sendBound(bench, sent, bound), 'munge_request_mismatch')
    },
  })),
  {
    name: 'a mismatch uses the credential up',
    source: 'CONTRACT HTTP, 401: replayed',
    async run(bench) {
      const headers = [['Authorization', `MUNGE ${await makeBound(bench, {})}`] as const]
      const answer = await bench.send({ target: `${JOBS}/`, headers })
      expectRefusal(bench, answer, 'munge_request_mismatch')
      expectRefusal(bench, await bench.send({ target: JOBS, headers }), 'munge_replayed')
    },
  },
  {
    name: 'who sends it from another host, or a second time, is not told whether it fits',
    source: 'a mismatch is never told before the credential was accepted',
    async run(bench) {
      const target = `${JOBS}/`
      const sent = { target, clientAddress: '203.0.113.9' }
      expectRefusal(bench, await sendBound(bench, sent, {}), 'munge_wrong_host')
      const headers = [['Authorization', `MUNGE ${await makeBound(bench, {})}`] as const]
      expectForwarded(bench, await bench.send({ target: JOBS, headers }))
      bench.reset()
      expectRefusal(bench, await bench.send({ target, headers }), 'munge_replayed')
    },
  },
]

const forms: readonly ConformanceCase[] = [
  {
    name: 'dot segments: Node compares what was sent, workerd is not given it and compares what they resolve to',
    source: 'README: a target in canonical form works on both',
    async run(bench) {
      const target = '/slurm/v0.0.42/x/../jobs'
      const isNode = bench.target.name === 'node'
      const asSent = await sendBound(bench, { target })
      if (isNode) expectForwarded(bench, asSent)
      else expectRefusal(bench, asSent, 'munge_request_mismatch')
      bench.reset()
      const resolved = await sendBound(bench, { target }, { target: JOBS })
      if (isNode) expectRefusal(bench, resolved, 'munge_request_mismatch')
      else expectForwarded(bench, resolved)
    },
  },
  {
    name: 'of the absolute form what follows the host counts',
    source: 'RFC 9112 section 3.2.2',
    skipOn: { workerd: 'workerd answers 500 itself' },
    async run(bench) {
      const target = `http://gate.example${JOBS}`
      expectForwarded(bench, await sendBound(bench, { target }, { target: JOBS }))
      bench.reset()
      expectRefusal(bench, await sendBound(bench, { target }), 'munge_request_mismatch')
    },
  },
  ...['\xfc/slurm', 'gate.example/slurm', 'gate.example?', 'gate.example/slurm/v0.0.42/jobs?', 'a@b'].map(
    (host): ConformanceCase => ({
      name: `a Host header ${JSON.stringify(host)} adds nothing to the target that is compared`,
      source: 'SECURITY: the target that is compared is the one that is matched',
      async run(bench) {
        const sent = { target: '/v0.0.42/jobs', headers: [['Host', host] as const] }
        const answer = await sendBound(bench, sent)
        expect(answer.status).toBeGreaterThanOrEqual(400)
        expectNothingForwarded(bench)
      },
    }),
  ),
]

const PREFIX = Buffer.from('slurmgate1:')
const PAYLOADS: readonly (readonly [name: string, payload: Buffer])[] = [
  ['31 bytes', Buffer.concat([PREFIX, Buffer.alloc(31, 1)])],
  ['33 bytes', Buffer.concat([PREFIX, Buffer.alloc(33, 1)])],
  ['no digest', PREFIX],
  ['another version', Buffer.concat([Buffer.from('slurmgate2:'), buildPayload({}).subarray(11)])],
  ['another prefix', Buffer.concat([Buffer.from('slurmgate1 '), buildPayload({}).subarray(11)])],
  ['the digest alone', buildPayload({}).subarray(11)],
  ['the digest in hex', Buffer.from(`slurmgate1:${buildPayload({}).subarray(11).toString('hex')}`)],
  ['a line end after it', Buffer.concat([buildPayload({}), Buffer.from('\n')])],
]

const malformed: readonly ConformanceCase[] = [
  ...PAYLOADS.map(([name, payload]): ConformanceCase => ({
    name: `refused: a payload with ${name}`,
    source: 'munge.md: a payload means the credential was made for something else',
    async run(bench) {
      const credential = await bench.makeCredential(['-t', '5'], { payload })
      const headers = [['Authorization', `MUNGE ${credential}`] as const]
      expectRefusal(bench, await bench.send({ target: JOBS, headers }), 'munge_payload')
    },
  })),
  ...(
    [
      ['with a space inside', 'munge_malformed', (text: string) => `${text.slice(0, 30)} ${text.slice(30)}`],
      ['with text after its end', 'munge_malformed', (text: string) => `${text}x`],
      ['without its final colon', 'munge_malformed', (text: string) => text.slice(0, -1)],
      [
        'with one character changed',
        'munge_invalid',
        (text: string) => text.slice(0, 60) + (text[60] === 'A' ? 'B' : 'A') + text.slice(61),
      ],
    ] as const
  ).map(([name, rule, change]): ConformanceCase => ({
    name: `refused: a bound credential ${name}`,
    source: 'munge.md: a credential string is malleable',
    async run(bench) {
      const headers = [['Authorization', `MUNGE ${change(await makeBound(bench, {}))}`] as const]
      expectRefusal(bench, await bench.send({ target: JOBS, headers }), rule)
    },
  })),
]

const WRITES: readonly (SendOptions & Bound)[] = [
  submit,
  { method: 'DELETE', target: '/slurm/v0.0.42/job/101' },
  { method: 'GET', target: '/slurm/v0.0.42/reconfigure' },
]

const required: readonly ConformanceCase[] = [
  {
    name: 'MUNGE_REQUIRE_BINDING=writes: a bare credential reads, but does not write; a bound one and a token do both',
    source: 'README MUNGE_REQUIRE_BINDING',
    run: (bench) =>
      bench.withSettings({ MUNGE_REQUIRE_BINDING: 'writes' }, async (strict) => {
        expectForwarded(strict, await strict.sendAsMunge({ target: JOBS }))
        expect((await strict.sendAsMunge({ target: '/meta/whoami' })).status).toBe(200)
        for (const write of WRITES) {
          strict.reset()
          const description = expectRefusal(strict, await strict.sendAsMunge(write), 'munge_binding_required')
          expect(description).toContain('slurmgate munge-header')
          expectForwarded(strict, await sendBound(strict, write))
        }
        strict.reset()
        expectForwarded(strict, await strict.sendAs('free', submit))
      }),
  },
  {
    name: 'by default a bare credential writes',
    source: 'README MUNGE_REQUIRE_BINDING',
    async run(bench) {
      expectForwarded(bench, await bench.sendAsMunge(submit))
    },
  },
]

export const REQUEST_BINDING_CASES: readonly ConformanceCase[] = [
  ...taken,
  ...mismatched,
  ...forms,
  ...malformed,
  ...required,
  ...BOUND_EXAMPLE_CASES,
]
