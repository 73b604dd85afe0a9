/** The gate's own endpoints: the public ones, who am I, and slurmrestd's OpenAPI document. */

import { expect } from 'vitest'
import { makeEncryptionKey, takePublicHalf } from '../../../src/signer/encryption-key.ts'
import { FAKE_VERSIONS, OPENAPI_DOCUMENT } from '../../support/fake-slurmrestd-document.ts'
import { findHeader } from '../../support/raw-http.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectNothingForwarded, expectRefusal, readJson } from '../expect-answer.ts'
import type { TokenName } from '../issued-tokens.ts'
import { TOKEN_FORMS } from './token-forms.ts'

const PUBLIC_SOURCE = 'CONTRACT HTTP, Public'

const open: readonly ConformanceCase[] = [
  {
    name: 'GET /ping is pong',
    source: PUBLIC_SOURCE,
    async run(bench) {
      const answer = await bench.send({ target: '/ping' })
      expect([answer.status, answer.body.toString('utf8')]).toEqual([200, 'pong'])
      expect(findHeader(answer, 'content-type')).toMatch(/^text\/plain/)
    },
  },
  {
    name: 'GET /meta/versions/supported is a JSON array, ascending',
    source: PUBLIC_SOURCE,
    async run(bench) {
      const answer = await bench.send({ target: '/meta/versions/supported' })
      expect([answer.status, readJson(answer)]).toEqual([200, [...FAKE_VERSIONS]])
      expect(findHeader(answer, 'content-type')).toBe('application/json')
    },
  },
  {
    name: 'GET /meta/versions/latest is plain text without a line end',
    source: PUBLIC_SOURCE,
    async run(bench) {
      const answer = await bench.send({ target: '/meta/versions/latest' })
      expect([answer.status, answer.body.toString('utf8')]).toEqual([200, 'v0.0.42'])
      expect(findHeader(answer, 'content-type')).toMatch(/^text\/plain/)
    },
  },
  {
    name: 'GET /healthz and /readyz are 200 while everything works, and readyz names its dependencies',
    source: PUBLIC_SOURCE,
    async run(bench) {
      expect((await bench.send({ target: '/healthz' })).status).toBe(200)
      const ready = await bench.send({ target: '/readyz' })
      expect(ready.status).toBe(200)
      expect(Object.keys(readJson(ready) as object).length).toBeGreaterThan(0)
    },
  },
  {
    name: 'without a key of its own a gateway is ready only where the signer signs for it',
    source: 'README, "Keys that stay on the cluster"',
    async run(bench) {
      const readSigner = async (asked: Bench): Promise<unknown> => {
        const { status, body } = await asked.send({ target: '/readyz' })
        const { dependencies } = JSON.parse(body.toString('utf8')) as { dependencies: Record<string, string> }
        return [status, dependencies['signer']]
      }
      if (bench.world.signer === 'gateway') {
        expect(await readSigner(bench)).toEqual([200, undefined])
        return
      }
      expect(await readSigner(bench)).toEqual([200, 'ok'])
      const another = JSON.stringify(takePublicHalf(await makeEncryptionKey()))
      await bench.withSettings({ SIGNER_PUBLIC_KEY: another }, async (other) => {
        expect(await readSigner(other)).toEqual([503, 'failed'])
        expect(other.target.logs().join('\n')).toMatch(/"dependency":"signer"[^\n]*SIGNER_PRIVATE_KEY_FILE/)
      })
    },
  },
  ...['/ping', '/meta/versions/supported', '/meta/versions/latest', '/healthz', '/readyz'].flatMap(
    (target): ConformanceCase[] => [
      {
        name: `${target} needs no credential and minds no bad one`,
        source: PUBLIC_SOURCE,
        async run(bench) {
          const headers = ['Authorization: Basic nonsense', 'X-Slurm-User-Token:', 'X-Slurm-User-Name: x']
          expect((await bench.send({ target, headers, clientAddress: null })).status).toBe(200)
          expectNothingForwarded(bench)
        },
      },
      {
        name: `${target}/ and /${target} are the same, without a redirect`,
        source: 'CONTRACT HTTP: repeated and trailing slashes without a redirect',
        async run(bench) {
          expect((await bench.send({ target: `${target}/` })).status).toBe(200)
          expect((await bench.send({ target: `/${target}` })).status).toBe(200)
        },
      },
    ],
  ),
  ...['POST', 'PUT', 'DELETE', 'OPTIONS'].map((method): ConformanceCase => ({
    name: `${method} /ping is refused`,
    source: 'CONTRACT HTTP: GET /ping is public, nothing else of it',
    async run(bench) {
      expectRefusal(
        bench,
        await bench.send({ method, target: '/ping' }),
        'credential_missing',
        'method_not_allowed',
      )
    },
  })),
]

