/** slurmrestd over our own connections: one request is sent once, and no answer ever meets another request's reader. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createSlurmrestdUpstream, type NodeUpstream } from '../../functions/node/slurmrestd-pool.ts'
import { sleep, waitUntil } from '../support/program.ts'
import {
  buildAnswer,
  buildRequest,
  buildSized,
  findFailure,
  RawUpstream,
  readText,
  requireStream,
  type ReceivedRequest,
  type WriteRawAnswer,
} from './raw-upstream.ts'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function start(
  writeAnswer: WriteRawAnswer,
  { maxConnections = 1, unixPath }: { maxConnections?: number; unixPath?: string } = {},
): Promise<{ server: RawUpstream; upstream: NodeUpstream }> {
  const server = await RawUpstream.start(writeAnswer, unixPath)
  const upstream = createSlurmrestdUpstream(server.address, maxConnections)
  cleanUps.push(
    () => server.close(),
    () => upstream.close(),
  )
  return { server, upstream }
}

const findUser = (request: ReceivedRequest): string => /^x-user: (.*)$/im.exec(request.head)?.[1] ?? 'nobody'

test('a success streams before it is whole, and its connection is used again', async () => {
  const { server, upstream } = await start((_request, socket) => {
    socket.write(buildAnswer('200 OK', ['Content-Length: 10', 'Content-Type: text/plain'], 'first'))
  })
  for (let round = 0; round < 3; round++) {
    const answer = await upstream.send(buildRequest())
    expect(answer).toMatchObject({ status: 200, contentType: 'text/plain', contentLength: 10 })
    const reader = requireStream(answer.body).getReader()
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('first')
    for (const socket of server.sockets.values()) socket.write('-last')
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('-last')
    expect((await reader.read()).done).toBe(true)
  }
  expect(server.requests.map(({ connection }) => connection)).toEqual([1, 1, 1])
})

test.each([
  ['404 with a body', (user: string) => buildSized('404 Not Found', `no job of ${user}`)],
  ['404 without a body', () => buildSized('404 Not Found', '')],
  [
    '500 that closes',
    (user: string) => buildSized('500 X', user).replace('\r\n', '\r\nConnection: Close\r\n'),
  ],
  ['304', () => buildAnswer('304 Not Modified', ['Content-Type: text/plain'])],
  ['304 with a length', () => buildAnswer('304 Not Modified', ['Content-Length: 9'])],
])('%s, sent twice, is read once and its connection is not used again', async (_what, build) => {
  for (const delayMilliseconds of [null, 5]) {
    const { server, upstream } = await start((request, socket) => {
      const user = findUser(request)
      const answer = build(user)
      if (request.head.startsWith('GET /good')) socket.write(buildSized('200 OK', `jobs of ${user}`))
      else if (delayMilliseconds === null) socket.write(answer + answer)
      else {
        socket.write(answer)
        setTimeout(() => socket.write(answer), delayMilliseconds)
      }
    })
    const used = new Set<number>()
    for (let round = 0; round < 25; round++) {
      const user = round % 2 === 0 ? 'alice' : 'bob'
      const headers = { 'x-user': user }
      const bad = await upstream.send(buildRequest({ target: '/bad', headers }))
      const expected = build(user)
      expect(bad.status).toBe(Number(expected.slice(9, 12)))
      expect(await readText(bad.body)).toBe(expected.slice(expected.indexOf('\r\n\r\n') + 4))
      const badConnection = server.requests.at(-1)?.connection ?? 0
      used.add(badConnection)
      if (round % 5 === 0) await sleep(6)
      const other = user === 'alice' ? 'bob' : 'alice'
      const good = await upstream.send(buildRequest({ target: '/good', headers: { 'x-user': other } }))
      expect(good.status).toBe(200)
      expect(await readText(good.body)).toBe(`jobs of ${other}`)
      expect(server.requests.at(-1)?.connection).not.toBe(badConnection)
    }
    expect(used.size).toBe(25)
    expect(server.requests.length).toBe(50)
    await waitUntil('broken connections', () =>
      [...used].every((connection) => !server.sockets.has(connection)),
    )
  }
})

test('requests of two users at once over few connections all get their own answer', async () => {
  const { upstream } = await start(
    (request, socket) => {
      const answer = buildSized(request.head.startsWith('GET /good') ? '200 OK' : '404 No', findUser(request))
      socket.write(request.head.startsWith('GET /good') ? answer : answer + answer)
    },
    { maxConnections: 3 },
  )
  const texts = await Promise.all(
    Array.from({ length: 120 }, async (_, index) => {
      const target = index % 3 === 0 ? '/good' : '/bad'
      const answer = await upstream.send(buildRequest({ target, headers: { 'x-user': `user${index}` } }))
      return `${answer.status} ${await readText(answer.body)}`
    }),
  )
  expect(texts).toEqual(texts.map((_, index) => `${index % 3 === 0 ? 200 : 404} user${index}`))
})

test.each([
  ['a chunked error', buildAnswer('404 No', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n')],
  ['an error without any length', buildAnswer('500 X', ['Connection: keep-alive'], 'hello')],
  ['status 999', buildSized('999 No', 'hello')],
  ['status 600', buildSized('600 No', 'hello')],
  ['status 099', buildSized('099 No', 'hello')],
  ['garbage', 'garbage\r\n\r\n'],
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['two lengths', buildAnswer('200 OK', ['Content-Length: 5', 'Content-Length: 6'], 'hello!')],
  ['an unasked upgrade', buildAnswer('101 Switching Protocols', ['Upgrade: x', 'Connection: Upgrade'])],
])('%s is an outage, and its connection is not used again', async (_what, bytes) => {
  const { server, upstream } = await start((request, socket) => {
    socket.write(request.head.startsWith('GET /good') ? buildSized('200 OK', 'good') : bytes)
  })
  const failure = await findFailure(upstream.send(buildRequest({ target: '/bad' })))
  expect(failure).toMatchObject({ name: 'Outage', rule: 'upstream_unreachable' })
  expect(await readText((await upstream.send(buildRequest({ target: '/good' }))).body)).toBe('good')
  expect(server.requests.map(({ connection }) => connection)).toEqual([1, 2])
})

test.each(['Close', 'close', 'CLOSE'])(
  'an error that ends with its connection (%s) is read whole',
  async (word) => {
    const { server, upstream } = await start((_request, socket) => {
      socket.write(buildAnswer('400 Bad Request', [`Connection: ${word}`], 'first'))
      setTimeout(() => socket.end('-last'), 20)
    })
    for (let round = 0; round < 3; round++) {
      const answer = await upstream.send(buildRequest())
      expect(answer).toMatchObject({ status: 400, contentLength: null })
      expect(await readText(answer.body)).toBe('first-last')
    }
    expect(server.requests.map(({ connection }) => connection)).toEqual([1, 2, 3])
  },
)

test.each(['GET', 'POST', 'DELETE'] as const)('a %s that meets a hang-up is sent once', async (method) => {
  const { server, upstream } = await start((request, socket) => {
    if (request.head.includes('/good')) socket.write(buildSized('200 OK', 'good'))
    else socket.destroy()
  })
  const body = method === 'POST' ? Buffer.from('{}') : null
  // On a new connection, and on one that was used before.
  for (const sent of [1, 3]) {
    const failure = await findFailure(upstream.send(buildRequest({ method, target: '/bad', body })))
    expect(failure).toMatchObject({ name: 'Outage', rule: 'upstream_unreachable' })
    await sleep(100)
    expect(server.requests.length).toBe(sent)
    await readText((await upstream.send(buildRequest({ target: '/good' }))).body)
  }
})

test('target and headers arrive exactly as given, and the body by its length', async () => {
  const { server, upstream } = await start((_request, socket) => socket.write(buildSized('200 OK', '')))
  const body = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 31) % 256)
  const target = '/slurm/v0.0.42/job/1_2?a=%2F&b=%C3%A9&c=,;'
  const headers = { 'X-SLURM-USER-NAME': 'alice', 'X-SLURM-USER-TOKEN': 'a.b.c', 'Content-Type': 'text/x' }
  await readText((await upstream.send(buildRequest({ method: 'POST', target, headers, body }))).body)
  await readText((await upstream.send(buildRequest({ method: 'DELETE', target }))).body)
  const [post, del] = server.requests
  const lines = post?.head.split('\r\n') ?? []
  expect(lines[0]).toBe(`POST ${target} HTTP/1.1`)
  const given = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  expect(lines.slice(1).filter((line) => !/^(host|connection):/i.test(line))).toEqual([
    ...given,
    'content-length: 70000',
  ])
  expect(post?.body.equals(body)).toBe(true)
  expect(del?.head.split('\r\n').filter((line) => !/^(host|connection):/i.test(line))).toEqual([
    `DELETE ${target} HTTP/1.1`,
  ])
})

test('a socket file is an address too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slurmgate-upstream-'))
  cleanUps.push(() => rmSync(folder, { recursive: true }))
  const answerAll: WriteRawAnswer = (_request, socket) => socket.write(buildSized('200 OK', 'here'))
  const { server, upstream } = await start(answerAll, { unixPath: join(folder, 'socket') })
  expect(await readText((await upstream.send(buildRequest())).body)).toBe('here')
  expect(server.requests[0]?.head).toMatch(/^host: localhost$/im)
})
