/** How a Response gets to a client: whole, at the client's pace, and visibly broken where it broke. */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildClientPace, readResponse, writeAnswer } from '../../functions/node/write-answer.ts'
import { sleep, waitUntil } from '../support/program.ts'
import { findHeader, findHeaders, RawConnection, requestRaw } from '../support/raw-http.ts'

/** Must never reach a client. */
const ERROR_TEXT = 'the-database-password-is-swordfish'
const GET = { method: 'GET', target: '/' }
const PIECE = Buffer.alloc(64 * 1024, 'x')

let folder: string
let path: string
let server: Server
let buildResponse: () => Response
let written: number
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'slurmgate-answer-'))
  path = join(folder, 'socket')
  written = 0
  server = createServer((_incoming, outgoing) => {
    void writeAnswer(readResponse(buildResponse()), outgoing).then(() => (written += 1))
  }).listen(path)
  await once(server, 'listening')
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true })
})

/** Pieces that are made when they are asked for; then an error, or the end. */
function buildBody({ pieces = 0, fails = false, isEndless = false }): {
  body: ReadableStream<Uint8Array<ArrayBuffer>>
  made: () => number
  isCancelled: () => boolean
} {
  let made = 0
  let isCancelled = false
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull: async (controller) => {
        // Gives what was written before the error time to leave.
        if (made >= pieces && fails) await sleep(20)
        if (made++ < pieces) controller.enqueue(PIECE)
        else if (fails) controller.error(new Error(ERROR_TEXT))
        else if (!isEndless) controller.close()
        else await new Promise(() => undefined)
      },
      cancel: () => {
        isCancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { body, made: () => made, isCancelled: () => isCancelled }
}

/** A client that takes nothing until told so. */
async function openIdle(version = '1.1'): Promise<Socket> {
  const socket = connect(path)
  socket.on('error', () => undefined)
  socket.pause()
  await once(socket, 'connect')
  socket.write(`GET / HTTP/${version}\r\nHost: gate.example\r\n\r\n`)
  return socket
}

test('a whole body arrives byte by byte, and the connection stays for the next request', async () => {
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7) % 256))
  const connection = await RawConnection.open({ path })
  for (const headers of [{}, { 'Content-Length': '100000' }]) {
    buildResponse = () => new Response(bytes, { status: 203, headers: { ...headers, 'X-A': 'b' } })
    await connection.send(GET)
    const answer = await connection.readAnswer()
    expect(answer.status).toBe(203)
    expect(findHeader(answer, 'x-a')).toBe('b')
    expect(answer.body.equals(bytes)).toBe(true)
  }
  expect(connection.isClosed).toBe(false)
  connection.close()
  await waitUntil('both written', () => written === 2)
})

test.each([200, 204, 304, 404])('an answer of %i without a body is whole and empty', async (status) => {
  buildResponse = () => new Response(null, { status })
  const connection = await RawConnection.open({ path })
  for (let round = 0; round < 2; round++) {
    await connection.send(GET)
    expect(await connection.readAnswer()).toMatchObject({ status, body: Buffer.alloc(0) })
  }
  expect(connection.surplus.length).toBe(0)
  connection.close()
})

test.each([
  ['a length', 1, { 'Content-Length': '999999' }],
  ['chunks', 1, {}],
  ['a length, before its first byte', 0, { 'Content-Length': '5' }],
  ['chunks, before its first byte', 0, {}],
])(
  'a body by %s that fails after %i pieces is broken off, without a word of the error',
  async (_how, pieces, headers) => {
    buildResponse = () => new Response(buildBody({ pieces, fails: true }).body, { headers })
    const socket = await openIdle()
    const received: Buffer[] = []
    socket.on('data', (piece: Buffer) => received.push(piece)).resume()
    await once(socket, 'close')
    const text = Buffer.concat(received).toString('latin1')
    expect(text.includes('x'.repeat(PIECE.length))).toBe(pieces > 0)
    expect(text).not.toContain(ERROR_TEXT)
    expect(text).not.toMatch(/error/i)
    // The last chunk would make the answer whole.
    expect(text.endsWith('0\r\n\r\n')).toBe(false)
    await expect(requestRaw({ path }, GET)).rejects.toThrow('connection ended before a whole answer')
    await waitUntil('both written', () => written === 2)
  },
)

test('an HTTP/1.0 client, to whom the end of the connection is the end of the answer, sees it fail', async () => {
  buildResponse = () => new Response(buildBody({ pieces: 1, fails: true }).body)
  const tcp = createServer((_incoming, outgoing) => void writeAnswer(readResponse(buildResponse()), outgoing))
  await once(tcp.listen(0, '127.0.0.1'), 'listening')
  const address = tcp.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const socket = connect({ host: '127.0.0.1', port })
  socket.write('GET / HTTP/1.0\r\nHost: gate.example\r\n\r\n')
  let end = ''
  socket.on('end', () => (end ||= 'looks whole'))
  socket.on('error', () => (end ||= 'fails'))
  socket.resume()
  await waitUntil('the end', () => socket.closed)
  expect(end).toBe('fails')
  tcp.close()
})

