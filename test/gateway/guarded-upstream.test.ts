/** What stands before slurmrestd may not speak in its name: facts/slurm.md, "slurmrestd never sends 403". */

import { expect, it } from 'vitest'
import { createGuardedUpstream } from '../../src/guarded-upstream.ts'
import type { UpstreamAnswer, UpstreamRequest } from '../../src/ports.ts'
import { buildAnswer, createStream, outageOf } from './in-memory-ports.ts'

const REQUEST: UpstreamRequest = {
  method: 'GET',
  target: '/slurm/v0.0.42/jobs/',
  headers: {},
  body: null,
  timeoutMilliseconds: 1_000,
}

const send = (answer: UpstreamAnswer): Promise<UpstreamAnswer> =>
  createGuardedUpstream({ send: () => Promise.resolve(answer) }).send(REQUEST)

it.each([300, 301, 302, 303, 307, 308, 399, 403])(
  '%i is an outage, and nothing of it is read',
  async (status) => {
    const { stream, watch } = createStream(Array.from({ length: 100 }, () => 'x'.repeat(10_000)))
    const answer = { status, contentType: 'text/html', contentLength: null, body: stream }
    expect(await outageOf(() => send(answer))).toBe('upstream_unreachable')
    expect(watch.isCancelled).toBe(true)
    const bodiless = { status, contentType: null, contentLength: null, body: null }
    expect(await outageOf(() => send(bodiless))).toBe('upstream_unreachable')
  },
)

it('the operator reads the status and the names to look at', async () => {
  const names =
    /answered 403; check SLURMRESTD_ACCESS_CLIENT_ID, SLURMRESTD_ACCESS_CLIENT_SECRET or SLURMRESTD_MTLS$/
  await expect(send(buildAnswer(403, 'Forbidden'))).rejects.toThrow(names)
})

it.each([200, 202, 204, 304, 400, 401, 404, 405, 500, 503, 511])('%i is slurmrestd’s own', async (status) => {
  const answer = buildAnswer(status, '{}')
  expect(await send(answer)).toBe(answer)
})
