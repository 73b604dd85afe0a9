/** The pool under the token store, with a network between it and a real Postgres that stalls or is cut: what is lost is lost once. */

import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { Outage } from '../../src/refusal.ts'
import { openDatabase, type OpenDatabase } from '../../src/tokens/database.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { sleep } from '../support/program.ts'
import { Relay } from '../support/relay.ts'
import { createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const CALLERS = 30
const CUTS = 15

let tokens: TokenDatabase
let relay: Relay
let database: OpenDatabase

beforeAll(async () => {
  tokens = await createTokenDatabase()
}, 180_000)
beforeEach(async () => {
  const url = new URL(tokens.url)
  relay = await Relay.start({ host: url.hostname, port: Number(url.port) })
  url.port = String(relay.port)
  database = openDatabase(url.href)
})
afterEach(async () => {
  await database.close()
  await relay.stop()
})
afterAll(async () => {
  await tokens.sql.end()
  await stopOwnPostgres()
})

const lookUp = (): Promise<unknown> => createTokenStore(database.db).findByDigest(randomBytes(32))

test('a first query whose connection is stuck holds up none after it', async () => {
  relay.stall()
  const stuck = lookUp().catch((error: unknown) => error)
  await sleep(100)
  relay.resume()
  const startedAt = performance.now()
  expect(await lookUp()).toBeNull()
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  expect(await stuck).toBeInstanceOf(Outage)
})

test('connections that are cut under load, over and over, leave no dead place behind', async () => {
  const failures: string[] = []
  let isOver = false
  const callers = Array.from({ length: CALLERS }, async () => {
    while (!isOver) {
      await lookUp().catch(async (error: unknown) => {
        failures.push(String(error))
        // Who is refused outright is not at it again at once.
        await sleep(5)
      })
    }
  })
  for (let cut = 0; cut < CUTS; cut += 1) {
    await sleep(100)
    await relay.cut()
    await relay.restore()
  }
  await sleep(100)
  isOver = true
  const endedAt = performance.now()
  await Promise.all(callers)
  expect(performance.now() - endedAt).toBeLessThan(1_000)
  expect(failures.filter((text) => text.includes('CONNECT_TIMEOUT'))).toEqual([])
  expect(failures.length).toBeGreaterThan(0)
})
