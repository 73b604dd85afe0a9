/** A gateway on Node may be far from the cluster too: its calls carry the service token of their hop, on either pool. */

import { afterEach, expect, test } from 'vitest'
import { createUndiciPost } from '../../functions/node/undici-post.ts'
import { discardBody } from '../../src/byte-stream.ts'
import { createSlurmrestdUpstream } from '../../functions/node/slurmrestd-pool.ts'
import { createVerifierChannel } from '../../src/munge/verifier-channel.ts'
import { buildRequest, buildSized, RawUpstream } from './raw-upstream.ts'

const serviceHeaders = { 'cf-access-client-id': 'one.access', 'cf-access-client-secret': 'canary' }
const CARRIED = /^cf-access-client-id: one\.access\r\ncf-access-client-secret: canary\r?$/im

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function start(status: string): Promise<{ server: RawUpstream; url: URL }> {
  const server = await RawUpstream.start((_request, socket) => socket.write(buildSized(status, 'x')))
  cleanUps.push(() => server.close())
  if (server.address.kind !== 'url') throw new Error('no port')
  return { server, url: server.address.url }
}

test('a call to slurmrestd carries it beside its own headers, and nothing else takes its place', async () => {
  const { server, url } = await start('200 OK')
  const upstream = createSlurmrestdUpstream({ kind: 'url', url, serviceHeaders }, 1)
  cleanUps.push(() => upstream.close())
  const headers = { accept: 'application/json', 'cf-access-client-id': 'another' }
  const { body } = await upstream.send(buildRequest({ headers }))
  await discardBody(body)
  const [head = ''] = server.requests.map((request) => request.head)
  expect(head).toMatch(CARRIED)
  expect(head).toMatch(/^accept: application\/json\r?$/im)
  expect(head).not.toContain('another')
})

test.each(['403 Forbidden', '302 Found'])(
  'a question to the verifier carries it; %s is an outage whose text has the names to look at and no value',
  async (status) => {
    const { server, url } = await start(status)
    const channel = createVerifierChannel({
      url,
      keys: [new Uint8Array(32)],
      serviceHeaders,
      fetch,
      post: createUndiciPost(url),
      clock: () => Date.now(),
      randomBytes: (length) => new Uint8Array(length),
    })
    const failure = await channel.check().catch((error: unknown) => error)
    expect(failure).toMatchObject({ rule: 'verifier_unavailable' })
    const text = failure instanceof Error ? failure.message : ''
    const names =
      'check MUNGE_VERIFIER_ACCESS_CLIENT_ID, MUNGE_VERIFIER_ACCESS_CLIENT_SECRET or MUNGE_VERIFIER_MTLS'
    expect(text).toContain(`status ${status.slice(0, 3)}, not from the verifier; ${names}`)
    expect(text).not.toMatch(/canary|one\.access/)
    expect(server.requests.map((request) => CARRIED.test(request.head))).toEqual([true])
  },
)
