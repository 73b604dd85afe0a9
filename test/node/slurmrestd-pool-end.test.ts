/** However an answer of slurmrestd ends, its slot is given back once: a slot lost is capacity lost until a restart. */

import type { Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSlurmrestdUpstream, type NodeUpstream } from '../../functions/node/slurmrestd-pool.ts'
import { ANSWER_TIME_LIMITS } from '../../src/limits.ts'
import { sleep, waitUntil } from '../support/program.ts'
import {
  buildAnswer,
  buildRequest,
  buildSized,
  findFailure,
  RawUpstream,
  readText,
  requireStream,
  type WriteRawAnswer,
} from './raw-upstream.ts'

let server: RawUpstream
let upstream: NodeUpstream
let writeAnswer: WriteRawAnswer
let ends: number

beforeEach(async () => {
  ends = 0
  server = await RawUpstream.start((request, socket) => writeAnswer(request, socket))
  upstream = createSlurmrestdUpstream(server.address, 2)
})
afterEach(async () => {
  await upstream.close()
  await server.close()
})

const send = (timeoutMilliseconds = 10_000) =>
  upstream.send(buildRequest({ timeoutMilliseconds, onEnd: () => void (ends += 1) }))

/** Exactly one end, also after everything has been torn down. */
async function expectOneEnd(): Promise<void> {
  await waitUntil('the end', () => ends > 0)
  await upstream.close()
  await server.close()
  await sleep(20)
  expect(ends).toBe(1)
}

/** The only connection that was used is gone. */
async function expectBroken(): Promise<void> {
  await waitUntil('the broken connection', () => !server.sockets.has(1))
  expect(server.requests.map(({ connection }) => connection)).toEqual([1])
}

/** A 200 without an end. */
const pour: WriteRawAnswer = (_request, socket) => {
  const piece = Buffer.alloc(64 * 1024, 'x')
  const fill = (): void => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.on('drain', fill)
  socket.write(buildAnswer('200 OK', ['Content-Length: 100000000000']))
  fill()
}

test.each([
  ['a whole answer', buildSized('200 OK', 'hello')],
  ['a whole answer without a body', buildSized('200 OK', '')],
  ['204', buildAnswer('204 No Content', [])],
  ['304', buildAnswer('304 Not Modified', [])],
  ['an error', buildSized('404 No', 'hello')],
  ['an error twice', buildSized('404 No', 'hello').repeat(2)],
  ['an error without a body', buildSized('500 No', '')],
  ['an interim answer first', buildAnswer('103 Early Hints', []) + buildSized('200 OK', 'hello')],
])('one end after %s', async (_what, bytes) => {
  writeAnswer = (_request, socket) => socket.write(bytes)
  expect(['', 'hello']).toContain(await readText((await send()).body))
  await expectOneEnd()
})

test('an answer is not at its end before its last byte', async () => {
  writeAnswer = (_request, socket) => socket.write(buildAnswer('200 OK', ['Content-Length: 2'], 'a'))
  const { body } = await send()
  const reader = requireStream(body).getReader()
  await reader.read()
  expect(ends).toBe(0)
  for (const socket of server.sockets.values()) socket.write('b')
  await reader.read()
  await reader.read()
  await expectOneEnd()
})

test.each([
  ['200 OK', ['Content-Length: 10']],
  ['200 OK', ['Transfer-Encoding: chunked']],
  ['404 No', ['Content-Length: 10']],
])('%s (%s) that breaks off fails its reader, and ends once', async (status, headers) => {
  writeAnswer = (_request, socket) => {
    socket.write(buildAnswer(status, headers, '3\r\nhel'))
    setTimeout(() => socket.end(), 20)
  }
  const { body } = await send()
  const failure = await findFailure(readText(body))
  expect(failure).toMatchObject({ name: 'Outage', rule: 'upstream_unreachable' })
  await expectOneEnd()
})

test.each(['200 OK', '404 No'])(
  'a reader that cancels a %s breaks the connection, and ends once',
  async (status) => {
    writeAnswer = (_request, socket) => socket.write(buildAnswer(status, ['Content-Length: 10'], 'hel'))
    const { body } = await send()
    await requireStream(body).cancel('enough')
    await expectBroken()
    await expectOneEnd()
  },
)

test('a refused connection is an outage, and ends once', async () => {
  await server.close()
  expect(await findFailure(send())).toMatchObject({ name: 'Outage', rule: 'upstream_unreachable' })
  await expectOneEnd()
})

test('a request after the end of the pool is an outage, and ends once', async () => {
  await upstream.close()
  expect(await findFailure(send())).toMatchObject({ name: 'Outage', rule: 'upstream_unreachable' })
  await expectOneEnd()
})

