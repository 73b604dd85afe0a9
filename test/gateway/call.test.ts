/** CONTRACT "HTTP" (400 → 415 → 413 → 400 JSON), facts/slurm.md 3 and 4: a body where one belongs, whole and of one type. */

import { describe, expect, it } from 'vitest'
import { readCall, type Call } from '../../src/call.ts'
import type { Principal } from '../../src/principal.ts'
import { YAML_MAX_BYTES } from '../../src/limits.ts'
import { isRefusal } from '../../src/refusal.ts'
import { ROUTES } from '../../src/policy/route-table.ts'
import { buildToken, createStream, MUNGE_ALICE, requireOperation, ruleOf } from './in-memory-ports.ts'
import { fillTemplate } from './slurm-routes.ts'

const MAX = 1000
const FREE = buildToken(['slurm:read', 'slurm:jobs:manage'])
const JOBS = 'GET /slurm/v0.0.42/jobs'
const SUBMIT = 'POST /slurm/v0.0.42/job/submit'
const JSON_TYPE = { 'content-type': 'application/json' }
const CHUNKED = { 'transfer-encoding': 'chunked' }

interface Given {
  readonly call: string
  readonly headers?: Record<string, string>
  readonly pieces?: readonly (Uint8Array | string | Error)[]
  readonly principal?: Principal
  readonly bodyMaxBytes?: number
}

function read({ call, headers = {}, pieces = [], principal = FREE, bodyMaxBytes = MAX }: Given) {
  const [method = '', path = ''] = call.split(' ')
  const { stream, watch } = createStream(pieces)
  const source = { search: '', headers: new Headers(headers), readBody: () => stream }
  return { result: readCall(source, requireOperation(method, path), principal, bodyMaxBytes), watch }
}
const ruleFor = async (given: Given) => ruleOf(await read(given).result)
const framed = (text: string, more: Record<string, string> = JSON_TYPE) => ({
  headers: { 'content-length': String(new TextEncoder().encode(text).length), ...more },
  pieces: [text],
})
async function requireCall(given: Given): Promise<Call> {
  const call = await read(given).result
  if (isRefusal(call)) throw new Error(call.rule)
  return call
}

describe('a body where none belongs', () => {
  it('is refused on every GET, and on every DELETE but that of jobs, however it is framed', async () => {
    for (const { method, template, since, oneOf } of ROUTES) {
      // What has to name a filter is refused for that first.
      if (method === 'POST' || oneOf !== null) continue
      const call = `${method} ${fillTemplate(template, since)}`
      const expected = template === '/slurm/jobs' && method === 'DELETE' ? 'call' : 'body_not_allowed'
      for (const given of [framed('{}'), { headers: { ...JSON_TYPE, ...CHUNKED }, pieces: ['{}'] }]) {
        expect(await ruleFor({ call, principal: MUNGE_ALICE, ...given }), call).toBe(expected)
      }
    }
  })

  it('is not there with Content-Length: 0, as clients send it with GET', async () => {
    for (const length of ['0', '00']) {
      const headers = { ...JSON_TYPE, 'content-length': length }
      expect(await requireCall({ call: JOBS, headers })).toMatchObject({ body: null })
    }
  })

  it('is never read from a stream that no header announced', async () => {
    const { result, watch } = read({ call: JOBS, pieces: ['{"account":"oth"}'] })
    expect(await result).toMatchObject({ body: null })
    expect(watch.pulled).toBe(0)
  })
})

