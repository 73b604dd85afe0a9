/** The verifier process against whoever reaches its port: too many, too large, too slow, not genuine, on the wrong address. */

import { expect, test } from 'vitest'
import { createGatewayEnd } from '../../src/munge/exchange.ts'
import type { Outage } from '../../src/refusal.ts'
import { type Program, sleep, waitUntil } from '../support/program.ts'
import {
  findHeader,
  RawConnection,
  requestRaw,
  type RawAnswer,
  type RawRequest,
} from '../support/raw-http.ts'
import { buildRemote, CLIENT, KEY, useVerifierProgram } from './verifier-program.ts'

const verifier = useVerifierProgram()
/** A regular user need not run the tests. */
const ANYBODY = { MUNGE_MIN_UID: '1', SLURM_DENIED_USERS: '' }
const QUESTION_MAX_BYTES = 16 * 1024

const question = (body: string, more: Partial<RawRequest> = {}): RawRequest => ({
  method: 'POST',
  target: '/verify',
  body,
  ...more,
})

async function buildQuestion(credential: string, key: Uint8Array = KEY): Promise<string> {
  const end = createGatewayEnd({
    keys: [new Uint8Array(key)],
    clock: Date.now,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  })
  const { jws } = await end.signRequest(credential, CLIENT)
  return JSON.stringify({ credential, request: jws })
}

function readEvents(running: Program): Record<string, unknown>[] {
  return running.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** Each line, and those it stands for. */
function countTold(lines: readonly Record<string, unknown>[]): number {
  return lines.reduce((sum, { leftOut }) => sum + Number(leftOut ?? 1), 0)
}

test('over its rate it answers 429 with Retry-After over either way in, and munged is not asked', async () => {
  const { port, running } = await verifier.start({ ...ANYBODY, VERIFIER_RATE_LIMIT_PER_SECOND: '1' })
  const address = { host: '127.0.0.1', port }
  const credential = await verifier.encode()
  const bodies = await Promise.all(Array.from({ length: 40 }, () => buildQuestion(credential)))
  const before = verifier.fake.requests
  const startedAt = performance.now()
  // Every other one in chunks: those the app takes.
  const answers = await Promise.all(
    bodies.map((body, index) =>
      requestRaw(address, question(body, { framing: index % 2 === 0 ? 'length' : 'chunked' })),
    ),
  )
  const roomMax = 3 + Math.floor((performance.now() - startedAt) / 1000)
  const judged = answers.filter(({ status }) => status === 200)
  expect(judged.length).toBeGreaterThanOrEqual(1)
  expect(judged.length).toBeLessThanOrEqual(roomMax)
  expect(verifier.fake.requests - before).toBe(judged.length)
  for (const parity of [0, 1]) {
    const refused = answers.filter(({ status }, index) => index % 2 === parity && status === 429)
    expect(refused.length).toBeGreaterThan(10)
    for (const answer of refused) expect(findHeader(answer, 'retry-after')).toBe('1')
  }
  const outages = await findOutages(port, credential)
  expect(outages[0]).toMatchObject({ rule: 'verifier_overloaded' })
  await sleep(1_500)
  expect((await requestRaw(address, question(await buildQuestion(credential)))).status).toBe(200)
  const overloads = readEvents(running).filter(({ event }) => event === 'verifier_overloaded')
  expect(countTold(overloads)).toBe(answers.length - judged.length + outages.length)
})

/** What a gateway makes of more questions than there is room for. */
async function findOutages(port: number, credential: string): Promise<Outage[]> {
  const remote = buildRemote(port)
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, () => remote.verify(credential, CLIENT)),
  )
  return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as Outage] : []))
}

test('a flood that is not genuine is 401, a few lines a second, and takes no room of what is', async () => {
  const { port, running } = await verifier.start({ ...ANYBODY, VERIFIER_RATE_LIMIT_PER_SECOND: '1' })
  const address = { host: '127.0.0.1', port }
  const credential = await verifier.encode()
  const stranger = await buildQuestion(credential, Buffer.alloc(32, 6))
  const before = verifier.fake.requests
  const startedAt = performance.now()
  const statuses = new Set<number>()
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => requestRaw(address, question(stranger))),
    )
    for (const { status } of answers) statuses.add(status)
  }
  expect([...statuses]).toEqual([401])
  expect(verifier.fake.requests).toBe(before)
  expect((await requestRaw(address, question(await buildQuestion(credential)))).status).toBe(200)
  await sleep(1_200)
  const seconds = Math.ceil((performance.now() - startedAt) / 1000)
  const lines = readEvents(running).filter(({ event }) => event === 'verifier_request_refused')
  expect(lines.length).toBeLessThanOrEqual(6 * seconds)
  expect(countTold(lines)).toBe(1000)
  expect(running.stderr).toBe('')
})