test('a slow client slows the body down, and gets all 20 MB of it', async () => {
  const { body, made } = buildBody({ pieces: 320 })
  buildResponse = () => new Response(body)
  const socket = await openIdle('1.0')
  await waitUntil('the first pieces', () => made() > 0)
  await sleep(300)
  // The socket's buffers and Node's own: well under a tenth.
  expect(made()).toBeLessThan(32)
  let length = 0
  socket.on('data', (piece: Buffer) => (length += piece.length)).resume()
  await once(socket, 'end')
  expect(made()).toBe(321)
  expect(length).toBeGreaterThanOrEqual(320 * PIECE.length)
  expect(length).toBeLessThan(320 * PIECE.length + 1024)
})

test.each([
  ['that is waiting for more', { pieces: 1, isEndless: true }],
  ['that has never got a byte', { pieces: 0, isEndless: true }],
  ['that stopped reading', { pieces: 10_000 }],
])('a client %s and goes away cancels the body', async (_what, shape) => {
  const { body, isCancelled, made } = buildBody(shape)
  buildResponse = () => new Response(body)
  const socket = await openIdle()
  await waitUntil('the first pull', () => made() > 0)
  expect(isCancelled()).toBe(false)
  socket.destroy()
  await waitUntil('the cancel', isCancelled)
  await waitUntil('the end of the write', () => written === 1)
})

test('a client that has gone before the answer is there cancels its body', async () => {
  const { body, isCancelled } = buildBody({ pieces: 3 })
  server.removeAllListeners('request')
  server.on('request', (_incoming, outgoing) => {
    outgoing.on('close', () => void writeAnswer(readResponse(new Response(body)), outgoing))
  })
  const socket = await openIdle()
  await sleep(50)
  socket.destroy()
  await waitUntil('the cancel', isCancelled)
})

test('a body that refuses to be cancelled harms nobody', async () => {
  const cancel = (): Promise<void> => Promise.reject(new Error(ERROR_TEXT))
  buildResponse = () => new Response(new ReadableStream({ cancel, pull: () => new Promise(() => undefined) }))
  const socket = await openIdle()
  await sleep(50)
  socket.destroy()
  await waitUntil('the end of the write', () => written === 1)
})

test.each([
  ['WWW-Authenticate', ['MUNGE', 'Bearer realm="a, b"'], ['MUNGE, Bearer realm="a, b"']],
  ['Set-Cookie', ['a=1', 'b=2'], ['a=1', 'b=2']],
])('a repeated %s arrives whole, in as many field lines as the field allows', async (name, values, lines) => {
  buildResponse = () => {
    const response = new Response(null, { status: 401 })
    for (const value of values) response.headers.append(name, value)
    return response
  }
  expect(findHeaders(await requestRaw({ path }, GET), name)).toEqual(lines)
})

test.each([
  ['bytes', () => Buffer.alloc(64 * 1024 * 1024, 'x')],
  ['a stream', () => buildBody({ pieces: 1_000 }).body],
])('a client that takes nothing of %s is cut off', async (_what, buildLarge) => {
  let delivered = 0
  server.removeAllListeners('request')
  server.on('request', (_incoming, outgoing) => {
    const answer = { status: 200, headers: [], body: buildLarge(), onDelivered: () => void (delivered += 1) }
    void writeAnswer(answer, outgoing, { stallMilliseconds: 200, wholeMilliseconds: 60_000 })
  })
  const socket = await openIdle()
  await waitUntil('the cut', () => delivered === 1)
  socket.resume()
  await waitUntil('the end of the connection', () => socket.destroyed)
})

test('a client that takes an answer slowly, never pausing for too long, is cut off when its time is over', async () => {
  let delivered = 0
  server.removeAllListeners('request')
  server.on('request', (_incoming, outgoing) => {
    const body = Buffer.alloc(64 * 1024 * 1024, 'x')
    const answer = { status: 200, headers: [], body, onDelivered: () => void (delivered += 1) }
    void writeAnswer(answer, outgoing, buildClientPace(60_000, 500))
  })
  const socket = await openIdle()
  let taken = 0
  socket.on('data', (piece: Buffer) => {
    taken += piece.length
    socket.pause()
  })
  const startedAt = performance.now()
  while (delivered === 0 && performance.now() - startedAt < 20_000) {
    await sleep(20)
    socket.resume()
  }
  expect(delivered).toBe(1)
  // Twice the time that slurmrestd has (ANSWER_TIME_LIMITS), as of a stream.
  expect(performance.now() - startedAt).toBeGreaterThan(990)
  expect(taken).toBeGreaterThan(0)
  expect(taken).toBeLessThan(64 * 1024 * 1024)
  socket.removeAllListeners('data').resume()
  await waitUntil('the end of the connection', () => socket.destroyed)
})
