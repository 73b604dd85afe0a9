/** Which connection a request goes out on, when one is opened or closed, and what never goes out at all. */

import { once } from 'node:events'
import { createServer, type Server } from 'node:tls'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createSlurmrestdUpstream, type NodeUpstream } from '../../functions/node/slurmrestd-pool.ts'
import { sleep, waitUntil } from '../support/program.ts'
import { makeCertificate } from '../support/service-door.ts'
import {
  buildAnswer,
  buildRequest,
  buildSized,
  findFailure,
  RawUpstream,
  readText,
  type WriteRawAnswer,
} from './raw-upstream.ts'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function start(
  writeAnswer: WriteRawAnswer,
  maxConnections: number,
): Promise<{ server: RawUpstream; upstream: NodeUpstream }> {
  const server = await RawUpstream.start(writeAnswer)
  const upstream = createSlurmrestdUpstream(server.address, maxConnections)
  cleanUps.push(
    () => server.close(),
    () => upstream.close(),
  )
  return { server, upstream }
}

const OUTAGE = { name: 'Outage', rule: 'upstream_unreachable' }
const good: WriteRawAnswer = (_request, socket) => void socket.write(buildSized('200 OK', 'good'))
const ask = async (upstream: NodeUpstream, target = '/jobs'): Promise<string> =>
  readText((await upstream.send(buildRequest({ target }))).body)

test('no more connections than allowed, and who waits gets its turn in order', async () => {
  const held: Socket[] = []
  const { server, upstream } = await start((_request, socket) => void held.push(socket), 2)
  const answers = Array.from({ length: 8 }, (_, index) => ask(upstream, `/${index}`))
  for (let round = 0; round < 8; round += 1) {
    await waitUntil('a request', () => held.length > 0)
    held.shift()?.write(buildSized('200 OK', 'good'))
  }
  expect(await Promise.all(answers)).toEqual(Array(8).fill('good'))
  expect(server.connections).toBe(2)
  const targets = server.requests.map(({ head }) => Number(/\/(\d)/.exec(head)?.[1]))
  expect(targets.slice(2)).toEqual([2, 3, 4, 5, 6, 7])
})

test('a connection that is not used is closed, and the next request opens another', async () => {
  const { server, upstream } = await start(good, 2)
  await ask(upstream)
  await waitUntil('its end', () => server.sockets.size === 0)
  expect(await ask(upstream)).toBe('good')
  expect(server.connections).toBe(2)
})

test('one that the other side keeps for two seconds is not used again', async () => {
  const answer = buildAnswer('200 OK', ['Keep-Alive: timeout=2', 'Content-Length: 4'], 'good')
  const { server, upstream } = await start((_request, socket) => void socket.write(answer), 2)
  for (let round = 0; round < 3; round += 1) expect(await ask(upstream)).toBe('good')
  expect(server.connections).toBe(3)
})

test.each([
  ['a second answer', buildSized('200 OK', 'good') + buildSized('200 OK', 'evil')],
  ['Connection: close', buildAnswer('200 OK', ['Connection: close', 'Content-Length: 4'], 'good')],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ngood'],
])('after %s a connection is not used again, and the answer stays good', async (_what, answer) => {
  const { server, upstream } = await start((_request, socket) => void socket.write(answer), 1)
  for (let round = 0; round < 3; round += 1) expect(await ask(upstream)).toBe('good')
  expect(server.requests.map(({ connection }) => connection)).toEqual([1, 2, 3])
})

test.each(['bytes', 'its end'])('an idle connection on which %s came is never used', async (what) => {
  const { server, upstream } = await start(good, 1)
  await ask(upstream)
  if (what === 'bytes') server.sockets.get(1)?.write(buildSized('200 OK', 'evil'))
  else server.sockets.get(1)?.end()
  await waitUntil('its end', () => !server.sockets.has(1))
  expect(await ask(upstream)).toBe('good')
})

test('an answer in chunks is read to its end, and its connection is used again', async () => {
  const chunks = '2\r\ngo\r\n2;x\r\nod\r\n0\r\nTrailer: x\r\n\r\n'
  const answer = buildAnswer('200 OK', ['Transfer-Encoding: chunked'], chunks)
  const { server, upstream } = await start((_request, socket) => void socket.write(answer), 1)
  for (let round = 0; round < 3; round += 1) expect(await ask(upstream)).toBe('good')
  expect(server.connections).toBe(1)
})

test('the end of the pool fails what is under way and what waits, and closes what is idle', async () => {
  const { server, upstream } = await start(({ head }, socket) => {
    if (head.includes('/good')) socket.write(buildSized('200 OK', 'good'))
  }, 1)
  await ask(upstream, '/good')
  const failures = [1, 2, 3].map(() => findFailure(upstream.send(buildRequest())))
  await waitUntil('the first', () => server.requests.length === 2)
  await upstream.close()
  for (const failure of await Promise.all(failures)) expect(failure).toMatchObject(OUTAGE)
  await waitUntil('its end', () => server.sockets.size === 0)
  await sleep(50)
  expect([server.requests.length, server.connections]).toEqual([2, 1])
})

test.each([
  ['a value with a line in it', { headers: { 'x-user': 'a\r\nx-other: b' } }],
  ['a value with a NUL', { headers: { 'x-user': 'a\0' } }],
  ['a value that Latin-1 would cut to a line’s end', { headers: { 'x-user': 'a\u010ab' } }],
  ['a name with a line in it', { headers: { 'x:\r\ny': 'b' } }],
  ['a target with a space', { target: '/jobs HTTP/1.1' }],
  ['a target with a line in it', { target: '/jobs\r\nx: y' }],
])('%s is not sent', async (_what, change) => {
  const { server, upstream } = await start(good, 1)
  let ends = 0
  const request = buildRequest({ ...change, onEnd: () => void (ends += 1) })
  expect(await findFailure(upstream.send(request))).toMatchObject(OUTAGE)
  expect([ends, server.connections]).toEqual([1, 0])
})

test('a POST without a body says so', async () => {
  const { server, upstream } = await start(good, 1)
  await readText((await upstream.send(buildRequest({ method: 'POST' }))).body)
  expect(server.requests[0]?.head).toMatch(/^content-length: 0\r?$/im)
})

test('the operator is told why a connection was refused', async () => {
  const { server, upstream } = await start(good, 1)
  await server.close()
  expect(await findFailure(upstream.send(buildRequest()))).toMatchObject({
    message: expect.stringContaining('ECONNREFUSED') as string,
  })
})

test('over TLS nobody is asked whose certificate is not known', async () => {
  let requests = 0
  const server: Server = createServer(makeCertificate('localhost', ['localhost']), (socket) => {
    socket.on('error', () => undefined)
    socket.on('data', () => (requests += 1))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = new URL(`https://localhost:${port}`)
  const upstream = createSlurmrestdUpstream({ kind: 'url', url, serviceHeaders: {} }, 1)
  cleanUps.push(
    () => server.close(),
    () => upstream.close(),
  )
  const failure = await findFailure(upstream.send(buildRequest()))
  expect(failure).toMatchObject({ ...OUTAGE, message: expect.stringContaining('SELF_SIGNED') as string })
  expect(requests).toBe(0)
})
