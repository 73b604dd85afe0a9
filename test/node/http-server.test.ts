/** What the server hands to the app, whatever a client writes into its request's head. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createHttpServer, type HttpServer } from '../../functions/node/http-server.ts'
import { findHeader, requestRaw, type RawAnswer, type RawHeader } from '../support/raw-http.ts'

interface Seen {
  readonly url: string
  readonly path: string
  readonly incomingUrl: string
  readonly rawHeaders: readonly string[]
}

let folder: string
let path: string
let server: HttpServer
const seen: Seen[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'slurmgate-server-'))
  path = join(folder, 'socket')
  const app = new Hono<{ Bindings: HttpBindings }>()
  app.all('*', (context) => {
    const { incoming } = context.env
    const { url, path } = context.req
    seen.push({ url, path, incomingUrl: incoming.url ?? '', rawHeaders: incoming.rawHeaders })
    return context.text('seen')
  })
  server = createHttpServer(app as unknown as Hono, { unixPath: path }, null)
  await server.listen()
})
afterAll(async () => {
  await server.stop(100)
  rmSync(folder, { recursive: true })
})
beforeEach(() => void (seen.length = 0))

const request = (target: string, headers: readonly RawHeader[] = []): Promise<RawAnswer> =>
  requestRaw({ path }, { method: 'GET', target, headers })

test.each([
  ['http://alice:swordfish@evil.example/slurm/x?y=1', '/slurm/x?y=1'],
  ['HTTPS://alice:swordfish@evil.example:8443/slurm/x', '/slurm/x'],
  ['http://swordfish@evil.example?y=1', '/?y=1'],
  ['http://alice:swordfish@evil.example', '/'],
  ['http://alice:swordfish@evil.example/a\\b', '/a%5Cb'],
  ['http://alice:swordfish@evil.example//other.example/x', '//other.example/x'],
])('%s reaches the app as a path, without its user and its host', async (target, expected) => {
  expect((await request(target)).status).toBe(200)
  const [only] = seen
  expect(only?.url).toBe(`http://gate.example${expected}`)
  expect(only?.incomingUrl).toBe(expected)
  expect(JSON.stringify(seen)).not.toMatch(/swordfish|alice|evil/)
})

test.each([
  ['/a\\..\\b', '/a%5C..%5Cb'],
  ['/\\evil.example/x', '/%5Cevil.example/x'],
  ['/a?b=\\c', '/a?b=%5Cc'],
])('a backslash (%s) is never taken for a slash', async (target, expected) => {
  expect((await request(target)).status).toBe(200)
  expect(seen.map(({ url }) => url)).toEqual([`http://gate.example${expected}`])
})

test('the asterisk form is a path that no app has', async () => {
  await requestRaw({ path }, { method: 'OPTIONS', target: '*' })
  expect(seen.map((one) => one.path)).toEqual(['/*'])
})

test('the authority form (CONNECT) never reaches the app', async () => {
  const answer = requestRaw({ path }, { method: 'CONNECT', target: 'evil.example:443' })
  await expect(answer).rejects.toThrow('connection ended')
  expect(seen).toEqual([])
})

test('of 1,100 header fields none is dropped: a second credential at their end is seen', async () => {
  const fill = Array.from({ length: 1_097 }, (_, index): RawHeader => [`x${index}`, '1'])
  const first: RawHeader = ['Authorization', 'Bearer first']
  const last: RawHeader = ['Authorization', 'Bearer second']
  expect((await request('/', [['Host', 'gate.example'], first, ...fill, last])).status).toBe(200)
  const raw = seen[0]?.rawHeaders ?? []
  expect(raw.length).toBe(2 * 1_100)
  expect(raw.slice(-2)).toEqual(last)
  expect(raw.filter((_, index) => raw[index - 1] === 'Authorization')).toEqual([
    'Bearer first',
    'Bearer second',
  ])
})

test.each([
  'alice:swordfish@gate.example',
  'gate example',
  'gate.example/swordfish',
  'gate.example?swordfish',
  'gate.example#swordfish',
  'gate.example\\swordfish',
  'gate.example:99999',
  'gate.example:swordfish',
  '[::1',
  '',
])('a Host of "%s" is 400 without a word, and never reaches the app', async (host) => {
  const answer = await request('/slurm/x', [['Host', host]])
  expect(answer.status).toBe(400)
  expect(answer.body.length).toBe(0)
  expect(JSON.stringify(answer.headers)).not.toContain('swordfish')
  expect(seen).toEqual([])
})

test('a request without Host is 400 without a word', async () => {
  const answer = await requestRaw({ path }, { method: 'GET', target: '/', headers: ['X-A: b', 'Host'] })
  expect(answer).toMatchObject({ status: 400, body: Buffer.alloc(0) })
  expect(seen).toEqual([])
})

test('a head over 16 KiB is 431, one below is served', async () => {
  expect((await request('/', [['X-Long', 'x'.repeat(15 * 1024)]])).status).toBe(200)
  seen.length = 0
  const answer = await request('/', [['X-Long', 'x'.repeat(16 * 1024)]])
  expect(answer.status).toBe(431)
  expect(answer.body.length).toBe(0)
  expect(findHeader(answer, 'connection')).toBe('close')
  expect((await request(`/${'x'.repeat(16 * 1024)}`)).status).toBe(431)
  expect(seen).toEqual([])
})
