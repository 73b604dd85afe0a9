/** A client that takes a long answer slowly holds up slurmrestd, and nobody else. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSlurmrestdUpstream, type NodeUpstream } from '../../functions/node/slurmrestd-pool.ts'
import { sleep } from '../support/program.ts'
import { buildRequest, RawUpstream, type WriteRawAnswer } from './raw-upstream.ts'

const MIB = 1024 * 1024

let server: RawUpstream
let upstream: NodeUpstream
let writeAnswer: WriteRawAnswer

beforeEach(async () => {
  server = await RawUpstream.start((request, socket) => writeAnswer(request, socket))
  upstream = createSlurmrestdUpstream(server.address, 2)
})
afterEach(async () => {
  await upstream.close()
  await server.close()
})

/** The answer's bytes without its last, which is held back: the reader comes to wait for it. */
function writeAllButOne(length: number): { finish: () => void } {
  const held: { finish: () => void } = { finish: () => undefined }
  writeAnswer = (_request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`)
    socket.write(Buffer.alloc(length - 1, 'x'))
    held.finish = () => void socket.write('x')
  }
  return held
}

async function openAnswer() {
  const { body } = await upstream.send(buildRequest({ timeoutMilliseconds: 10_000 }))
  if (!(body instanceof ReadableStream)) throw new Error('no stream')
  return body.getReader()
}

test('reads of an answer whose end has not come yet wait, and never give nothing', async () => {
  const held = writeAllButOne(8 * MIB)
  const reader = await openAnswer()
  await sleep(300)
  let length = 0
  // Bounded: a reader that was given nothing again and again would never let a timer run.
  for (let reads = 0; reads < 5_000 && length < 8 * MIB - 1; reads += 1) {
    const { value } = await reader.read()
    expect(value?.length).toBeGreaterThan(0)
    length += value?.length ?? 0
  }
  expect(length).toBe(8 * MIB - 1)
  const last = reader.read()
  expect(await Promise.race([last, sleep(300).then(() => 'waiting')])).toBe('waiting')
  held.finish()
  expect((await last).value?.length).toBe(1)
  expect((await reader.read()).done).toBe(true)
})

test('of an answer that nobody reads about a MiB is taken, and slurmrestd keeps the rest', async () => {
  writeAllButOne(256 * MIB)
  const reader = await openAnswer()
  await sleep(500)
  const [socket] = server.sockets.values()
  // What the kernel's two buffers hold counts as taken.
  expect(socket?.writableLength).toBeGreaterThan(200 * MIB)
  await reader.cancel()
})

test('stops and starts at random lose nothing', async () => {
  const held = writeAllButOne(16 * MIB)
  const reader = await openAnswer()
  let length = 0
  for (let reads = 0; reads < 20_000 && length < 16 * MIB - 1; reads += 1) {
    if (reads % 7 === 0) await sleep(reads % 3)
    const { value } = await reader.read()
    expect(value?.length).toBeGreaterThan(0)
    length += value?.length ?? 0
  }
  held.finish()
  expect((await reader.read()).value?.length).toBe(1)
  expect((await reader.read()).done).toBe(true)
  expect(length).toBe(16 * MIB - 1)
})
