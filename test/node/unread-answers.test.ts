/** Clients that ask and do not read hold neither connections nor memory for long, at either server, over TCP and TLS alike. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { Hono } from 'hono'
import { afterEach, describe, expect, test } from 'vitest'
import { createDirectCall } from '../../functions/node/direct-call.ts'
import { createHttpServer, type HttpServer, type Tls } from '../../functions/node/http-server.ts'
import { createIncomingReader } from '../../functions/node/request-reader.ts'
import { createShortPost, type TakeRequest } from '../../functions/node/short-post.ts'
import { buildClientPace } from '../../functions/node/write-answer.ts'
import { sleep, waitUntil } from '../support/program.ts'

const LIMITS = {
  ...{ headTimeoutMilliseconds: 60_000, requestTimeoutMilliseconds: 60_000, connectionsMax: 64 },
  ...{ stallMilliseconds: 500, pipelinedMax: 16 },
}
/** Such an answer is one write, and a few hundred of them are more than the kernel's buffers take. */
const ANSWER = new Uint8Array(60 * 1024).fill(120)

let answered = 0
const SERVERS: [string, string, TakeRequest][] = [
  [
    'a gateway',
    'GET /a HTTP/1.1\r\nHost: gate.example\r\n\r\n',
    createDirectCall({
      gate: () => {
        answered += 1
        return Promise.resolve({
          status: 200,
          headers: [['Content-Length', `${ANSWER.length}`]],
          body: ANSWER,
        })
      },
      readIncoming: createIncomingReader(() => 0),
      pace: buildClientPace(60_000, 60_000),
    }),
  ],
  [
    'a verifier',
    'POST /verify HTTP/1.1\r\nHost: gate.example\r\nContent-Length: 0\r\n\r\n',
    createShortPost({
      ...{ path: '/verify', bodyMaxBytes: 0 },
      answer: () => {
        answered += 1
        return Promise.resolve({ status: 200, text: 'x'.repeat(ANSWER.length) })
      },
    }),
  ],
]

let close: (() => Promise<void>) | null = null
afterEach(async () => {
  await close?.()
  close = null
})

function makeTls(): Tls {
  const folder = mkdtempSync(join(tmpdir(), 'slurmgate-unread-'))
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const named = ['-subj', '/CN=gate.example', '-days', '2', '-keyout', keyFile, '-out', certFile]
  execFileSync('openssl', [...made, ...named], { stdio: 'pipe' })
  const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
  rmSync(folder, { recursive: true })
  return tls
}

/** A port that nobody has: createHttpServer does not tell the one it got. */
async function findPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** @returns a client that reads nothing until told so. */
async function open(takeFirst: TakeRequest, isTls: boolean): Promise<{ socket: Socket; port: number }> {
  const port = await findPort()
  const address = { host: '127.0.0.1', port, isLoopback: true, tls: null }
  const server: HttpServer = createHttpServer(new Hono(), address, isTls ? makeTls() : null, {
    ...{ takeFirst, limits: LIMITS },
  })
  await server.listen()
  const socket = isTls
    ? connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false })
    : connect({ host: '127.0.0.1', port })
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once(isTls ? 'secureConnect' : 'connect', resolve))
  socket.pause()
  answered = 0
  close = async () => {
    socket.destroy()
    await server.stop(0)
  }
  return { socket, port }
}

/** Connections of the server's side that are open, as the kernel knows them (proc(5): the state 01 is ESTABLISHED). */
function countOpen(port: number): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n')
  return lines.map((line) => line.trim().split(/\s+/)).filter((at) => at[1] === local && at[3] === '01')
    .length
}

describe.each(SERVERS)('%s', (_server, request, takeFirst) => {
  describe.each([
    ['TCP', false],
    ['TLS', true],
  ])('over %s', (_transport, isTls) => {
    test('cuts off a client that sends thousands of requests ahead, and answers few of them', async () => {
      const { socket, port } = await open(takeFirst, isTls)
      expect(countOpen(port)).toBe(1)
      socket.write(request.repeat(8_000))
      await waitUntil('the connection is closed', () => countOpen(port) === 0)
      expect(answered).toBeLessThan(8_000 / 4)
    })

    test('cuts off a client that reads nothing, however few answers it leaves unread', async () => {
      const { socket, port } = await open(takeFirst, isTls)
      // Fewer at a time than may wait, until none is taken any more.
      for (let sent = 8; sent < 2_000 && countOpen(port) === 1; sent += 8) {
        socket.write(request.repeat(8))
        await waitUntil('their answers are made', () => answered >= sent || countOpen(port) === 0)
      }
      await waitUntil('the connection is closed', () => countOpen(port) === 0)
    })

    test('answers a client that sends 17 requests ahead and reads, in order and on one connection', async () => {
      const { socket, port } = await open(takeFirst, isTls)
      let length = 0
      socket.on('data', (piece: Buffer) => (length += piece.length)).resume()
      for (let round = 1; round <= 3; round += 1) {
        socket.write(request.repeat(17))
        await waitUntil('all answers', () => length > round * 17 * ANSWER.length)
        await sleep(50)
      }
      expect(answered).toBe(51)
      expect(countOpen(port)).toBe(1)
    })
  })
})
