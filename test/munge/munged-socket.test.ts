/** munged's socket when munged misbehaves: always an outage in time, never a verdict, nothing left behind. */

import { chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { BODY_MAX_BYTES } from '../../src/munge/frame.ts'
import { createMungedClient, type MungedClient } from '../../src/munge/munged-client.ts'
import { Outage } from '../../src/refusal.ts'
import { countDescriptors } from '../support/descriptors.ts'
import { FakeMunged, writeDecodeResponse, writeFrame } from '../support/fake-munged.ts'
import { sleep, waitUntil } from '../support/program.ts'

let fake: FakeMunged
beforeEach(async () => {
  fake = new FakeMunged()
  await fake.start()
})
afterEach(() => fake.remove())

const connectClient = (deadlineMilliseconds = 300): MungedClient =>
  createMungedClient(createMungedSocket({ path: fake.socketPath, deadlineMilliseconds }))

async function findOutage(promise: Promise<unknown>): Promise<Outage> {
  const error: unknown = await promise.then(
    () => null,
    (caught: unknown) => caught,
  )
  if (error instanceof Outage && error.rule === 'munged_unavailable') return error
  throw new Error(`not an outage of munged: ${String(error)}`)
}

test('a munged that says nothing is an outage at the deadline', async () => {
  fake.behaviour = { kind: 'silent' }
  const startedAt = performance.now()
  expect((await findOutage(connectClient().decode('MUNGE:AAAA:'))).message).toContain('in time')
  expect(performance.now() - startedAt).toBeGreaterThan(250)
})

test('a munged that drips its answer is an outage at the same deadline', async () => {
  fake.behaviour = { kind: 'slow', millisecondsPerByte: 20 }
  expect((await findOutage(connectClient().decode('MUNGE:AAAA:'))).message).toContain('in time')
})

test('an answer in many small pieces is read whole', async () => {
  fake.behaviour = { kind: 'slow', millisecondsPerByte: 1 }
  expect(await connectClient(60_000).decode('MUNGE:AAAA:')).toMatchObject({ errorNumber: 14 })
})

test('a munged that hangs up is an outage at once, whether it read, said nothing or stopped anywhere', async () => {
  fake.behaviour = { kind: 'closes' }
  await findOutage(connectClient().decode('MUNGE:AAAA:'))
  for (const length of [0, 1, 10, 11, 12, 40, 61]) {
    fake.behaviour = { kind: 'truncated', length, thenCloses: true }
    const startedAt = performance.now()
    const outage = await findOutage(connectClient(60_000).decode('MUNGE:AAAA:'))
    expect(outage.message).toContain(`after ${length} bytes`)
    expect(performance.now() - startedAt, `${length} bytes`).toBeLessThan(30_000)
  }
  fake.behaviour = { kind: 'truncated', length: 30, thenCloses: false }
  await findOutage(connectClient().decode('MUNGE:AAAA:'))
})

test.each([
  ['another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['an answer to another question', writeFrame(3, Buffer.of(0, 0, 0, 0, 0, 0))],
  ['a body over the cap', writeFrame(5, Buffer.alloc(0)).fill(0xff, 7)],
  ['an answer and more', Buffer.concat([writeDecodeResponse({}), Buffer.of(0)])],
  ['an empty body', writeFrame(5, Buffer.alloc(0))],
  ['a body of zeros', writeFrame(5, Buffer.alloc(4096))],
])('%s is an outage', async (_what, bytes) => {
  fake.behaviour = { kind: 'raw', bytes }
  await findOutage(connectClient().decode('MUNGE:AAAA:'))
})

test('an endless answer is not read past the length its header tells', async () => {
  fake.behaviour = {
    kind: 'raw',
    bytes: Buffer.concat([writeFrame(5, Buffer.alloc(BODY_MAX_BYTES)), Buffer.alloc(8 << 20)]),
  }
  expect((await findOutage(connectClient(60_000).decode('MUNGE:AAAA:'))).message).toContain(
    'after its answer',
  )
})

test('a socket that is not there, or is none, is told to the operator', async () => {
  const absent = createMungedClient(createMungedSocket({ path: '/nonexistent/munge.socket' }))
  expect((await findOutage(absent.check())).message).toContain('no such socket')
  const notASocket = createMungedClient(createMungedSocket({ path: tmpdir() }))
  expect((await findOutage(notASocket.check())).message).toContain(tmpdir())
})

test('a request is sent once, however it ends', async () => {
  for (const kind of ['silent', 'closes'] as const) {
    const before = fake.requests
    fake.behaviour = { kind }
    await findOutage(connectClient().decode('MUNGE:AAAA:'))
    expect(fake.requests - before).toBe(1)
  }
})

test('at most 64 requests are in flight and 1,024 wait; the rest is told so at once, and none waits past the deadline', async () => {
  fake.behaviour = { kind: 'silent' }
  const client = connectClient(4_000)
  const startedAt = performance.now()
  const calls = Array.from({ length: 64 + 1024 + 10 }, () => findOutage(client.decode('MUNGE:AAAA:')))
  const turnedAway = await Promise.all(calls.slice(-10))
  expect(turnedAway[0]?.message).toContain('64 in flight and 1024 waiting')
  expect(performance.now() - startedAt).toBeLessThan(3_500)
  await Promise.all(calls)
  expect(performance.now() - startedAt).toBeLessThan(60_000)
  expect(fake.requests).toBeLessThanOrEqual(128)
  fake.behaviour = { kind: 'honest' }
  await client.check()
})

test('a daemon that is restarted with calls under way fails those at once, each asked once, and answers the next ones', async () => {
  fake.behaviour = { kind: 'silent' }
  const client = connectClient(60_000)
  const startedAt = performance.now()
  const calls = Array.from({ length: 64 }, () => findOutage(client.decode('MUNGE:AAAA:')))
  await waitUntil('munged was asked', () => fake.requests === 64)
  await fake.stop()
  await Promise.all(calls)
  expect(performance.now() - startedAt).toBeLessThan(30_000)
  fake.behaviour = { kind: 'honest' }
  await fake.start()
  await client.check()
  expect(fake.requests).toBe(66)
})

test('a daemon that comes and goes all the time gives answers and outages, never anything else', async () => {
  const client = connectClient(2_000)
  let isOver = false
  const outcomes = { answers: 0, outages: 0 }
  const ask = async (): Promise<void> => {
    while (!isOver) {
      const answer = await client.encode({ ttlSeconds: 5 }).catch((error: unknown) => error)
      if (typeof answer === 'string') outcomes.answers += 1
      else if (answer instanceof Outage && answer.rule === 'munged_unavailable') outcomes.outages += 1
      else throw answer
      await sleep(1)
    }
  }
  const asking = Promise.all(Array.from({ length: 8 }, ask))
  for (let round = 0; round < 20; round += 1) {
    await sleep(20)
    await fake.stop()
    await sleep(10)
    await fake.start()
  }
  await sleep(50)
  isOver = true
  await asking
  expect(outcomes.answers).toBeGreaterThan(0)
  expect(outcomes.outages).toBeGreaterThan(0)
})

test.skipIf(process.getuid?.() !== 0)(
  'a socket below a directory that lets nobody in is told to the operator',
  async () => {
    chmodSync(dirname(fake.socketPath), 0o700)
    process.seteuid?.(65534)
    const outage = findOutage(connectClient(60_000).decode('MUNGE:AAAA:'))
    const { message } = await outage.finally(() => process.seteuid?.(0))
    expect(message).toContain('permission denied')
    await connectClient().check()
  },
)

test('10,000 failing calls leave the number of descriptors flat', async () => {
  const client = connectClient(100)
  const absent = createMungedClient(createMungedSocket({ path: `${fake.socketPath}.absent` }))
  const behaviours = [
    { kind: 'closes' },
    { kind: 'truncated', length: 20, thenCloses: true },
    { kind: 'raw', bytes: Buffer.from('garbage that is long enough') },
    { kind: 'slow', millisecondsPerByte: 50 },
    { kind: 'silent' },
  ] as const
  await findOutage(absent.decode('MUNGE:AAAA:'))
  const before = countDescriptors()
  for (let round = 0; round < 100; round += 1) {
    // The last two each take their time limit.
    fake.behaviour = behaviours[round % 20 === 19 ? 3 + ((round / 20) & 1) : round % 3] ?? { kind: 'closes' }
    const calls = Array.from({ length: 100 }, (_, index) => (index < 90 ? client : absent))
    await Promise.all(calls.map((asked) => findOutage(asked.decode('MUNGE:AAAA:'))))
  }
  await waitUntil('the descriptors are closed', () => countDescriptors() <= before + 2)
})
