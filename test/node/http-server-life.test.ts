/** Where the server listens, which TLS it speaks, and how it ends. */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type SecureVersion } from 'node:tls'
import { Hono } from 'hono'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createHttpServer, readTls, type HttpServer, type Tls } from '../../functions/node/http-server.ts'
import { sleep, waitUntil } from '../support/program.ts'
import { findHeader, RawConnection, requestRaw } from '../support/raw-http.ts'

const GET = { method: 'GET', target: '/' }
/** Far more than any of these tests should wait, far less than the runner does. */
const GRACE_MILLISECONDS = 15_000

const folder = mkdtempSync(join(tmpdir(), 'slurmgate-listen-'))
const path = join(folder, 'socket')
const certFile = join(folder, 'cert.pem')
const keyFile = join(folder, 'key.pem')
let release: (() => void) | null
const app = new Hono()
app.get('/', (context) => context.text('here'))
app.get('/slow', async (context) => {
  await new Promise<void>((resolve) => (release = resolve))
  return context.text('done')
})
const servers: HttpServer[] = []
async function start(tls: Tls | null = null): Promise<HttpServer> {
  const server = createHttpServer(app, { unixPath: path }, tls)
  await server.listen()
  servers.push(server)
  return server
}

beforeAll(() => {
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const named = ['-subj', '/CN=gate.example', '-days', '2', '-keyout', keyFile, '-out', certFile]
  execFileSync('openssl', [...made, ...named], { stdio: 'pipe' })
})
beforeEach(() => {
  release = null
  rmSync(path, { force: true })
  chmodSync(keyFile, 0o600)
})
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(0)
})
afterAll(() => rmSync(folder, { recursive: true }))

test('a socket file that nobody listens on is replaced, and open to the proxy in front', async () => {
  const earlier = createServer().listen(`${path}-earlier`)
  await once(earlier, 'listening')
  // Closing unlinks the old name; what stays is what a killed process leaves behind.
  renameSync(`${path}-earlier`, path)
  earlier.close()
  await once(earlier, 'close')
  expect(existsSync(path)).toBe(true)
  await start()
  expect((await requestRaw({ path }, GET)).status).toBe(200)
  expect(statSync(path).mode & 0o777).toBe(0o666)
})

test('a socket file in use is refused, and its owner goes on', async () => {
  await start()
  await expect(createHttpServer(app, { unixPath: path }, null).listen()).rejects.toThrow('EADDRINUSE')
  expect((await requestRaw({ path }, GET)).status).toBe(200)
})

test('a socket file in use by a process too busy to accept is refused too', async () => {
  const script = `require('net').createServer().listen({path:${JSON.stringify(path)},backlog:1},()=>{console.log('up');Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0)})`
  const busy = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const waiting: Socket[] = []
  try {
    await once(busy.stdout, 'data')
    for (let index = 0; index < 4; index++) waiting.push(connect(path).on('error', () => undefined))
    await sleep(50)
    const owned = statSync(path).ino
    const second = createHttpServer(app, { unixPath: path }, null)
    const outcome = await second.listen().then(
      () => 'took it',
      (cause: unknown) => String(cause),
    )
    if (outcome === 'took it') servers.push(second)
    expect(outcome).toContain('EADDRINUSE')
    expect(statSync(path).ino).toBe(owned)
  } finally {
    for (const socket of waiting) socket.destroy()
    busy.kill('SIGKILL')
    await once(busy, 'exit')
  }
})

test('a file that is no socket is refused, and stays', async () => {
  writeFileSync(path, 'precious')
  await expect(createHttpServer(app, { unixPath: path }, null).listen()).rejects.toThrow('EADDRINUSE')
  expect(readFileSync(path, 'utf8')).toBe('precious')
})

test('a TCP port is listened on, and one in use is refused', async () => {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const bound = probe.address()
  const address = { host: '127.0.0.1', port: typeof bound === 'object' ? (bound?.port ?? 0) : 0 }
  const listener = { ...address, isLoopback: true, tls: null }
  await expect(createHttpServer(app, listener, null).listen()).rejects.toThrow('EADDRINUSE')
  probe.close()
  await once(probe, 'close')
  const server = createHttpServer(app, listener, null)
  await server.listen()
  servers.push(server)
  expect((await requestRaw(address, GET)).body.toString()).toBe('here')
})

