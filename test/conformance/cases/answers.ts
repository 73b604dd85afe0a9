/** What comes back: slurmrestd's answer untouched, our few headers, and one answer per request. */

import { expect } from 'vitest'
import { BIG_NUMBER } from '../../support/fake-slurmrestd-document.ts'
import { buildSlurmError, type FakeAnswer } from '../../support/fake-slurmrestd-answers.ts'
import { findHeader, findHeaders, type RawAnswer } from '../../support/raw-http.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectOutage } from '../expect-answer.ts'

const SOURCE = 'CONTRACT HTTP, Slurm'
const VARY = ['authorization', 'x-slurm-user-name', 'x-slurm-user-token']

function answerWith(bench: Bench, answer: FakeAnswer): void {
  bench.world.upstream.behaviour.answer = () => answer
}

const headers: readonly ConformanceCase[] = [
  {
    name: 'an answer carries our request id, its version, private no-cache and Vary',
    source: SOURCE,
    async run(bench) {
      for (const answer of [await bench.sendAs('free'), await bench.sendAsMunge()]) {
        expect(findHeader(answer, 'x-request-id')).toMatch(/^\S{8,}$/)
        expect(findHeaders(answer, 'x-slurm-api-version')).toEqual(['v0.0.42'])
        expect(findHeaders(answer, 'cache-control')).toEqual(['private, no-cache'])
        const vary = findHeaders(answer, 'vary')
          .join(',')
          .toLowerCase()
          .split(/\s*,\s*/)
        expect(vary.sort()).toEqual(VARY)
      }
    },
  },
  {
    name: "an error of slurmrestd's carries the same headers",
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAs('free', { target: '/slurm/v0.0.42/job/999' })
      expect(answer.status).toBe(404)
      expect(findHeaders(answer, 'x-slurm-api-version')).toEqual(['v0.0.42'])
      expect(findHeaders(answer, 'cache-control')).toEqual(['private, no-cache'])
      expect(findHeader(answer, 'x-request-id')).not.toBeNull()
    },
  },
  {
    name: 'request ids are ours and each is another',
    source: SOURCE,
    async run(bench) {
      const send = (): Promise<RawAnswer> => bench.sendAs('free', { headers: [['X-Request-Id', 'canary']] })
      const ids = (await Promise.all([send(), send(), send()])).map((answer) =>
        findHeader(answer, 'x-request-id'),
      )
      expect(ids).not.toContain('canary')
      expect(new Set(ids).size).toBe(3)
    },
  },
  {
    name: "slurmrestd's other headers stay behind",
    source: 'STYLE: yes is constructed, no is the default',
    async run(bench) {
      const headers = ['Set-Cookie: canary=1', 'X-Upstream: canary', 'Server: canary', 'Keep-Alive: canary=5']
      answerWith(bench, { status: 200, contentType: 'application/json', body: '{}', headers })
      const answer = await bench.sendAs('free')
      expectForwarded(bench, answer)
      expect(JSON.stringify(answer.headers)).not.toContain('canary')
    },
  },
  {
    name: 'a refusal may not be cached for somebody else',
    source: 'RFC 9111 section 3.5',
    async run(bench) {
      expect(findHeader(await bench.send({}), 'cache-control')).toMatch(/no-cache|no-store/)
    },
  },
]

