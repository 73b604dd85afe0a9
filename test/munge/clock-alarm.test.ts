/** Clocks that drift apart are told to the operator, and nobody is judged by it. */

import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { createClockAlarm, findSkew } from '../../src/clock-alarm.ts'
import { createGatewayEnd, createVerifierEnd } from '../../src/munge/exchange.ts'
import { createMungedClient } from '../../src/munge/munged-client.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { FakeMunged } from '../support/fake-munged.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { createTokenDatabase } from '../support/token-database.ts'

const lines: Record<string, unknown>[] = []
const log = {
  write: (level: string, event: string, fields: object) => void lines.push({ level, event, ...fields }),
}
beforeEach(() => {
  lines.length = 0
})
afterAll(stopOwnPostgres)

const reading = { askedAt: 100, answeredAt: 100.5, precisionSeconds: 0 }

test.each([
  ['the same', { ...reading, told: 100.2 }, 0],
  ['3 s ahead', { ...reading, told: 103.5 }, 3],
  ['3 s behind', { ...reading, told: 97 }, -3],
  ['maybe not behind, for it tells whole seconds', { ...reading, told: 99, precisionSeconds: 1 }, 0],
  ['3 s behind at least, in whole seconds', { ...reading, told: 96, precisionSeconds: 1 }, -3],
  ['maybe right, for the answer took long', { ...reading, answeredAt: 105, told: 104 }, 0],
])('a clock that is %s', (_what, seen, seconds) => {
  expect(findSkew(seen)).toBe(seconds)
})

describe('the alarm', () => {
  test('sounds over 2 s, not at 2 s', () => {
    const watchClock = createClockAlarm({ clock: () => 0, log })
    watchClock('munged', { ...reading, told: 102.5 })
    watchClock('munged', { ...reading, told: 98 })
    expect(lines).toEqual([])
    watchClock('munged', { ...reading, told: 102.6 })
    expect(lines).toEqual([{ level: 'error', event: 'clock_skew', clock: 'munged', seconds: 2.1 }])
  })

  test('is repeated once a minute while it lasts, for each clock by itself', () => {
    let now = 0
    const watchClock = createClockAlarm({ clock: () => now, log })
    for (; now <= 120_000; now += 1_000) {
      watchClock('munged', { ...reading, told: 90 })
      watchClock('database', { ...reading, told: 110 })
    }
    const counted = (clock: string) => lines.filter((line) => line['clock'] === clock).length
    expect([counted('munged'), counted('database')]).toEqual([3, 3])
  })
})

describe("munged's clock", () => {
  let fake: FakeMunged
  beforeEach(async () => {
    fake = new FakeMunged()
    await fake.start()
  })
  afterEach(() => fake.remove())

  test.each([
    ['3 s behind', 3_500],
    ['4 s ahead', -4_500],
  ])('%s is alarmed by the check, which passes', async (_what, offset) => {
    const clock = (): number => Date.now() + offset
    const watchClock = createClockAlarm({ clock, log })
    await createMungedClient(createMungedSocket({ path: fake.socketPath }), { clock, watchClock }).check()
    expect(lines).toMatchObject([{ level: 'error', event: 'clock_skew', clock: 'munged' }])
  })

  test('that is right is not', async () => {
    const watchClock = createClockAlarm({ clock: Date.now, log })
    const watch = { clock: Date.now, watchClock }
    await createMungedClient(createMungedSocket({ path: fake.socketPath }), watch).check()
    expect(lines).toEqual([])
  })
})

test("a verifier's clock that is 3 s off is alarmed, and its answer believed; one 9 s off is alarmed and not believed", async () => {
  const keys = [new Uint8Array(32).fill(1)]
  const now = 1_800_000_000_000
  const credential = 'MUNGE:AAAA:'
  const client = { address: '10.0.0.7', isDirectLoopback: false, hostAddresses: [] }
  for (const [offset, kind] of [
    [3_000, 'ready'],
    [-9_000, 'disbelieved'],
  ] as const) {
    lines.length = 0
    const clock = (): number => now
    const watchClock = createClockAlarm({ clock, log })
    const gateway = createGatewayEnd({
      keys,
      clock,
      watchClock,
      randomBytes: (length) => new Uint8Array(length),
    })
    const pending = await gateway.signRequest(credential, client)
    const request = await createVerifierEnd({ keys, clock }).openRequest(pending.jws, credential)
    if (request.kind !== 'genuine') throw new Error(request.reason)
    const answer = await createVerifierEnd({ keys, clock: () => now + offset }).signAnswer(request, {
      kind: 'ready',
    })
    expect((await gateway.openAnswer(answer, pending)).kind).toBe(kind)
    expect(lines).toMatchObject([{ event: 'clock_skew', clock: 'verifier' }])
  }
})

test("the database's clock is compared with each claim: alarmed when it is off, and the claim still counts", async () => {
  const { sql, url } = await createTokenDatabase()
  const { db, close } = openDatabase(url)
  const claim = async (clock: () => number, first: string): Promise<boolean> =>
    createPostgresReplayGuard(db, { clock, log }).claim(first.repeat(64), Math.floor(Date.now() / 1000) + 5)
  expect(await claim(Date.now, 'a')).toBe(true)
  expect(lines).toEqual([])
  expect(await claim(() => Date.now() - 3_000, 'b')).toBe(true)
  expect(await claim(() => Date.now() + 30_000, 'c')).toBe(true)
  expect(await claim(() => Date.now() + 30_000, 'c')).toBe(false)
  const seconds = lines.filter(({ event }) => event === 'clock_skew').map((line) => Number(line['seconds']))
  expect(seconds[0]).toBeCloseTo(3, 0)
  expect(seconds[1]).toBeCloseTo(-30, 0)
  expect(lines).toMatchObject([
    { level: 'error', clock: 'database' },
    { level: 'error', clock: 'database' },
  ])
  await close()
  await sql.end()
})
