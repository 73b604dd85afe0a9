/** CONTRACT "HTTP" (502, "Slurm's own errors pass through unchanged"), facts/slurm.md "Slurm tokens" and "Error bodies". */

import { describe, expect, it } from 'vitest'
import { forwardAnswer, forwardOpenApi } from '../../src/forward.ts'
import { buildResponse } from '../../src/gate-answer.ts'
import { ERROR_BODY_MAX_BYTES, OPENAPI_MAX_BYTES } from '../../src/limits.ts'
import type { UpstreamAnswer } from '../../src/ports.ts'
import { buildAnswer, buildSlurmErrors, createStream, outageOf } from './in-memory-ports.ts'

const ID = 'req'
const forward = async (answer: UpstreamAnswer) => buildResponse(await forwardAnswer(answer, ID, 42))
const forwardDocument = async (answer: UpstreamAnswer, basePath: string) =>
  buildResponse(await forwardOpenApi(answer, ID, basePath))

describe('an answer that is about the gate’s own token', () => {
  it.each<[string, UpstreamAnswer]>([
    ['401 in text', buildAnswer(401, 'Authentication failure', 'text/plain')],
    ['401 without a body', { status: 401, contentType: null, contentLength: null, body: null }],
    ['511 with 1007 (24.11+)', buildAnswer(511, buildSlurmErrors(1007))],
    ['511 in text', buildAnswer(511, 'x', 'text/plain')],
    ['500 with 1007 (22.05)', buildAnswer(500, buildSlurmErrors(1007))],
    ['1007 beside other errors', buildAnswer(500, buildSlurmErrors(2017, 1007))],
    ['401 with a body that is long', buildAnswer(401, 'x'.repeat(ERROR_BODY_MAX_BYTES + 1), 'text/plain')],
  ])('is slurm_token_refused, never 401: %s', async (_, answer) => {
    expect(await outageOf(() => forward(answer))).toBe('slurm_token_refused')
  })

  it('is 502 with 7000 too where slurmdbd says so (24.11, measured)', async () => {
    const description = 'Failed to open slurmdbd connection, authentication error'
    const body = JSON.stringify({ errors: [{ error_number: 7000, description }] })
    expect(await outageOf(() => forward(buildAnswer(502, body)))).toBe('slurm_token_refused')
  })

  it('is not what 7000 says of a slurmdbd that is down', async () => {
    expect(await outageOf(() => forward(buildAnswer(502, buildSlurmErrors(7000))))).toBe('none')
  })

  it('is given up, so that its slot is free again', async () => {
    const { stream, watch } = createStream(Array.from({ length: 100 }, () => 'x'.repeat(10_000)))
    const answer = { status: 401, contentType: 'text/plain', contentLength: null, body: stream }
    expect(await outageOf(() => forward(answer))).toBe('slurm_token_refused')
    expect(watch.isCancelled).toBe(true)
  })
})

describe('every other error is Slurm’s own and passes unchanged', () => {
  it.each<[number, string, string | null]>([
    [404, '{"errors":[{"error_number":2017}],\n "warnings":[]}', 'application/json'],
    [500, '{"errors":[{"error_number":2002,"error":"1007"}]}', 'application/json'],
    [500, '{"errors":{"error_number":1007}}', 'application/json'],
    [500, '{"error_number":1007}', 'application/json'],
    [500, '[1007]', 'application/json'],
    [500, 'null', 'application/json'],
    [500, '{"errors":[null,1007,"1007",{"error_number":"1007"}]}', 'application/json'],
    [404, 'Unable find requested URL', 'text/plain'],
    [400, '', null],
    [503, '{"errors":', 'application/json'],
    [500, '\u0000\ufffd', 'application/json'],
    [500, 'errors:\n- error_number: 2017\n', 'application/x-yaml'],
  ])('%i %j', async (status, text, contentType) => {
    const response = await forward(buildAnswer(status, text, contentType))
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe(contentType)
    expect(response.headers.get('content-length')).toBe(String(new TextEncoder().encode(text).length))
    expect(await response.text()).toBe(text)
  })

  it('a long one streams whole, and is looked into no further than 64 KiB', async () => {
    const parts = Array.from(
      { length: 200 },
      (_, index) => `${String(index).padStart(4, '0')}${'x'.repeat(4092)}`,
    )
    const { stream, watch } = createStream(parts)
    const response = await forward({
      status: 500,
      contentType: 'text/plain',
      contentLength: null,
      body: stream,
    })
    expect(watch.pulled * 4096).toBeLessThan(ERROR_BODY_MAX_BYTES + 4 * 4096)
    expect(await response.text()).toBe(parts.join(''))
  })

  it('a long one is not ours, even with 1007 in it', async () => {
    const text = JSON.stringify({
      ...(buildSlurmErrors(1007) as object),
      padding: 'x'.repeat(ERROR_BODY_MAX_BYTES),
    })
    const response = await forward(buildAnswer(500, text))
    expect([response.status, await response.text()]).toEqual([500, text])
  })
})