test('a server that answers too late is a timeout at once, and ends when it is done', async () => {
  let answerLate = (): void => undefined
  writeAnswer = (_request, socket) => {
    answerLate = () => void socket.write(buildSized('200 OK', 'hello'))
  }
  expect(await findFailure(send(200))).toMatchObject({ name: 'Outage', rule: 'upstream_timeout' })
  await sleep(300)
  // It works on: no slot is free, and the connection stays.
  expect([ends, server.sockets.has(1)]).toEqual([0, true])
  answerLate()
  await expectBroken()
  await expectOneEnd()
})

test('a server that dies after the timeout ends it once', async () => {
  writeAnswer = () => undefined
  expect(await findFailure(send(200))).toMatchObject({ name: 'Outage', rule: 'upstream_timeout' })
  server.sockets.get(1)?.destroy()
  await expectOneEnd()
})

test('what waited for a connection until its timeout never goes out, and ends once', async () => {
  const held: Socket[] = []
  writeAnswer = (_request, socket) => void held.push(socket)
  // Two connections, both taken by what is not over yet.
  const running = [send(), send()]
  await waitUntil('both requests', () => held.length === 2)
  expect(await findFailure(send(200))).toMatchObject({ name: 'Outage', rule: 'upstream_timeout' })
  for (const socket of held) socket.write(buildSized('200 OK', 'hello'))
  for (const answer of running) expect(await readText((await answer).body)).toBe('hello')
  await waitUntil('three ends', () => ends === 3)
  await sleep(50)
  expect(server.requests).toHaveLength(2)
})

test('a request that nobody counts is cut off at its timeout', async () => {
  writeAnswer = () => undefined
  const failure = await findFailure(upstream.send(buildRequest({ timeoutMilliseconds: 200 })))
  expect(failure).toMatchObject({ name: 'Outage', rule: 'upstream_timeout' })
  await expectBroken()
})

test.each([
  ['a good answer', '200 OK'],
  ['an error', '404 Not Found'],
])('%s that may come whole is bytes, and slurmrestd is done by then', async (_what, status) => {
  writeAnswer = (_request, socket) => {
    socket.write(buildAnswer(status, ['Content-Length: 200000'], 'x'.repeat(100_000)))
    setTimeout(() => void socket.write('y'.repeat(100_000)), 50)
  }
  const asked: number[] = []
  const takeWhole = (length: number): boolean => asked.push(length) > 0
  const answer = await upstream.send(buildRequest({ onEnd: () => void (ends += 1), takeWhole }))
  expect(ends).toBe(1)
  expect(asked).toEqual([200_000])
  expect(answer.body).toBeInstanceOf(Uint8Array)
  expect(await readText(answer.body)).toBe('x'.repeat(100_000) + 'y'.repeat(100_000))
})

test('an answer that may come whole and breaks off is an outage, never a part of it', async () => {
  writeAnswer = (_request, socket) => socket.end(buildAnswer('200 OK', ['Content-Length: 10'], 'hel'))
  const request = buildRequest({ onEnd: () => void (ends += 1), takeWhole: () => true })
  expect(await findFailure(upstream.send(request))).toMatchObject({ rule: 'upstream_unreachable' })
  await expectOneEnd()
})

test('a server that falls silent midway is a timeout for its reader, and ends once', async () => {
  writeAnswer = (_request, socket) => socket.write(buildAnswer('200 OK', ['Content-Length: 10'], 'hel'))
  // Well below the limit of the whole answer.
  const { body } = await send(2_500)
  expect(await findFailure(readText(body))).toMatchObject({ name: 'Outage', rule: 'upstream_timeout' })
  await expectBroken()
  await expectOneEnd()
})

test('a client that never reads a long answer is cut off at the limit of the whole answer', async () => {
  writeAnswer = pour
  const startedAt = performance.now()
  const { body } = await send(1_500)
  await sleep(250)
  expect(ends).toBe(0)
  await waitUntil('the end', () => ends > 0)
  // Timers may fire a millisecond early.
  expect(performance.now() - startedAt).toBeGreaterThan(ANSWER_TIME_LIMITS * 1_500 - 2)
  await expectBroken()
  expect(await findFailure(readText(body))).toMatchObject({ name: 'Outage', rule: 'overloaded' })
  await expectOneEnd()
})

test('a client that reads a drop at a time is cut off at the same limit', async () => {
  writeAnswer = pour
  const { body } = await send(1_500)
  const reader = requireStream(body).getReader()
  const readSlowly = async (): Promise<void> => {
    while (!(await reader.read()).done) await sleep(20)
  }
  expect(await findFailure(readSlowly())).toMatchObject({ name: 'Outage', rule: 'overloaded' })
  await expectBroken()
  await expectOneEnd()
})

test('an answer that has arrived whole waits for its reader beyond the limit', async () => {
  writeAnswer = (_request, socket) => socket.write(buildSized('200 OK', 'hello'))
  const { body } = await send(100)
  await sleep(ANSWER_TIME_LIMITS * 100 + 150)
  expect(await readText(body)).toBe('hello')
  await expectOneEnd()
})