test('a stop ends idle connections, and a running request first gets its answer', async () => {
  const server = await start()
  const idle = await Promise.all([1, 2, 3].map(() => RawConnection.open({ path })))
  for (const connection of idle) {
    await connection.send(GET)
    await connection.readAnswer()
  }
  const running = await RawConnection.open({ path })
  await running.send({ method: 'GET', target: '/slow' })
  await waitUntil('the running request', () => release !== null)
  let isStopped = false
  const startedAt = performance.now()
  const stopping = server.stop(GRACE_MILLISECONDS).then(() => (isStopped = true))
  await waitUntil('closed idle connections', () => idle.every(({ isClosed }) => isClosed))
  await expect(RawConnection.open({ path })).rejects.toThrow()
  expect(isStopped).toBe(false)
  release?.()
  expect((await running.readAnswer()).body.toString()).toBe('done')
  await stopping
  expect(performance.now() - startedAt).toBeLessThan(GRACE_MILLISECONDS - 5_000)
})

test('who goes on to use a connection while the server stops gets an answer that ends it, and loses nothing', async () => {
  const server = await start()
  const [used, late] = [await RawConnection.open({ path }), await RawConnection.open({ path })]
  for (const connection of [used, late]) {
    await connection.send(GET)
    expect(findHeader(await connection.readAnswer(), 'connection')).toBe('keep-alive')
  }
  const stopping = server.stop(GRACE_MILLISECONDS)
  await used.send(GET)
  const answer = await used.readAnswer()
  expect([answer.status, answer.body.toString(), findHeader(answer, 'connection')]).toEqual([
    200,
    'here',
    'close',
  ])
  // A proxy that has not learnt of it yet.
  const fresh = await requestRaw({ path }, GET)
  expect([fresh.status, findHeader(fresh, 'connection')]).toEqual([200, 'close'])
  await stopping
  await waitUntil('the unused one is closed too', () => late.isClosed)
  await expect(RawConnection.open({ path })).rejects.toThrow()
})

test('a request that runs longer than its grace is cut, and the stop ends', async () => {
  const server = await start()
  const running = await RawConnection.open({ path })
  await running.send({ method: 'GET', target: '/slow' })
  await waitUntil('the running request', () => release !== null)
  await server.stop(50)
  await expect(running.readAnswer()).rejects.toThrow('connection ended before a whole answer')
})

/** The TLS version that was agreed on, or the code of the failure. */
function agreeOn(version: SecureVersion): Promise<string> {
  return new Promise((resolve) => {
    const ciphers = 'DEFAULT:@SECLEVEL=0'
    const options = { path, rejectUnauthorized: false, minVersion: version, maxVersion: version, ciphers }
    const socket = connectTls(options, () => {
      resolve(socket.getProtocol() ?? 'none')
      socket.destroy()
    })
    socket.on('error', (error: Error) => resolve('code' in error ? String(error.code) : error.message))
  })
}

test('TLS is spoken from 1.2 upwards, and plain HTTP is not', async () => {
  const problems: string[] = []
  const tls = readTls({ certFile, keyFile }, problems)
  expect(problems).toEqual([])
  await start(tls)
  expect(await agreeOn('TLSv1.3')).toBe('TLSv1.3')
  expect(await agreeOn('TLSv1.2')).toBe('TLSv1.2')
  expect(await agreeOn('TLSv1.1')).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
  expect(await agreeOn('TLSv1')).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
  await expect(requestRaw({ path }, GET)).rejects.toThrow('connection ended')
})

test('key and certificate files that cannot be used are named by their variables', () => {
  const read = (files: Parameters<typeof readTls>[0]): [Tls | null, string[]] => {
    const problems: string[] = []
    return [readTls(files, problems), problems]
  }
  expect(read(null)).toEqual([null, []])
  const [whole] = read({ certFile, keyFile })
  expect(whole?.key.equals(readFileSync(keyFile))).toBe(true)
  const absent = join(folder, 'absent')
  const noCertificate = 'TLS_CERT_FILE cannot be read'
  expect(read({ certFile: absent, keyFile })).toEqual([null, [noCertificate]])
  expect(read({ certFile, keyFile: absent })).toEqual([null, ['TLS_KEY_FILE cannot be read (ENOENT)']])
  chmodSync(keyFile, 0o644)
  const open = 'TLS_KEY_FILE can be read or written by others: chmod o-rw'
  expect(read({ certFile, keyFile })).toEqual([null, [open]])
  expect(read({ certFile: absent, keyFile })).toEqual([null, [noCertificate, open]])
})