const bodies: readonly ConformanceCase[] = [
  {
    name: 'Content-Type is exactly application/json',
    source: 'clients.md Answers',
    async run(bench) {
      expect(findHeaders(await bench.sendAs('free'), 'content-type')).toEqual(['application/json'])
    },
  },
  {
    name: 'the bytes of an answer are untouched, 64-bit numbers and odd spelling included',
    source: 'clients.md Answers',
    async run(bench) {
      const body = `{ "a":${BIG_NUMBER},\t"b" : 1.0e0, "b":2, "é":"\\u00e9\\/" }\r\n`
      answerWith(bench, { status: 200, contentType: 'application/json', body })
      const answer = await bench.sendAs('free')
      expectForwarded(bench, answer)
      expect(answer.body.equals(Buffer.from(body))).toBe(true)
    },
  },
  {
    name: 'an answer of 6 MB comes whole',
    source: 'slurm.md: thousands of jobs take seconds and tens of MB',
    async run(bench) {
      const body = `{"jobs":[${'{"job_id":1,"name":"x"},'.repeat(250_000)}{}]}`
      answerWith(bench, { status: 200, contentType: 'application/json', body })
      const answer = await bench.sendAs('free')
      expectForwarded(bench, answer)
      expect(answer.body.equals(Buffer.from(body))).toBe(true)
    },
  },
  {
    name: 'an answer is not compressed, even when asked for',
    source: 'CONTRACT HTTP: no compression unasked',
    async run(bench) {
      const plain = await bench.sendAs('free')
      expect(findHeader(plain, 'content-encoding')).toBeNull()
      const identity = await bench.sendAs('free', { headers: [['Accept-Encoding', 'identity']] })
      expect(identity.body.equals(plain.body)).toBe(true)
    },
  },
  {
    name: 'a YAML answer keeps its type and bytes',
    source: 'clients.md Requests: Accept',
    async run(bench) {
      answerWith(bench, { status: 200, contentType: 'application/yaml', body: 'jobs: []\n' })
      const answer = await bench.sendAs('free', { headers: [['Accept', 'application/yaml']] })
      expect([findHeader(answer, 'content-type'), answer.body.toString('utf8')]).toEqual([
        'application/yaml',
        'jobs: []\n',
      ])
    },
  },
]

const ERRORS: readonly FakeAnswer[] = [
  buildSlurmError(404, 2017, 'Invalid job id specified'),
  buildSlurmError(500, 2045, 'Invalid account or account/partition combination specified'),
  buildSlurmError(500, 2002, 'Access/permission denied'),
  {
    status: 500,
    contentType: 'application/json',
    body: '{"errors":[{"error":"x","error_code":-1,"errno":5}]}',
  },
  { status: 400, contentType: 'text/plain', body: 'Unable to parse' },
  { status: 500, contentType: null, body: '' },
  { status: 200, contentType: 'application/json', body: '{"errors":[{"error_number":2017}]}' },
  { status: 404, contentType: 'application/json', body: `{"errors":[${' '.repeat(80_000)}]}` },
]

const errors: readonly ConformanceCase[] = [
  ...ERRORS.flatMap((error): ConformanceCase[] =>
    [false, true].map((doubled) => ({
      name: `slurmrestd's ${String(error.status)} "${String(error.body).slice(-60).trim()}"${doubled ? ', sent twice,' : ''} comes back unchanged, once`,
      source: 'clients.md Answers; CONTRACT HTTP: Slurm errors pass through unchanged',
      async run(bench) {
        bench.world.upstream.behaviour.doublesErrors = doubled
        answerWith(bench, error)
        const connection = await bench.openConnection()
        const headers = [bench.bearer('free'), ...bench.nameClient()]
        await connection.send({ method: 'GET', target: '/slurm/v0.0.42/jobs', headers })
        const answer = await connection.readAnswer()
        expectForwarded(bench, answer, error.status)
        expect(answer.body.toString('utf8')).toBe(String(error.body))
        if (error.contentType !== null) expect(findHeader(answer, 'content-type')).toBe(error.contentType)
        await new Promise((resolve) => setTimeout(resolve, 50))
        expect(connection.surplus).toHaveLength(0)
        connection.close()
      },
    })),
  ),
  {
    name: 'forty alternating good and bad calls on one connection are all answered rightly',
    source: 'clients.md: where the gate does better than slurmrestd',
    async run(bench) {
      bench.world.upstream.behaviour.doublesErrors = true
      let connection = await bench.openConnection()
      for (let at = 0; at < 40; at++) {
        if (connection.isClosed) connection = await bench.openConnection()
        const headers = [bench.bearer('free'), ...bench.nameClient()]
        const target = at % 2 === 0 ? '/slurm/v0.0.42/job/101' : '/slurm/v0.0.42/job/999'
        await connection.send({ method: 'GET', target, headers })
        const answer = await connection.readAnswer()
        expect(answer.status).toBe(at % 2 === 0 ? 200 : 404)
        expect(answer.body.toString('utf8')).toContain(at % 2 === 0 ? '"job_id":101' : '"error_number":2017')
      }
      connection.close()
    },
  },
]