test('clients that break off are a few lines a second, too', async () => {
  const { port, running } = await verifier.start()
  for (let round = 0; round < 100; round++) {
    const connection = await RawConnection.open({ host: '127.0.0.1', port })
    const framing = round % 2 === 0 ? 'Transfer-Encoding: chunked' : 'Content-Length: 100'
    await connection.write(`POST /verify HTTP/1.1\r\nHost: verifier\r\n${framing}\r\n\r\n5\r\nhello`)
    await sleep(2)
    connection.close()
  }
  await sleep(1_200)
  expect((await requestRaw({ host: '127.0.0.1', port }, { method: 'GET', target: '/healthz' })).status).toBe(
    200,
  )
  expect(running.lines.length).toBeLessThan(20)
  expect(running.stderr).toBe('')
})

test('a question over 16 KiB is 413 over either way in, and munged is not asked', async () => {
  const { port } = await verifier.start()
  const address = { host: '127.0.0.1', port }
  const before = verifier.fake.requests
  const large = JSON.stringify({ request: 'A'.repeat(QUESTION_MAX_BYTES) })
  const exact = 'A'.repeat(QUESTION_MAX_BYTES)
  const bare = { framing: 'bare', headers: ['Content-Length: 1000000000'] } as const
  const answers: RawAnswer[] = [
    await requestRaw(address, question(large)),
    await requestRaw(address, question(large, { framing: 'chunked' })),
    // Says so before any of it was sent.
    await requestRaw(address, { method: 'POST', target: '/verify', ...bare }),
    await requestRaw(address, question(exact)),
    await requestRaw(address, question(exact, { framing: 'chunked' })),
  ]
  expect(answers.map(({ status }) => status)).toEqual([413, 413, 413, 401, 401])
  expect(verifier.fake.requests).toBe(before)
})

test('slow clients are closed within seconds, and hold up nobody meanwhile', async () => {
  const { port } = await verifier.start(ANYBODY)
  const address = { host: '127.0.0.1', port }
  const starts = [
    '',
    'POST /verify HTTP/1.1\r\nHost: ver',
    'POST /verify HTTP/1.1\r\nHost: verifier\r\nContent-Length: 100\r\n\r\n{"req',
    'POST /verify HTTP/1.1\r\nHost: verifier\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"req',
  ]
  const startedAt = performance.now()
  const slow = await Promise.all(starts.map(() => RawConnection.open(address)))
  await Promise.all(slow.map((connection, index) => connection.write(starts[index] ?? '')))
  const body = await buildQuestion(await verifier.encode())
  expect((await requestRaw(address, question(body))).status).toBe(200)
  expect(slow.some(({ isClosed }) => isClosed)).toBe(false)
  await waitUntil('they are closed', () => slow.every(({ isClosed }) => isClosed), 30_000)
  // 5 s, and a second until it is looked at; by default it would be 30 to 90.
  expect(performance.now() - startedAt).toBeLessThan(15_000)
})

test('more connections than it has room for are closed, told of in a few lines, and take nothing from the others', async () => {
  const { port, running } = await verifier.start(ANYBODY)
  const address = { host: '127.0.0.1', port }
  const gateway = await RawConnection.open(address)
  const ask = async (): Promise<number> => {
    await gateway.send(question(await buildQuestion(await verifier.encode())))
    return (await gateway.readAnswer('POST')).status
  }
  expect(await ask()).toBe(200)
  const others: RawConnection[] = []
  for (let round = 0; round < 21; round++)
    others.push(...(await Promise.all(Array.from({ length: 100 }, () => RawConnection.open(address)))))
  await waitUntil('it says so', () => running.stdout.includes('connection_refused'))
  expect(await ask()).toBe(200)
  expect(others.filter(({ isClosed }) => !isClosed).length).toBeLessThanOrEqual(2_048)
  await waitUntil('the count is told', () => readEvents(running).some(({ leftOut }) => Number(leftOut) > 0))
  const lines = readEvents(running).filter(({ event }) => event === 'connection_refused')
  expect(lines[0]).toMatchObject({ level: 'warn', connectionsMax: 2_048 })
  expect(lines.length).toBeLessThan(20)
  for (const connection of [gateway, ...others]) connection.close()
})

test.each([
  ['by default on 127.0.0.1', {}, '127.0.0.1', '127.0.0.2'],
  ['on exactly the address it is given', { VERIFIER_HOST: '127.0.0.3' }, '127.0.0.3', '127.0.0.1'],
])('it listens %s and nowhere else', async (_what, settings, named, other) => {
  const { port } = await verifier.start(settings)
  const ask = (host: string): Promise<number | string> =>
    requestRaw({ host, port }, { method: 'GET', target: '/healthz' }).then(
      ({ status }) => status,
      (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
    )
  expect(await ask(named)).toBe(200)
  expect(await ask(other)).toBe('ECONNREFUSED')
  expect(await ask('::1')).toBe('ECONNREFUSED')
})