/** Every value anywhere in a JSON document. */
function collectValues(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(collectValues) : [value]
}

const WHOAMI: readonly (readonly [token: TokenName, values: readonly unknown[]])[] = [
  ['confined', ['token', 'alice', 'proj_a', 'slurm:read', 'slurmdb:read', 'slurm:jobs:manage']],
  ['free', ['token', 'alice', 'slurm:jobs:manage']],
  ['reader', ['token', 'alice', 'slurm:read']],
  ['bob', ['token', 'bob', 'proj_a']],
  ['jwt', ['token', 'alice', 'proj_a']],
]

const whoami: readonly ConformanceCase[] = [
  ...WHOAMI.map(([token, values]): ConformanceCase => ({
    name: `whoami tells the holder of ${token} who it is, from the store`,
    source: 'CONTRACT HTTP, Any valid credential',
    async run(bench) {
      const answer = await bench.sendAs(token, { target: '/meta/whoami' })
      expect(answer.status).toBe(200)
      const expected = values.map((value) => (value === 'alice' ? bench.userName : value))
      expect(collectValues(readJson(answer))).toEqual(expect.arrayContaining(expected))
      expect(answer.body.toString('utf8')).not.toContain(bench.tokens[token].text)
      expect(answer.body.toString('utf8')).toMatch(/"expir\w*"/i)
      expectNothingForwarded(bench)
    },
  })),
  {
    name: 'whoami tells a MUNGE caller who it is',
    source: 'CONTRACT HTTP, Any valid credential',
    async run(bench) {
      const answer = await bench.sendAsMunge({ target: '/meta/whoami' })
      expect(answer.status).toBe(200)
      expect(collectValues(readJson(answer))).toEqual(expect.arrayContaining(['munge', bench.userName]))
      expectNothingForwarded(bench)
    },
  },
]

const OPENAPI_PATHS = ['/openapi', '/openapi.json', '/openapi/v3', '/openapi/v3/', '//openapi/v3']

const openapi: readonly ConformanceCase[] = [
  ...TOKEN_FORMS.map(([form, build]): ConformanceCase => ({
    name: `the OpenAPI document opens with ${form}`,
    source: 'clients.md Answers: /openapi/v3 must work with every credential form',
    async run(bench) {
      const headers = build(bench.tokens.accountingReader.text, bench.userName)
      const answer = await bench.send({ target: '/openapi/v3', headers })
      expect(answer.status).toBe(200)
      expect(findHeader(answer, 'content-type')).toBe('application/json')
      expect(answer.body.toString('utf8')).toBe(OPENAPI_DOCUMENT)
    },
  })),
  {
    name: 'the OpenAPI document opens with MUNGE',
    source: 'clients.md Answers: /openapi/v3 must work with every credential form',
    async run(bench) {
      const answer = await bench.sendAsMunge({ target: '/openapi/v3' })
      expect([answer.status, answer.body.toString('utf8')]).toEqual([200, OPENAPI_DOCUMENT])
    },
  },
  ...OPENAPI_PATHS.map((target): ConformanceCase => ({
    name: `${target} is slurmrestd's document, servers untouched at base path /`,
    source: 'CONTRACT PUBLIC_BASE_PATH: only then is servers replaced',
    async run(bench) {
      const answer = await bench.sendAs('manager', { target })
      expect([answer.status, answer.body.toString('utf8')]).toEqual([200, OPENAPI_DOCUMENT])
    },
  })),
  {
    name: '/openapi.yaml is served',
    source: 'CONTRACT HTTP, Any valid credential',
    async run(bench) {
      const answer = await bench.sendAs('manager', { target: '/openapi.yaml' })
      expect(answer.status).toBe(200)
      expect(answer.body.toString('utf8')).toContain('openapi: 3.0.3')
    },
  },
  {
    name: 'under a base path servers fits it; paths and info.version are unchanged',
    source: 'clients.md Answers: servers must fit where the gate is mounted',
    run: (bench) =>
      bench.withSettings({ PUBLIC_BASE_PATH: '/cluster/a' }, async (mounted) => {
        const answer = await mounted.sendAs('free', { target: '/cluster/a/openapi/v3' })
        expect(answer.status).toBe(200)
        const document = readJson(answer) as { servers: { url: string }[]; paths: object; info: object }
        const original = JSON.parse(OPENAPI_DOCUMENT) as typeof document
        expect(document.servers.map(({ url }) => url.replace(/\/$/, ''))).toEqual(['/cluster/a'])
        expect(document.paths).toEqual(original.paths)
        expect(document.info).toEqual(original.info)
      }),
  },
]

export const ENDPOINT_CASES: readonly ConformanceCase[] = [...open, ...whoami, ...openapi]