const REFUSED_TOKEN: readonly FakeAnswer[] = [
  buildSlurmError(511, 1007, 'Protocol authentication error'),
  buildSlurmError(500, 1007, 'Protocol authentication error'),
  { status: 401, contentType: 'text/plain', body: 'Authentication failure' },
]

const ourToken: readonly ConformanceCase[] = [
  ...REFUSED_TOKEN.map((error): ConformanceCase => ({
    name: `slurmrestd's ${String(error.status)} about our token is 502 slurm_token_refused, never the caller's 401`,
    source: 'CONTRACT HTTP, 502; slurm.md Slurm tokens',
    async run(bench) {
      answerWith(bench, error)
      for (const answer of [await bench.sendAs('free'), await bench.sendAsMunge()]) {
        expectOutage(answer, 'slurm_token_refused')
      }
    },
  })),
  {
    name: "slurmrestd's 502 with 7000 (a database that refuses our token) stays 502, never 401",
    source: 'slurm.md Slurm tokens',
    async run(bench) {
      answerWith(bench, buildSlurmError(502, 7000, 'Unable to connect to database'))
      expect((await bench.sendAs('free')).status).toBe(502)
    },
  },
  {
    name: 'an answer of 200 is not looked into',
    source: 'CONTRACT HTTP, 502: only non-2xx answers',
    async run(bench) {
      answerWith(bench, { ...buildSlurmError(511, 1007, 'Protocol authentication error'), status: 200 })
      expectForwarded(bench, await bench.sendAs('free'))
    },
  },
]

const connections: readonly ConformanceCase[] = [
  {
    name: 'a connection is kept open after 2xx and used again',
    source: 'clients.md Answers: keep-alive on 2xx',
    async run(bench) {
      const connection = await bench.openConnection()
      const headers = [bench.bearer('free'), ...bench.nameClient()]
      for (let round = 0; round < 4; round++) {
        await connection.send({ method: 'GET', target: '/slurm/v0.0.42/jobs', headers })
        const answer = await connection.readAnswer()
        expect(answer.status).toBe(200)
        expect(findHeader(answer, 'connection')?.toLowerCase()).not.toBe('close')
      }
      expect(connection.isClosed).toBe(false)
      connection.close()
    },
  },
  {
    name: 'a refused request does not spoil the connection for the next, another caller behind the same proxy',
    source: 'CONTRACT TRUSTED_PROXIES: connections are shared by callers',
    async run(bench) {
      const connection = await bench.openConnection()
      await connection.send({
        method: 'GET',
        target: '/slurm/v0.0.42/jobs',
        headers: [bench.bearer('revoked')],
      })
      expect((await connection.readAnswer()).status).toBe(401)
      const next = connection.isClosed ? await bench.openConnection() : connection
      await next.send({ method: 'GET', target: '/slurm/v0.0.42/jobs', headers: [bench.bearer('free')] })
      expect((await next.readAnswer()).status).toBe(200)
      await next.send({ method: 'GET', target: '/slurm/v0.0.42/jobs' })
      expect((await next.readAnswer()).status).toBe(401)
      next.close()
    },
  },
]

export const ANSWER_CASES: readonly ConformanceCase[] = [
  ...headers,
  ...bodies,
  ...errors,
  ...ourToken,
  ...connections,
]