describe('the body of a POST', () => {
  it.each<[string, Given]>([
    ['Content-Length: 0', { call: SUBMIT, headers: { ...JSON_TYPE, 'content-length': '0' } }],
    ['chunks without a byte', { call: SUBMIT, headers: { ...JSON_TYPE, ...CHUNKED } }],
    ['an empty chunk', { call: SUBMIT, headers: { ...JSON_TYPE, ...CHUNKED }, pieces: [''] }],
    ['a length and nothing behind', { call: SUBMIT, headers: { ...JSON_TYPE, 'content-length': '2' } }],
  ])('that is empty (%s) is refused: there would be nothing to judge', async (_, given) => {
    for (const principal of [FREE, buildToken(['slurm:jobs:manage'], 'own'), MUNGE_ALICE]) {
      expect(await ruleFor({ ...given, principal })).toMatch(/^(json|body)_malformed$/)
    }
  })

  it.each<[string, Record<string, string>, string, string]>([
    ['application/json', {}, 'call', 'call'],
    ['Application/JSON', {}, 'call', 'call'],
    ['application/json; charset=utf-8', {}, 'call', 'call'],
    ['application/json;charset="UTF-8"', {}, 'call', 'call'],
    ['application/json ;', {}, 'call', 'call'],
    ['application/json', { 'content-encoding': 'identity' }, 'call', 'call'],
    ['application/yaml', {}, 'content_type_unsupported', 'call'],
    ['application/x-yaml', {}, 'content_type_unsupported', 'call'],
    ['text/yaml; charset=utf-8', {}, 'content_type_unsupported', 'call'],
    ...['', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain', 'text/json', 'application/jsonp', 'application/json, text/plain',
      'application/json; charset=utf-16', 'application/json; charset=latin1', 'application/json; charset=utf-8; x=y', '*/*', 'application/problem+json'].map(
      (type): [string, Record<string, string>, string, string] => [type, {}, 'content_type_unsupported', 'content_type_unsupported'],
    ),
    ...['gzip', 'deflate', 'br', 'identity, gzip', 'x'].map((coding): [string, Record<string, string>, string, string] => [
      'application/json', { 'content-encoding': coding }, 'content_type_unsupported', 'content_type_unsupported',
    ]),
  ])('as %j with %o is %s for a token and %s for a MUNGE caller', async (type, more, forToken, forMunge) => {
    const given = { call: SUBMIT, ...framed('{}', { 'content-type': type, ...more }) }
    expect(await ruleFor(given)).toBe(forToken)
    expect(await ruleFor({ ...given, principal: MUNGE_ALICE })).toBe(forMunge)
  }) // prettier-ignore

  it('without a Content-Type is refused: slurmrestd would read it as a form', async () => {
    expect(await ruleFor({ call: SUBMIT, ...framed('{}', {}) })).toBe('content_type_unsupported')
  })

  it('goes upstream with the bare type', async () => {
    const types = { 'application/json; charset=utf-8': 'application/json', 'text/yaml': 'application/x-yaml' }
    for (const [type, contentType] of Object.entries(types)) {
      const given = { call: SUBMIT, principal: MUNGE_ALICE, ...framed('{}', { 'content-type': type }) }
      expect(await requireCall(given)).toMatchObject({ body: { contentType } })
    }
  })

  it('is taken up to the limit and in as many pieces as it comes, byte by byte', async () => {
    const bytes = Uint8Array.from({ length: MAX }, (_, index) => index % 256)
    const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte))
    const call = await requireCall({ call: SUBMIT, headers: { ...JSON_TYPE, ...CHUNKED }, pieces })
    expect(call.body?.bytes).toEqual(bytes)
  })

  it('that says it is too large is 413 before a byte is read', async () => {
    const { result, watch } = read({ call: SUBMIT, headers: { ...JSON_TYPE, 'content-length': String(MAX + 1) }, pieces: ['x'] })
    expect(ruleOf(await result)).toBe('body_too_large')
    expect(watch.pulled).toBe(0)
  }) // prettier-ignore

  it.each<[string, Record<string, string>]>([['chunked', CHUNKED], ['with a length that lies', { 'content-length': '5' }]])(
    'that turns out too large (%s) is 413 and read no further', async (_, framing) => {
      const pieces = Array.from({ length: 1000 }, () => 'x'.repeat(100))
      const { result, watch } = read({ call: SUBMIT, headers: { ...JSON_TYPE, ...framing }, pieces })
      expect(ruleOf(await result)).toBe('body_too_large')
      expect(watch).toEqual({ pulled: 11, isCancelled: true })
    },
  ) // prettier-ignore

  it('in YAML has less room than in JSON, and says so', async () => {
    const yaml = { 'content-type': 'application/yaml', 'content-length': String(YAML_MAX_BYTES + 1) }
    const given = { call: SUBMIT, principal: MUNGE_ALICE, pieces: ['x'], bodyMaxBytes: 8 * YAML_MAX_BYTES }
    const result = await read({ ...given, headers: yaml }).result
    expect(result).toMatchObject({ rule: 'body_too_large', description: expect.stringMatching(/send it as JSON$/) as string })
    expect(await requireCall({ ...given, headers: { ...yaml, 'content-type': 'application/json' } })).toBeDefined()
    const small = { ...given, bodyMaxBytes: MAX, headers: { ...yaml, 'content-length': String(MAX + 1) } }
    expect(await read(small).result).toMatchObject({ description: `the body is larger than ${String(MAX)} bytes` })
  }) // prettier-ignore

  it('that breaks off is 400, and its reason stays inside', async () => {
    const { result } = read({
      call: SUBMIT,
      headers: { ...JSON_TYPE, ...CHUNKED },
      pieces: ['{', new Error('canary')],
    })
    expect(await result).toEqual({ kind: 'refusal', rule: 'body_malformed' })
  })
})
