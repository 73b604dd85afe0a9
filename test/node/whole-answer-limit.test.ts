/** An answer that is gathered before anybody gets it holds its slot and its room for twice the time limit at the most. */

import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createSlurmrestdUpstream } from '../../functions/node/slurmrestd-pool.ts'
import { ANSWER_TIME_LIMITS } from '../../src/limits.ts'
import type { UpstreamRequest } from '../../src/ports.ts'
import { sleep } from '../support/program.ts'
import { buildAnswer, buildRequest, findFailure } from './raw-upstream.ts'

const LIMIT = 400
const HEAD = buildAnswer('200 OK', ['Content-Length: 1000'])
const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

/** @param serve gets each connection as it comes. @returns how the call failed, after how many limits, and its ends. */
async function measure(serve: (socket: Socket) => void, change: Partial<UpstreamRequest> = {}) {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined)
    ends.push(() => socket.destroy())
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`)
  const upstream = createSlurmrestdUpstream({ kind: 'url', url, serviceHeaders: {} }, 1)
  ends.push(
    () => upstream.close(),
    () => server.close(),
  )
  let count = 0
  const onEnd = (): void => void (count += 1)
  const request = buildRequest({ timeoutMilliseconds: LIMIT, takeWhole: () => true, onEnd, ...change })
  const startedAt = performance.now()
  const failure = await findFailure(upstream.send(request))
  return { failure, limits: (performance.now() - startedAt) / LIMIT, ends: count }
}

test.each([0.2, 0.9])(
  'one that comes a drop at a time, the first after %f of the limit, is cut off then',
  async (first) => {
    const drip = async (socket: Socket): Promise<void> => {
      socket.write(HEAD)
      await sleep(first * LIMIT)
      while (!socket.destroyed) {
        socket.write('x')
        await sleep(LIMIT / 4)
      }
    }
    const found = await measure((socket) => {
      socket.once('data', () => {
        void drip(socket)
      })
    })
    expect(found).toMatchObject({ failure: { rule: 'overloaded' }, ends: 1 })
    expect(found.limits).toBeGreaterThan(ANSWER_TIME_LIMITS - 0.1)
    expect(found.limits).toBeLessThan(ANSWER_TIME_LIMITS + 0.5)
  },
)

test('one that has nothing behind its head is a timeout after one limit of silence', async () => {
  const found = await measure((socket) => {
    socket.once('data', () => socket.write(HEAD))
  })
  expect(found).toMatchObject({ failure: { rule: 'upstream_timeout' }, ends: 1 })
  expect(found.limits).toBeLessThan(ANSWER_TIME_LIMITS - 0.2)
})

test('one whose head comes early, while the body of the request is still read bit by bit, is cut off then', async () => {
  const readSlowly = async (socket: Socket): Promise<void> => {
    socket.write(HEAD)
    while (!socket.destroyed) {
      socket.pause()
      await sleep(LIMIT / 4)
      socket.resume()
      await sleep(2)
    }
  }
  const post = { method: 'POST', body: new Uint8Array(50 * 1024 * 1024) } as const
  const found = await measure((socket) => {
    void readSlowly(socket)
  }, post)
  expect(found).toMatchObject({ failure: { rule: 'overloaded' }, ends: 1 })
  expect(found.limits).toBeLessThan(ANSWER_TIME_LIMITS + 0.5)
})
