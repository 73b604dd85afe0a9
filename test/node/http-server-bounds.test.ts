/** Clients that are slow or too many hold nothing for long, over TCP and TLS alike. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hono } from 'hono'
import { afterAll, afterEach, expect, test } from 'vitest'
import {
  createHttpServer,
  type HttpServer,
  type HttpServerOptions,
} from '../../functions/node/http-server.ts'
import { waitUntil } from '../support/program.ts'
import { RawConnection, requestRaw } from '../support/raw-http.ts'

const LIMITS = {
  ...{ headTimeoutMilliseconds: 500, requestTimeoutMilliseconds: 1_500, connectionsMax: 3 },
  ...{ stallMilliseconds: 1_000, pipelinedMax: 16 },
}
const GET = { method: 'GET', target: '/' }

const folder = mkdtempSync(join(tmpdir(), 'slurmgate-bounds-'))
const path = join(folder, 'socket')
let server: HttpServer | null = null
const app = new Hono()
  .all('/', async (context) => context.text(await context.req.text()))
  .onError((_error, context) => context.text('', 500))

async function start(options: HttpServerOptions = {}, tls: { cert: Buffer; key: Buffer } | null = null) {
  server = createHttpServer(app, { unixPath: path }, tls, { limits: LIMITS, ...options })
  await server.listen()
}

afterEach(async () => {
  await server?.stop(0)
  server = null
})
afterAll(() => rmSync(folder, { recursive: true }))

/** From now until the server has closed it. */
async function measureLife(connection: RawConnection): Promise<number> {
  const startedAt = performance.now()
  await waitUntil('the server closes the connection', () => connection.isClosed, 20_000)
  return performance.now() - startedAt
}

test.each([
  ['says nothing', ''],
  ['stops in the middle of its head', 'GET / HTTP/1.1\r\nHost: gate'],
  ['stops after a request line', 'GET / HTTP/1.1\r\n'],
])('a client that %s is closed soon after its time for the head', async (_what, bytes) => {
  await start()
  const connection = await RawConnection.open({ path })
  await connection.write(bytes)
  const life = await measureLife(connection)
  expect(life).toBeGreaterThan(300)
  expect(life).toBeLessThan(8_000)
})

test.each([
  ['with a length', 'Content-Length: 100'],
  ['in chunks', 'Transfer-Encoding: chunked'],
])(
  'a client that never ends its body %s is 408 and closed after its time for the request',
  async (_what, framing) => {
    await start()
    const connection = await RawConnection.open({ path })
    await connection.write(`POST / HTTP/1.1\r\nHost: gate\r\n${framing}\r\n\r\n5\r\n`)
    const [life, answer] = await Promise.all([measureLife(connection), connection.readAnswer()])
    expect(answer.status).toBe(408)
    expect(life).toBeGreaterThan(1_000)
    expect(life).toBeLessThan(9_000)
  },
)

test('one connection too many is closed at once and told of, and there is room again when another ends', async () => {
  let drops = 0
  const limits = { ...LIMITS, headTimeoutMilliseconds: 20_000, requestTimeoutMilliseconds: 20_000 }
  await start({ limits, onDrop: () => (drops += 1) })
  const open = []
  for (let count = 0; count < 3; count++) {
    const connection = await RawConnection.open({ path })
    await connection.send(GET)
    expect((await connection.readAnswer()).status).toBe(200)
    open.push(connection)
  }
  const extra = await RawConnection.open({ path })
  expect(await measureLife(extra)).toBeLessThan(2_000)
  expect(drops).toBe(1)
  for (const connection of open) {
    await connection.send(GET)
    expect((await connection.readAnswer()).status).toBe(200)
  }
  open[0]?.close()
  await waitUntil('there is room again', () =>
    requestRaw({ path }, GET).then(
      ({ status }) => status === 200,
      () => false,
    ),
  )
  for (const connection of open) connection.close()
})

test('a client that never begins its TLS handshake is closed soon, too', async () => {
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const named = ['-subj', '/CN=gate.example', '-days', '2', '-keyout', keyFile, '-out', certFile]
  execFileSync('openssl', [...made, ...named], { stdio: 'pipe' })
  await start({}, { cert: readFileSync(certFile), key: readFileSync(keyFile) })
  expect(await measureLife(await RawConnection.open({ path }))).toBeLessThan(8_000)
})
