/**
 * How long a token lives on in the memory of gateways: two processes on one Postgres, which it tells of changes. What counts is
 * when a request was sent: how long an answer takes is the machine's.
 */

import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type postgres from 'postgres'
import { FakeSlurmrestd } from '../support/fake-slurmrestd.ts'
import { GatewayDatabase, type GatewayProcess } from '../support/gateway-process.ts'
import { createDatabaseOn, startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { sleep, waitUntil } from '../support/program.ts'
import { requestRaw } from '../support/raw-http.ts'
import { connect } from '../support/token-database.ts'

/** SECURITY.md, "API tokens": on Node, and without Postgres. */
const REVOKED_MILLISECONDS = 1_000
const WITHOUT_POSTGRES_MILLISECONDS = 5_000

const SLURM_KEY = randomBytes(32)

let server: TestPostgres
let sql: postgres.Sql
let database: GatewayDatabase
let slurmrestd: FakeSlurmrestd
let gateways: GatewayProcess[]
let issued: { readonly id: string; readonly token: string }

beforeAll(async () => {
  slurmrestd = await FakeSlurmrestd.start(SLURM_KEY)
  server = await startTestPostgres()
  const url = await createDatabaseOn(server.url)
  sql = connect(url)
  database = await GatewayDatabase.setUp(url)
})
beforeEach(async () => {
  const environment = { SLURM_JWT_HS256_KEY: SLURM_KEY.toString('base64'), CACHE_TTL_SECONDS: '0' }
  const start = () => database.startGateway(slurmrestd.port, environment)
  gateways = await Promise.all([start(), start()])
  issued = await database.issueToken()
  for (const gateway of gateways) await serveFromMemory(gateway)
})
afterEach(() => Promise.all(gateways.map(({ program }) => program.stop())))
afterAll(async () => {
  await sql.end({ timeout: 1 })
  await server.stop()
  await slurmrestd.stop()
})

interface Poll {
  readonly sentAt: number
  readonly status: number
  readonly body: string
}

async function ask(gateway: GatewayProcess): Promise<Poll> {
  const sentAt = Date.now()
  const headers = [['Authorization', `Bearer ${issued.token}`]] as const
  const { status, body } = await requestRaw(gateway, {
    method: 'GET',
    target: '/slurm/v0.0.42/jobs',
    headers,
  })
  return { sentAt, status, body: body.toString('utf8') }
}

/** Until it answers by the token and asks Postgres nothing for it. */
async function serveFromMemory(gateway: GatewayProcess): Promise<void> {
  const findLastQuery = async (): Promise<string> => {
    const [row] = await sql`
      select max(query_start)::text as at from pg_stat_activity
      where usename = ${gateway.databaseUser} and application_name = 'slurmgate'`
    return String(row?.['at'])
  }
  await waitUntil('it asks nobody', async () => {
    const before = await findLastQuery()
    for (let count = 0; count < 5; count += 1) expect((await ask(gateway)).status).toBe(200)
    return (await findLastQuery()) === before
  })
}

/** Asks one after the other until told to stop. @returns for each gateway what it answered, in that order. */
function poll(): { stop(): Promise<Poll[][]> } {
  const state = { isOver: false }
  const polling = Promise.all(
    gateways.map(async (gateway) => {
      const polls: Poll[] = []
      const isOver = (): boolean => state.isOver
      while (!isOver()) {
        polls.push(await ask(gateway))
        await sleep(5)
      }
      return polls
    }),
  )
  return {
    stop: () => {
      state.isOver = true
      return polling
    },
  }
}

/** @param revoke returns when it counts as done. */
async function expectRefusedInTime(revoke: () => Promise<void>): Promise<void> {
  const polling = poll()
  await revoke()
  const doneAt = Date.now()
  await sleep(2 * REVOKED_MILLISECONDS)
  for (const polls of await polling.stop()) {
    const firstRefused = polls.findIndex(({ status }) => status !== 200)
    expect(firstRefused).toBeGreaterThan(0)
    for (const { status, body } of polls.slice(firstRefused)) {
      expect([status, body]).toEqual([401, expect.stringContaining('"token_revoked"')])
    }
    const lastServedAt = polls[firstRefused - 1]?.sentAt ?? Number.NaN
    expect(lastServedAt - doneAt).toBeLessThanOrEqual(REVOKED_MILLISECONDS)
    expect((polls.at(-1)?.sentAt ?? Number.NaN) - doneAt).toBeGreaterThan(REVOKED_MILLISECONDS)
  }
  slurmrestd.reset()
  for (const gateway of gateways) expect((await ask(gateway)).status).toBe(401)
  expect(slurmrestd.operations).toEqual([])
}

const revoke = async (): Promise<void> => void (await database.runCli(['token', 'revoke', issued.id]))

/** The connection on which a gateway is told of changes. */
async function endListening({ databaseUser }: GatewayProcess): Promise<void> {
  await waitUntil('there is one to end', async () => {
    const ended = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where usename = ${databaseUser} and application_name = 'slurmgate changes'`
    return ended.length === 1
  })
}

test('a token that was revoked is refused by every gateway within a second, and never served again', () =>
  expectRefusedInTime(revoke))

test('also where the connection that tells one of them ends in the moment of the revocation', async () => {
  const [gateway] = gateways
  if (gateway === undefined) throw new Error('no gateway')
  const count = (event: string): number =>
    gateway.program.lines.filter((line) => line.includes(`"${event}"`)).length
  const [lost, told] = [count('token_changes_lost'), count('token_changes_told')]
  await expectRefusedInTime(async () => {
    let revoking = Promise.resolve()
    // Held back by its row's lock, so that it counts right after the connection has ended.
    await sql.begin(async (transaction) => {
      await transaction`select from api_tokens where id = ${issued.id} for update`
      revoking = revoke()
      await waitUntil('the revocation waits', async () => {
        const waiting = await sql`select from pg_stat_activity where wait_event = 'transactionid'`
        return waiting.length === 1
      })
      await endListening(gateway)
    })
    await revoking
  })
  await waitUntil('it was lost', () => count('token_changes_lost') > lost)
  await waitUntil('it is told again', () => count('token_changes_told') > told)
})

/** Everything of Postgres's, its first process first: that one would start others anew. */
function findPostgresProcesses(): number[] {
  const children = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8')
      return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1]) === server.pid
    } catch {
      return false
    }
  })
  return [server.pid, ...children.map(Number)]
}

/** Asks all the time: an answer may take until Postgres is given up. */
async function expectClosedWithoutPostgres(): Promise<void> {
  const goneAt = Date.now()
  const asked: Promise<Poll>[] = []
  while (Date.now() - goneAt < WITHOUT_POSTGRES_MILLISECONDS + 1_500) {
    asked.push(...gateways.map(ask))
    await sleep(100)
  }
  const polls = await Promise.all(asked)
  const late = polls.filter(({ sentAt }) => sentAt - goneAt > WITHOUT_POSTGRES_MILLISECONDS)
  expect(late.length).toBeGreaterThan(gateways.length)
  for (const { status, body } of late) {
    expect([status, body]).toEqual([503, expect.stringContaining('"token_store_unavailable"')])
  }
  // Nobody is blamed for what Postgres does not answer.
  expect(polls.filter(({ status }) => status !== 200 && status !== 503)).toEqual([])
}

test('without an answer of Postgres tokens are 503 within five seconds, and served again after', async () => {
  const processes = findPostgresProcesses()
  expect(processes.length).toBeGreaterThan(gateways.length)
  for (const pid of processes) process.kill(pid, 'SIGSTOP')
  try {
    await expectClosedWithoutPostgres()
  } finally {
    for (const pid of processes) process.kill(pid, 'SIGCONT')
  }
  for (const gateway of gateways) await serveFromMemory(gateway)
})

/** The last one: it stays away. */
test('without a Postgres tokens are 503 within five seconds', async () => {
  await server.stop()
  await expectClosedWithoutPostgres()
})
