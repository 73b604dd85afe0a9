/** A cache between gate and database is kept out of look-ups, and found out where it is not. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Outage } from '../../src/refusal.ts'
import { createCacheWatch, type DatedAnswer } from '../../src/tokens/cache-watch.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { CachingRelay, type Keeps } from '../support/caching-relay.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { buildTokenRow, connect, createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const DIGEST = new Uint8Array(32).fill(7)
const UNKNOWN_DIGEST = new Uint8Array(32).fill(8)

let tokens: TokenDatabase
beforeAll(async () => {
  tokens = await createTokenDatabase()
}, 180_000)
afterAll(async () => {
  await tokens.sql.end()
  await stopOwnPostgres()
})
beforeEach(async () => {
  await tokens.sql`delete from api_tokens`
  await tokens.sql`insert into api_tokens ${tokens.sql(buildTokenRow())}`
})

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function startRelay(keeps: Keeps): Promise<CachingRelay> {
  const relay = await CachingRelay.start(tokens.url, keeps)
  closers.push(() => relay.stop())
  return relay
}

function openStore(url: string, isCacheSuspected = true) {
  const { db, close } = openDatabase(url, { prepare: false })
  closers.unshift(close)
  return createTokenStore(db, { isCacheSuspected })
}

async function findOutage(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    (value) => expect.fail(`answered ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  if (!(error instanceof Outage)) throw error
  expect(error.rule).toBe('token_store_unavailable')
  return error.message
}

/** Hyperdrive keeps this one: an index probe like the look-up's, without the time. */
async function readRevocation(url: string): Promise<unknown> {
  const sql = connect(url)
  const [row] = await sql`select revoked_at from api_tokens where digest = ${Buffer.from(DIGEST)}`
  await sql.end()
  return row?.['revoked_at']
}

describe('behind a cache that keeps what Hyperdrive says it keeps', () => {
  it('look-ups are not kept: a revocation and a new token count at once', async () => {
    const relay = await startRelay('documented')
    const store = openStore(relay.findUrl(tokens.url))
    await store.check()
    expect((await store.findByDigest(DIGEST))?.revokedAt).toBeNull()
    expect(await store.findByDigest(UNKNOWN_DIGEST)).toBeNull()
    await tokens.sql`update api_tokens set revoked_at = to_timestamp(1893000000)`
    const row = buildTokenRow({ id: 'tok_bbbbbbbbbbbbbbbb', digest: Buffer.from(UNKNOWN_DIGEST) })
    await tokens.sql`insert into api_tokens ${tokens.sql(row)}`
    expect((await store.findByDigest(DIGEST))?.revokedAt).toBe(1_893_000_000)
    expect((await store.findByDigest(UNKNOWN_DIGEST))?.id).toBe('tok_bbbbbbbbbbbbbbbb')
    expect(relay.hits).toBe(0)
  })

  it('the same probe without the time is kept, revoked or not', async () => {
    const relay = await startRelay('documented')
    const url = relay.findUrl(tokens.url)
    expect(await readRevocation(url)).toBeNull()
    await tokens.sql`update api_tokens set revoked_at = now()`
    expect(await readRevocation(url)).toBeNull()
    // And what the driver itself reads when it connects.
    expect(relay.hits).toBeGreaterThan(0)
    expect(await readRevocation(tokens.url)).toBeInstanceOf(Date)
  })
})

describe('behind a cache that keeps every read', () => {
  it('no look-up is answered, known or unknown, and a check fails, with a way out for the operator', async () => {
    const relay = await startRelay('reads')
    const store = openStore(relay.findUrl(tokens.url))
    for (const digest of [DIGEST, UNKNOWN_DIGEST, DIGEST, UNKNOWN_DIGEST]) {
      expect(await findOutage(store.findByDigest(digest))).toMatch(
        /a cache .* answers look-ups: .*Hyperdrive/,
      )
    }
    expect(await findOutage(store.check())).toContain('--caching-disabled')
  })

  it('what another isolate made it keep is refused: a revoked token does not live on', async () => {
    const relay = await startRelay('reads')
    const url = relay.findUrl(tokens.url)
    const careless = openStore(url, false)
    expect((await careless.findByDigest(DIGEST))?.revokedAt).toBeNull()
    await tokens.sql`update api_tokens set revoked_at = now()`
    // The cache is what it claims to be.
    expect((await careless.findByDigest(DIGEST))?.revokedAt).toBeNull()
    for (let round = 0; round < 3; round++) await findOutage(openStore(url).findByDigest(DIGEST))
  })

  it('one that begins to keep answers later is found out by the next kept answer', async () => {
    const watch = createCacheWatch()
    expect(await watch(tell(1, 2))).toEqual({ toldAt: 2 })
    expect(await watch(tell(3))).toEqual({ toldAt: 3 })
    await expect(watch(tell(2))).rejects.toThrow('a cache')
    await expect(watch(tell(2, 2))).rejects.toThrow('a cache')
    await expect(watch(tell(3, 3))).rejects.toThrow('a cache')
    // Gone again, or it was the clock.
    expect(await watch(tell(1, 1.5))).toEqual({ toldAt: 1.5 })
  })
})

/** Answers with these times, one after the other; a further question is a defect. */
function tell(...times: readonly number[]): () => Promise<DatedAnswer> {
  const left = [...times]
  return () => {
    const toldAt = left.shift()
    return toldAt === undefined ? Promise.reject(new Error('asked too often')) : Promise.resolve({ toldAt })
  }
}

describe('without a cache', () => {
  it('asks twice at first, then once', async () => {
    const watch = createCacheWatch()
    let questions = 0
    const ask = () => Promise.resolve({ toldAt: ++questions })
    await watch(ask)
    expect(questions).toBe(2)
    await watch(ask)
    expect(questions).toBe(3)
  })

  it('answers that overtake each other are no cache', async () => {
    const watch = createCacheWatch()
    await watch(tell(1, 2))
    let answerSlowly: (answer: DatedAnswer) => void = () => undefined
    const slow = watch(() => new Promise<DatedAnswer>((resolve) => (answerSlowly = resolve)))
    expect(await watch(tell(5))).toEqual({ toldAt: 5 })
    answerSlowly({ toldAt: 4 })
    expect(await slow).toEqual({ toldAt: 4 })
    await expect(watch(tell(4.5))).rejects.toThrow('a cache')
  })

  it('real Postgres is believed: one connection, ten, and hundreds at a time', async () => {
    const store = openStore(tokens.url)
    for (let round = 0; round < 50; round++)
      expect((await store.findByDigest(DIGEST))?.slurmUser).toBe('alice')
    const records = await Promise.all(Array.from({ length: 500 }, () => store.findByDigest(DIGEST)))
    expect(records.every((record) => record?.slurmUser === 'alice')).toBe(true)
    await store.check()
  })

  it('what fails is told as it is, not as a cache', async () => {
    const watch = createCacheWatch()
    await expect(watch(() => Promise.reject(new Error('down')))).rejects.toThrow('down')
    expect(await watch(tell(1, 2))).toEqual({ toldAt: 2 })
  })
})
