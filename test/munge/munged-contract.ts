/** What the verifier relies on of munged: the same cases for the fake and for the real daemon. */

import { expect, test } from 'vitest'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { createMungedClient, type MungedClient } from '../../src/munge/munged-client.ts'
import { Outage } from '../../src/refusal.ts'
import { sleep } from '../support/program.ts'

export interface MungedUnderTest {
  readonly socketPath: () => string
  readonly originAddress: string
  readonly start: () => Promise<void>
  readonly stop: () => Promise<void>
}

const ownUid = process.getuid?.() ?? 0

export function testMungedContract(munged: MungedUnderTest): void {
  const connectClient = (): MungedClient =>
    createMungedClient(createMungedSocket({ path: munged.socketPath() }))

  test('a credential decodes once to its maker, lifetime, origin, no restriction and no payload', async () => {
    const client = connectClient()
    const answer = await client.decode(await client.encode({ ttlSeconds: 5 }))
    expect(answer).toMatchObject({
      errorNumber: 0,
      ttlSeconds: 5,
      originAddress: munged.originAddress,
      uid: ownUid,
      restrictedUid: null,
      restrictedGid: null,
      payload: Buffer.alloc(0),
    })
    expect(Math.abs(answer.decodedAt - Date.now() / 1000)).toBeLessThan(3)
    expect(answer.decodedAt - answer.encodedAt).toBeLessThan(3)
  })

  test('a second decode is error 17, and still carries the uid', async () => {
    const client = connectClient()
    const credential = await client.encode({ ttlSeconds: 5 })
    await client.decode(credential)
    expect(await client.decode(credential)).toMatchObject({ errorNumber: 17, uid: ownUid })
  })

  test('lifetime 0 is 300 s, and the longest is an hour', async () => {
    const client = connectClient()
    const lifetime = async (ttlSeconds: number): Promise<number> =>
      (await client.decode(await client.encode({ ttlSeconds }))).ttlSeconds
    expect(await lifetime(0)).toBe(300)
    expect(await lifetime(0xffffffff)).toBe(3600)
  })

  test('a payload comes back byte for byte, NUL and high bytes too', async () => {
    const client = connectClient()
    const payload = Uint8Array.from({ length: 256 }, (_, index) => 255 - index)
    const answer = await client.decode(await client.encode({ ttlSeconds: 5, payload }))
    expect([...answer.payload]).toEqual([...payload])
  })

  test("a restriction to another uid is error 18, to the decoder's own it is told", async () => {
    const client = connectClient()
    const restrictTo = async (restrictedUid: number) =>
      await client.decode(await client.encode({ ttlSeconds: 5, restrictedUid }))
    expect(await restrictTo(ownUid + 1)).toMatchObject({ errorNumber: 18 })
    expect(await restrictTo(ownUid)).toMatchObject({ errorNumber: 0, restrictedUid: ownUid })
  })

  test('a credential that outlived its lifetime is error 15, and still carries the uid', async () => {
    const client = connectClient()
    const credential = await client.encode({ ttlSeconds: 1 })
    await sleep(2500)
    expect(await client.decode(credential)).toMatchObject({ errorNumber: 15, uid: ownUid })
  })

  test('a credential with a changed byte, or made up, is an error from 8 to 14', async () => {
    const client = connectClient()
    const bytes = Buffer.from((await client.encode({ ttlSeconds: 5 })).slice(6, -1), 'base64')
    const middle = Math.floor(bytes.length / 2)
    bytes[middle] = (bytes[middle] ?? 0) ^ 1
    for (const base64 of [bytes.toString('base64'), 'AAAA', Buffer.alloc(120, 3).toString('base64')]) {
      const { errorNumber } = await client.decode(`MUNGE:${base64}:`)
      expect(errorNumber).toBeGreaterThanOrEqual(8)
      expect(errorNumber).toBeLessThanOrEqual(14)
    }
  })

  test('64 decodes at once are all answered, each credential once', async () => {
    const client = connectClient()
    const credentials = await Promise.all(Array.from({ length: 64 }, () => client.encode({ ttlSeconds: 5 })))
    const answers = await Promise.all([...credentials, ...credentials].map((text) => client.decode(text)))
    expect(answers.filter((answer) => answer.errorNumber === 0).length).toBe(64)
    expect(answers.filter((answer) => answer.errorNumber === 17).length).toBe(64)
  })

  test('the check passes while munged runs, is an outage while it does not, and passes after its return', async () => {
    const client = connectClient()
    await client.check()
    await munged.stop()
    const failure: unknown = await client.check().catch((error: unknown) => error)
    await munged.start()
    expect(failure).toBeInstanceOf(Outage)
    expect(failure).toMatchObject({ rule: 'munged_unavailable' })
    await client.check()
  })
}
