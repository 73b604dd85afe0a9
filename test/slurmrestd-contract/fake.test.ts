/** The fake obeys its own contract list, and does what cases ask of it beyond the real daemon. */

import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FakeSlurmrestd } from '../support/fake-slurmrestd.ts'
import { RawConnection, requestRaw } from '../support/raw-http.ts'
import { signSlurmJwt } from '../support/slurm-jwt.ts'
import { SLURMRESTD_CONTRACT, type ContractSubject } from './cases.ts'

const key = randomBytes(32)
let fake: FakeSlurmrestd
let subject: ContractSubject

beforeAll(async () => {
  fake = await FakeSlurmrestd.start(key)
  subject = {
    address: { host: '127.0.0.1', port: fake.port },
    version: 'v0.0.42',
    release: null,
    user: 'alice',
    mintToken({ expired = false, wrongKey = false } = {}) {
      const now = Math.floor(Date.now() / 1000)
      const claims = { sun: 'alice', iat: now, exp: now + (expired ? -5 : 60) }
      return signSlurmJwt(wrongKey ? randomBytes(32) : key, claims)
    },
  }
})

afterAll(() => fake.stop())

describe('the fake slurmrestd keeps its contract', () => {
  for (const entry of SLURMRESTD_CONTRACT) {
    test(`${entry.name} [${entry.source}]`, () => entry.run(subject))
  }
})

describe('the fake slurmrestd serves the cases', () => {
  test('every request is recorded as it came', async () => {
    fake.reset()
    const headers = ['X-SLURM-USER-TOKEN:  t', ['x-odd', 'Value']] as const
    await requestRaw(subject.address, { method: 'POST', target: '//a?b=%20', headers, body: 'bytes' })
    expect(fake.requests).toMatchObject([{ method: 'POST', target: '//a?b=%20', body: Buffer.from('bytes') }])
    expect(fake.requests[0]?.headers).toContainEqual(['x-odd', 'Value'])
  })

  test('doubled errors stand twice on one connection, then it ends', async () => {
    fake.reset()
    fake.behaviour.doublesErrors = true
    const connection = await RawConnection.open(subject.address)
    await connection.send({ method: 'GET', target: '/nope', headers: [['X-SLURM-USER-TOKEN', 't']] })
    const [first, second] = [await connection.readAnswer(), await connection.readAnswer()]
    expect([first.status, second.status]).toEqual([404, 404])
    expect(second.body).toEqual(first.body)
    fake.reset()
  })

  test('a head in pieces and pipelining are noticed', async () => {
    fake.violations.length = 0
    const connection = await RawConnection.open(subject.address)
    await connection.write('GET / HTTP/1.1\r\nHo')
    await connection.readAnswer()
    expect(fake.violations).toHaveLength(1)
    fake.behaviour.delayMilliseconds = 50
    const second = await RawConnection.open(subject.address)
    const head = 'GET /openapi/v3 HTTP/1.1\r\nHost: x\r\nX-SLURM-USER-TOKEN: t\r\n\r\n'
    await second.write(head)
    await new Promise((resolve) => setTimeout(resolve, 10))
    await second.write(head)
    await second.readAnswer()
    expect(fake.violations).toHaveLength(2)
    fake.violations.length = 0
    fake.reset()
  })
})