describe('a good answer', () => {
  it('has slurmrestd’s status, type and bytes, and no other header than ours', async () => {
    const text = '{"jobs":[{"id":18446744073709551615,"x":1.0}],\n"errors":[{"error_number":1007}]}'
    const response = await forward(buildAnswer(200, text))
    expect(await response.text()).toBe(text)
    expect(Object.fromEntries(response.headers)).toEqual({
      'cache-control': 'private, no-cache',
      'content-length': String(text.length),
      'content-type': 'application/json',
      vary: 'Authorization, X-Slurm-User-Name, X-Slurm-User-Token',
      'x-request-id': ID,
      'x-slurm-api-version': 'v0.0.42',
    })
  })

  it('is not read before the client reads it', async () => {
    const { stream, watch } = createStream(Array.from({ length: 1000 }, () => 'x'.repeat(1000)))
    const response = await forward({
      status: 200,
      contentType: 'application/json',
      contentLength: null,
      body: stream,
    })
    expect(watch.pulled).toBeLessThanOrEqual(1)
    await response.body?.cancel()
    expect(watch.isCancelled).toBe(true)
  })

  it.each([204, 205, 304])(
    'without content (%i) passes, though the runtime hands an empty stream',
    async (status) => {
      const response = await forward({
        status,
        contentType: null,
        contentLength: null,
        body: createStream([]).stream,
      })
      expect([response.status, await response.text()]).toEqual([status, ''])
    },
  )
})

describe('the OpenAPI document', () => {
  const document = {
    openapi: '3.0.3',
    info: { version: 'dbv0.0.42&v0.0.42' },
    servers: [{ url: '/' }],
    paths: { '/slurm/v0.0.42/jobs/': {} },
  }
  const text = `${JSON.stringify(document)}\n`

  it('passes byte by byte where the gate is mounted at the root', async () => {
    expect(await (await forwardDocument(buildAnswer(200, text), '/')).text()).toBe(text)
  })

  it('has servers replaced under a base path, and nothing else', async () => {
    for (const type of ['application/json', 'application/json; charset=utf-8']) {
      const response = await forwardDocument(buildAnswer(200, text, type), '/slurm-api')
      const sent = await response.text()
      expect(JSON.parse(sent)).toEqual({ ...document, servers: [{ url: '/slurm-api' }] })
      expect(response.headers.get('content-length')).toBe(String(new TextEncoder().encode(sent).length))
    }
  })

  it('that is an error passes, or is our token’s refusal', async () => {
    const response = await forwardDocument(buildAnswer(404, 'no', 'text/plain'), '/slurm-api')
    expect([response.status, await response.text()]).toEqual([404, 'no'])
    const refused = buildAnswer(401, 'x', 'text/plain')
    expect(await outageOf(() => forwardDocument(refused, '/slurm-api'))).toBe('slurm_token_refused')
  })

  it.each([
    ['no JSON', '<html>'],
    ['half of it', text.slice(0, 40)],
    ['a list', '[]'],
    ['nothing', ''],
    ['too much', ' '.repeat(OPENAPI_MAX_BYTES + 1)],
  ])('that cannot be read (%s) is an outage of slurmrestd, not of the gate', async (_, body) => {
    expect(await outageOf(() => forwardDocument(buildAnswer(200, body), '/slurm-api'))).toBe(
      'upstream_unreachable',
    )
  })
})
