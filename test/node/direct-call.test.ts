/** Which requests skip the app, what the gate sees of them, and that the app has all others. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hono } from 'hono'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createDirectCall } from '../../functions/node/direct-call.ts'
import { createHttpServer, type HttpServer } from '../../functions/node/http-server.ts'
import { createIncomingReader } from '../../functions/node/request-reader.ts'
import { buildClientPace } from '../../functions/node/write-answer.ts'
import type { SentRequest } from '../../src/gate-request.ts'
import {
  findHeader,
  RawConnection,
  requestRaw,
  type RawHeader,
  type RawRequest,
} from '../support/raw-http.ts'

let folder: string
let path: string
let server: HttpServer
const seen: SentRequest[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'slurmgate-direct-'))
  path = join(folder, 'socket')
  const takeFirst = createDirectCall({
    gate: (sent) => {
      seen.push(sent)
      const body = new TextEncoder().encode('directly')
      return Promise.resolve({ status: 200, headers: [['Content-Length', '8']], body })
    },
    readIncoming: createIncomingReader(() => 0),
    pace: buildClientPace(1_000, 60_000),
  })
  const app = new Hono().all('*', (context) => context.text('app'))
  server = createHttpServer(app, { unixPath: path }, null, { takeFirst })
  await server.listen()
})
afterAll(async () => {
  await server.stop(100)
  rmSync(folder, { recursive: true })
})
beforeEach(() => void (seen.length = 0))

const ask = async (method: string, target: string, headers: readonly RawHeader[] = []): Promise<string> => {
  const answer = await requestRaw({ path }, { method, target, headers })
  return `${String(answer.status)} ${answer.body.toString('latin1')}`
}

test('a GET without a body reaches the gate as it was sent, each header field for itself', async () => {
  const headers: RawHeader[] = [
    ['Host', 'gate.example:8443'],
    ['X-Slurm-User-Token', 'one'],
    ['x-slurm-user-token', 'two'],
  ]
  expect(await ask('GET', 'http://alice@evil.example/slurm/../x\\y?a=%20', headers)).toBe('200 directly')
  expect(seen).toHaveLength(1)
  const [sent] = seen
  expect(sent).toMatchObject({ method: 'GET', target: '/slurm/../x\\y?a=%20' })
  expect(sent?.rawHeaders.slice(0, 3)).toEqual(headers)
  expect(sent?.readBody()).toBeNull()
  expect(sent?.readConnection()).toMatchObject({ peerAddress: null, isEdge: false })
})

const HOST: RawHeader = ['Host', 'gate.example']

test.each<[string, RawRequest]>([
  ['a length of zero', { method: 'GET', target: '/', headers: [HOST, ['content-LENGTH', '0']] }],
  ['chunks', { method: 'GET', target: '/', headers: [HOST], body: 'x', framing: 'chunked' }],
  ['a body', { method: 'GET', target: '/', headers: [HOST], body: 'x' }],
  ['another method', { method: 'DELETE', target: '/', headers: [HOST] }],
  ['another method', { method: 'HEAD', target: '/', headers: [HOST] }],
])('a request with %s is the app’s', async (_, request) => {
  expect((await requestRaw({ path }, request)).status).toBe(200)
  expect(seen).toEqual([])
})

test.each(['gate example', 'gate.example/x', 'gate.example:99999', 'alice@gate.example', ''])(
  'a Host of "%s" never reaches the gate',
  async (host) => {
    expect(await ask('GET', '/', [['Host', host]])).toBe('400 ')
    expect(seen).toEqual([])
  },
)

test('a stopping server ends the connection of a request that skips the app, too', async () => {
  const other = join(folder, 'other')
  const takeFirst = createDirectCall({
    gate: () => Promise.resolve({ status: 200, headers: [['Content-Length', '0']], body: null }),
    readIncoming: createIncomingReader(() => 0),
    pace: buildClientPace(1_000, 60_000),
  })
  const stopping = createHttpServer(new Hono(), { unixPath: other }, null, { takeFirst })
  await stopping.listen()
  const connection = await RawConnection.open({ path: other })
  const stopped = stopping.stop(5_000)
  await connection.send({ method: 'GET', target: '/' })
  expect(findHeader(await connection.readAnswer(), 'connection')).toBe('close')
  await stopped
})
