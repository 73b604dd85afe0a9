import { createServer, type Server, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Outage } from '../../src/refusal.ts'
import { type DatabaseOptions, openDatabase } from '../../src/tokens/database.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { applyMigrations } from '../../functions/cli/migrations.ts'
import { findFreePort } from '../support/free-port.ts'
import { createDatabase, createDatabaseOn, startTestPostgres, stopOwnPostgres } from '../support/postgres.ts'
import { Relay } from '../support/relay.ts'
import {
  buildTokenRow,
  createTokenDatabase,
  MIGRATIONS_FOLDER,
  type TokenDatabase,
} from '../support/token-database.ts'

const DIGEST = new Uint8Array(32).fill(7)
const OTHER_DIGEST = new Uint8Array(32).fill(8)

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

function openStore(url: string, options: DatabaseOptions = {}) {
  const { db, close } = openDatabase(url, options)
  closers.push(close)
  return createTokenStore(db)
}

let tokens: TokenDatabase
beforeAll(async () => {
  tokens = await createTokenDatabase()
  await tokens.sql`insert into api_tokens ${tokens.sql(buildTokenRow())}`
}, 180_000)
afterAll(async () => {
  await tokens.sql.end()
  await stopOwnPostgres()
})

describe('a look-up', () => {
  it('finds the record of a digest, times in whole seconds rounded down', async () => {
    expect(await openStore(tokens.url).findByDigest(DIGEST)).toEqual({
      id: 'tok_aaaaaaaaaaaaaaaa',
      name: 'nightly',
      slurmUser: 'alice',
      scopes: ['slurm:read', 'slurm:jobs:manage'],
      account: 'phys',
      expiresAt: 1_893_456_000,
      revokedAt: null,
      uid: null,
      policyVersion: 1,
    })
  })

  it('finds nothing for another digest', async () => {
    expect(await openStore(tokens.url).findByDigest(OTHER_DIGEST)).toBeNull()
  })

  it.each([true, false])('gives the same with prepared statements %s', async (prepare) => {
    const store = openStore(tokens.url, { prepare })
    for (let round = 0; round < 3; round++)
      expect((await store.findByDigest(DIGEST))?.slurmUser).toBe('alice')
  })

  it('sees a revocation at once', async () => {
    const { url, sql } = tokens
    const store = openStore(url)
    expect((await store.findByDigest(DIGEST))?.revokedAt).toBeNull()
    await sql`update api_tokens set revoked_at = to_timestamp(1893000000.5)`
    expect((await store.findByDigest(DIGEST))?.revokedAt).toBe(1_893_000_000)
    await sql`update api_tokens set revoked_at = null`
  })

  it('reads a token without account and end as having neither', async () => {
    const { url, sql } = tokens
    await sql`update api_tokens set account = null, expires_at = null`
    expect(await openStore(url).findByDigest(DIGEST)).toMatchObject({ account: null, expiresAt: null })
    await sql`update api_tokens set account = 'phys'`
  })

  it('uses the index on digests and asks once', async () => {
    const { sql } = tokens
    const plan = await sql.begin(async (transaction) => {
      await transaction`set local enable_seqscan = off`
      return await transaction`explain select id from api_tokens where digest = ${Buffer.from(DIGEST)}`
    })
    expect(JSON.stringify(plan)).toContain('api_tokens_digest_unique')
  })

  it('answers 500 at a time through ten connections', async () => {
    const store = openStore(tokens.url)
    const records = await Promise.all(Array.from({ length: 500 }, () => store.findByDigest(DIGEST)))
    expect(records.every((record) => record?.id === 'tok_aaaaaaaaaaaaaaaa')).toBe(true)
  })
})

