/**
 * Answers that are too large to be held (CACHE_ENTRY_MAX_BYTES), through the built gateway: they stream at the client's pace,
 * within its memory, and a client that takes nothing is cut off.
 */

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { GatewayDatabase, type GatewayProcess } from '../support/gateway-process.ts'
import { createDatabase, stopOwnPostgres } from '../support/postgres.ts'
import { sleep } from '../support/program.ts'
import type { Environment } from '../support/surroundings.ts'
import { findLongDigest, LONG_BYTES, writeLongAnswer, type Framing, type Progress } from './long-answer.ts'
import { buildSized, RawUpstream } from './raw-upstream.ts'

const MIB = 1024 * 1024
const ADDED_BYTES_MAX = 32 * MIB
const WARM_UP_REQUESTS = 100
const LONG_TARGET = '/slurm/v0.0.42/jobs'
const SHORT_TARGET = '/slurm/v0.0.42/nodes'

let upstream: RawUpstream
let database: GatewayDatabase
let token: string
let gateway: GatewayProcess
/** Of the next long answer. */
let framing: Framing
let progress: Progress
/** Until it is written, or cut off. */
let writing: Promise<void>

beforeAll(async () => {
  upstream = await RawUpstream.start(({ head }, socket) => {
    if (head.startsWith(`GET ${LONG_TARGET} `)) writing = writeLongAnswer(socket, framing, progress)
    else socket.write(buildSized('200 OK', '{"nodes":[],"errors":[]}'))
  })
  database = await GatewayDatabase.setUp(await createDatabase())
  token = (await database.issueToken()).token
})
afterEach(() => gateway.program.stop())
afterAll(async () => {
  await upstream.close()
  await stopOwnPostgres()
})

/** A new one, which has answered short questions. */
async function startGateway(environment: Environment = {}): Promise<void> {
  progress = { written: 0 }
  const { address } = upstream
  if (address.kind !== 'url') throw new Error('no port')
  gateway = await database.startGateway(Number(address.url.port), environment)
  for (let index = 0; index < WARM_UP_REQUESTS; index += 1) await askShort()
  // What its start left behind is collected as soon as it has nothing to do.
  await sleep(1_000)
}

function open(path: string): Promise<IncomingMessage> {
  const { host, port } = gateway
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` }
    request({ host, port, path, headers, agent: false }, resolve).once('error', reject).end()
  })
}

async function askShort(): Promise<void> {
  const answer = await open(SHORT_TARGET)
  answer.resume()
  await once(answer, 'end')
  expect(answer.statusCode).toBe(200)
}

/** The most that the gateway has had since `forgetPeak`. */
function readPeakBytes(): number {
  const status = readFileSync(`/proc/${String(gateway.program.pid)}/status`, 'utf8')
  return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1])
}

/** proc(5), `clear_refs`: 5 sets the peak to what there is now. */
function forgetPeak(): void {
  writeFileSync(`/proc/${String(gateway.program.pid)}/clear_refs`, '5')
}

/** Takes all of an answer. @param pause after each MiB. */
async function take(answer: IncomingMessage, pause: () => Promise<void>) {
  const hash = createHash('sha256')
  let [length, pausedAt, aheadMost] = [0, 0, 0]
  for await (const piece of answer as AsyncIterable<Buffer>) {
    hash.update(piece)
    length += piece.length
    aheadMost = Math.max(aheadMost, progress.written - length)
    if (length - pausedAt < MIB) continue
    pausedAt = length
    await pause()
  }
  return { length, digest: hash.digest('hex'), aheadMost }
}

test.each<[string, Framing, number]>([
  ['slow', 'length', 20],
  ['slow', 'chunked', 20],
  ['fast', 'length', 0],
  ['fast', 'chunked', 0],
])(
  'a %s client gets all 200 MB of an answer framed by %s, streamed, and the gateway grows by 32 MiB at most',
  async (_pace, how, pauseMilliseconds) => {
    framing = how
    await startGateway()
    forgetPeak()
    const before = readPeakBytes()
    const answer = await open(LONG_TARGET)
    const taken = await take(answer, () =>
      pauseMilliseconds === 0 ? Promise.resolve() : sleep(pauseMilliseconds),
    )
    const added = readPeakBytes() - before
    expect([answer.statusCode, answer.headers['x-cache'], answer.headers.etag]).toEqual([
      200,
      'BYPASS',
      undefined,
    ])
    expect(answer.headers['content-length']).toBe(how === 'length' ? String(LONG_BYTES) : undefined)
    expect([taken.length, taken.digest]).toEqual([LONG_BYTES, findLongDigest()])
    expect(added).toBeGreaterThan(0)
    expect(added).toBeLessThanOrEqual(ADDED_BYTES_MAX)
    // What both kernels hold on the way counts as taken too.
    if (pauseMilliseconds > 0) expect(taken.aheadMost).toBeLessThan(LONG_BYTES / 3)
  },
)

test.each<Framing>(['length', 'chunked'])(
  'a client that stops taking its answer (%s) is cut off after CLIENT_STALL_SECONDS, and its slot is free for the next one',
  async (how) => {
    framing = how
    // The next one has to go upstream.
    await startGateway({ CLIENT_STALL_SECONDS: '1', UPSTREAM_MAX_CONCURRENCY: '1', CACHE_TTL_SECONDS: '0' })
    const answer = await open(LONG_TARGET)
    const failed = once(answer, 'error')
    await askShort()
    await writing
    expect(progress.written).toBeLessThan(LONG_BYTES / 2)
    answer.resume()
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }])
    expect(answer.complete).toBe(false)
  },
)
