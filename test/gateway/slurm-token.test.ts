/** facts/slurm.md 1 and "Slurm tokens": one short token per user, verified here by a library of its own (jose). */

import { decodeProtectedHeader, exportJWK, generateKeyPair, importJWK, jwtVerify } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { SLURM_TOKENS_KEPT } from '../../src/limits.ts'
import { createSlurmTokenMinter, createSlurmTokenSource, type SlurmKey } from '../../src/slurm-token.ts'
import { outageOf } from './in-memory-ports.ts'

const KEY = new Uint8Array(32).map((_, index) => index)
const HS256: SlurmKey = { algorithm: 'HS256', bytes: KEY }
const START = 1_800_000_000

function setUp(more: { key?: SlurmKey; lifespanSeconds?: number } = {}) {
  const clock = { seconds: START }
  const source = createSlurmTokenSource({
    key: HS256,
    lifespanSeconds: 120,
    deniedUsers: new Set(['root', 'slurm']),
    now: () => clock.seconds * 1000,
    ...more,
  })
  return { clock, source }
}

async function readClaims(token: string, at: number) {
  const options = { algorithms: ['HS256'], currentDate: new Date(at * 1000) }
  return (await jwtVerify(token, KEY, options)).payload
}

it('is not handed out again when less than the spare time of its use is left', async () => {
  const clock = { seconds: START }
  const minter = createSlurmTokenMinter({
    key: HS256,
    lifespanSeconds: 120,
    deniedUsers: new Set(),
    now: () => clock.seconds * 1000,
    spareSeconds: 30,
  })
  const first = await minter.mint('alice')
  clock.seconds = START + 30
  expect((await minter.mint('alice')).token).toBe(first.token)
  clock.seconds = START + 31
  expect((await minter.mint('alice')).issuedAt).toBe(START + 31)
})

describe('a token', () => {
  it('is for exactly the user, with integer times and nothing else', async () => {
    const { source, clock } = setUp()
    clock.seconds += 0.999
    const token = await source.findToken({ slurmUser: 'alice' })
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'JWT' })
    expect(await readClaims(token, START)).toEqual({ sun: 'alice', iat: START, exp: START + 120 })
  })

  it.each([30, 31, 120, 600])(
    'of %i s is used again only with at least half its life left',
    async (lifespanSeconds) => {
      const { source, clock } = setUp({ lifespanSeconds })
      const first = await source.findToken({ slurmUser: 'alice' })
      const seen = new Set<string>()
      for (let second = 0; second <= 2 * lifespanSeconds; second += 0.5) {
        clock.seconds = START + second
        const token = await source.findToken({ slurmUser: 'alice' })
        const { exp = 0 } = await readClaims(token, START)
        expect(exp - clock.seconds).toBeGreaterThanOrEqual(lifespanSeconds / 2)
        expect(exp - Math.floor(clock.seconds)).toBeLessThanOrEqual(lifespanSeconds)
        seen.add(token)
      }
      expect(seen).toContain(first)
      expect(seen.size).toBeLessThanOrEqual(5)
    },
  )

  it('of one user is never another’s', async () => {
    const { source } = setUp()
    const users = ['alice', 'bob', 'Alice', 'alice2', '__proto__', 'constructor', 'alice']
    for (const user of users) {
      expect(await readClaims(await source.findToken({ slurmUser: user }), START)).toMatchObject({
        sun: user,
      })
    }
    const both = await Promise.all(
      ['carol', 'dave', 'carol'].map(async (user) => source.findToken({ slurmUser: user })),
    )
    const names = await Promise.all(both.map(async (token) => (await readClaims(token, START))['sun']))
    expect(names).toEqual(['carol', 'dave', 'carol'])
  })

  it('is minted again after more users than are kept, still for the right user', async () => {
    const { source } = setUp()
    for (let user = 0; user < SLURM_TOKENS_KEPT + 5; user++)
      await source.findToken({ slurmUser: `u${String(user)}` })
    expect(await readClaims(await source.findToken({ slurmUser: 'u0' }), START)).toMatchObject({ sun: 'u0' })
  })

  it('does not outlive its lifespan when the clock is set back', async () => {
    const { source, clock } = setUp()
    await source.findToken({ slurmUser: 'alice' })
    clock.seconds -= 3600
    const { exp = 0 } = await readClaims(await source.findToken({ slurmUser: 'alice' }), clock.seconds)
    expect(exp - clock.seconds).toBeLessThanOrEqual(120)
  })
})

describe('a denied user', () => {
  it('is never minted for: whoever is root in Slurm impersonates anyone', async () => {
    const { source } = setUp()
    for (const user of ['root', 'slurm']) {
      expect(await outageOf(async () => source.findToken({ slurmUser: user }))).toBe('internal_error')
      await expect(source.findToken({ slurmUser: user })).rejects.not.toThrow(/eyJ/)
    }
  })
})

describe('RS256', () => {
  const world: { key?: SlurmKey; publicJwk?: object } = {}
  beforeAll(async () => {
    const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
    const jwk = { ...(await exportJWK(privateKey)), kid: 'slurm-1' }
    world.key = { algorithm: 'RS256', jwk, keyId: 'slurm-1' }
    world.publicJwk = await exportJWK(publicKey)
  })

  it('is signed with the key whose kid stands in the JWKS file', async () => {
    const { source } = setUp(world)
    const token = await source.findToken({ slurmUser: 'alice' })
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'slurm-1' })
    const key = await importJWK({ ...world.publicJwk, kty: 'RSA' }, 'RS256')
    const { payload } = await jwtVerify(token, key, { currentDate: new Date(START * 1000) })
    expect(payload).toEqual({ sun: 'alice', iat: START, exp: START + 120 })
  })

  it('minted by many at once is valid for each', async () => {
    const { source } = setUp(world)
    const key = await importJWK({ ...world.publicJwk, kty: 'RSA' }, 'RS256')
    for (const token of await Promise.all(
      ['a', 'b', 'c', 'a'].map(async (user) => source.findToken({ slurmUser: user })),
    )) {
      await jwtVerify(token, key, { currentDate: new Date(START * 1000) })
    }
  })
})