/** Never "unknown token", never in more than the deadline, never with the password. */
async function expectOutage(work: Promise<unknown>, detail: RegExp, secret = 'hunter2') {
  const startedAt = performance.now()
  const error: unknown = await work.then(
    (value) => expect.fail(`answered ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  expect(performance.now() - startedAt).toBeLessThan(20_000)
  if (!(error instanceof Outage)) throw error
  expect(error.rule).toBe('token_store_unavailable')
  expect(error.message).toMatch(detail)
  for (const text of [error.message, String(error.stack), JSON.stringify(error), String(error.cause)]) {
    expect(text).not.toContain(secret)
    expect(text).not.toContain('postgres://')
  }
}

async function listen(onConnection: (socket: Socket) => void): Promise<{ url: string; server: Server }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    onConnection(socket)
  })
  const port = await findFreePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  closers.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { server, url: `postgres://gate:hunter2@127.0.0.1:${String(port)}/slurmgate` }
}

describe('a look-up is an outage, not a refusal, when', () => {
  it('nothing listens', async () => {
    const url = `postgres://gate:hunter2@127.0.0.1:${String(await findFreePort())}/slurmgate`
    await expectOutage(openStore(url).findByDigest(DIGEST), /ECONNREFUSED/)
  })

  it('the host has no address', async () => {
    await expectOutage(
      openStore('postgres://gate:hunter2@db.invalid/x').findByDigest(DIGEST),
      /cannot be reached/,
    )
  })

  it('the server accepts and stays silent, within five seconds', async () => {
    const { url } = await listen(() => undefined)
    await expectOutage(openStore(url).findByDigest(DIGEST), /CONNECT_TIMEOUT|no answer within 5 s/)
  })

  it('the server accepts and hangs up at once, over and over', async () => {
    let connections = 0
    const { url } = await listen((socket) => {
      connections += 1
      socket.end()
    })
    const store = openStore(url, { max: 1, deadlineSeconds: 1 })
    await expectOutage(store.findByDigest(DIGEST), /no answer within 1 s|CONNECTION/)
    await new Promise((resolve) => setTimeout(resolve, 300))
    const atEnd = connections
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(connections).toBe(atEnd)
  })

  it('the server talks something else', async () => {
    const { url } = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await expectOutage(openStore(url, { deadlineSeconds: 2 }).findByDigest(DIGEST), /./)
  })

  it('the password is wrong', async () => {
    const url = new URL(tokens.url)
    url.password = 'hunter2'
    await expectOutage(openStore(url.href).findByDigest(DIGEST), /28P01 password authentication failed/)
  })

  it('the database does not exist', async () => {
    const url = new URL(tokens.url)
    const { password } = url
    url.pathname = '/nowhere'
    await expectOutage(openStore(url.href).findByDigest(DIGEST), /3D000/, password)
  })

  it('the schema is missing, and says what to run', async () => {
    const url = await createDatabase()
    await expectOutage(openStore(url).findByDigest(DIGEST), /slurmgate db migrate/)
    await expectOutage(openStore(url).check(), /slurmgate db migrate/)
  })

  it('a table is locked: Postgres itself ends the statement', async () => {
    const { url, sql } = tokens
    const store = openStore(url, { statementTimeoutSeconds: 1 })
    await sql.begin(async (transaction) => {
      await transaction`lock table api_tokens in access exclusive mode`
      await expectOutage(store.findByDigest(DIGEST), /57014/)
    })
    expect(await store.findByDigest(DIGEST)).not.toBeNull()
  })
})

describe('the check', () => {
  it('passes where the newest migration is applied', async () => {
    await openStore(tokens.url).check()
  })

  it('fails where it is not, by name', async () => {
    const { url, sql } = await createTokenDatabase()
    await sql`update drizzle.__drizzle_migrations set created_at = created_at - 1`
    await expectOutage(
      openStore(url).check(),
      /lacks migration 0005_token_changes_told; run: slurmgate db migrate/,
    )
    await sql.end()
  })
})

describe('a Postgres that stops or freezes', () => {
  it('is an outage while it lasts and no longer', async () => {
    const server = await startTestPostgres()
    closers.push(() => server.stop())
    const url = await createDatabaseOn(server.url)
    await applyMigrations(url, MIGRATIONS_FOLDER)
    const store = openStore(url)
    expect(await store.findByDigest(DIGEST)).toBeNull()

    process.kill(server.pid, 'SIGSTOP')
    // The postmaster's children answer on open connections: only new ones hang. Both have to end in time.
    const frozen = Array.from({ length: 20 }, () =>
      store.findByDigest(DIGEST).catch((error: unknown) => error),
    )
    for (const outcome of await Promise.all(frozen)) {
      expect(outcome === null || outcome instanceof Outage, String(outcome)).toBe(true)
    }
    process.kill(server.pid, 'SIGCONT')
    expect(await store.findByDigest(DIGEST)).toBeNull()

    await server.stop()
    await expectOutage(store.findByDigest(DIGEST), /cannot be reached/, new URL(server.url).password)
  })

  it('is asked again at once when it is back, however long it was away', async () => {
    const url = new URL(tokens.url)
    const relay = await Relay.start({ host: url.hostname, port: Number(url.port) })
    url.port = String(relay.port)
    const store = openStore(url.href)
    await relay.cut()
    for (let round = 0; round < 10; round++) await expectOutage(store.findByDigest(DIGEST), /ECONNREFUSED/)
    await relay.restore()
    const startedAt = performance.now()
    expect(await store.findByDigest(DIGEST)).not.toBeNull()
    expect(performance.now() - startedAt).toBeLessThan(4_500)
    await relay.stop()
  })

  it('behind a network that swallows everything, holds up no look-up after it', async () => {
    const url = new URL(tokens.url)
    const relay = await Relay.start({ host: url.hostname, port: Number(url.port) })
    url.port = String(relay.port)
    const store = openStore(url.href, { max: 2, deadlineSeconds: 1 })
    expect(await store.findByDigest(DIGEST)).not.toBeNull()
    relay.stall()
    await expectOutage(store.findByDigest(DIGEST), /no answer within 1 s/)
    const far = openStore(tokens.url)
    expect(await far.findByDigest(DIGEST)).not.toBeNull()
    await relay.restore()
    expect(await store.findByDigest(DIGEST)).not.toBeNull()
    await relay.stop()
  })
})

it('a bad DATABASE_URL is refused without repeating it', () => {
  for (const url of [
    '',
    'mysql://a:hunter2@b/c',
    'postgres://a:hunter2@b:port/c',
    'postgres://a:%zzhunter2@b/c',
  ]) {
    expect(() => openDatabase(url)).toThrow(/^DATABASE_URL is not one the Postgres driver understands$/)
  }
})
