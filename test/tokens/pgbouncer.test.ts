/** A real PgBouncer between gate and Postgres, set up as its package comes but for what is said: no call is lost, and none made twice. */

import { createHash, randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase, type OpenDatabase } from '../../src/tokens/database.ts'
import { describeDatabaseError, PooledConnection } from '../../src/tokens/database-error.ts'
import { buildUnknownServer } from '../../src/tokens/database-server.ts'
import { createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { createMemoryLog } from '../gateway/in-memory-ports.ts'
import { runCli } from '../support/cli.ts'
import { FakeSlurmrestd } from '../support/fake-slurmrestd.ts'
import { GatewayDatabase } from '../support/gateway-process.ts'
import { createLogin } from '../support/login-role.ts'
import { findPgBouncer, PgBouncer, type PgBouncerOptions } from '../support/pg-bouncer.ts'
import { createDatabase, stopOwnPostgres } from '../support/postgres.ts'
import { waitUntil } from '../support/program.ts'
import { requestRaw } from '../support/raw-http.ts'

const whyNot =
  findPgBouncer() === null ? ' (no pgbouncer on the PATH; Debian: apt-get install pgbouncer)' : ''
if (whyNot !== '') console.warn(`pgbouncer.test.ts is skipped${whyNot}`)

const IGNORES = 'ignore_startup_parameters = statement_timeout'
const WAYS: readonly (readonly [string, PgBouncerOptions])[] = [
  ['transaction mode', { mode: 'transaction' }],
  ['session mode', { mode: 'session' }],
  ['transaction mode that ignores statement_timeout', { mode: 'transaction', settings: [IGNORES] }],
]
const SLURM_KEY = randomBytes(32)
const newDigest = (): string => createHash('sha256').update(randomBytes(16)).digest('hex')
const seconds = (): number => Date.now() / 1000

let adminUrl: string
let database: GatewayDatabase
let logins: Readonly<Record<string, string>>

beforeAll(async () => {
  adminUrl = await createDatabase()
  database = await GatewayDatabase.setUp(adminUrl)
  const login = async (group: string): Promise<string> =>
    (await createLogin(adminUrl, { memberOf: [group] })).url
  logins = {
    admin: adminUrl,
    gateway: await login('slurmgate_gateway'),
    issuer: await login('slurmgate_issuer'),
    migrator: await login('slurmgate_migrator'),
  }
}, 180_000)
afterAll(stopOwnPostgres)

describe.skipIf(whyNot !== '').each(WAYS)(`behind PgBouncer, %s${whyNot}`, (_, options) => {
  let pooler: PgBouncer
  let opened: OpenDatabase[]

  beforeEach(async () => {
    pooler = await PgBouncer.start(logins, options)
    opened = []
  })
  afterEach(async () => {
    await Promise.all(opened.map(({ close }) => close()))
    await pooler.stop()
  })

  const open = (own: Parameters<typeof openDatabase>[1] = {}): OpenDatabase['db'] => {
    const one = openDatabase(pooler.findUrl('gateway'), own)
    opened.push(one)
    return one.db
  }

  test('each look-up and each claim is answered, and no statement keeps a name', async () => {
    const { id, token } = await database.issueToken()
    const digest = createHash('sha256').update(token).digest()
    const db = open()
    const store = createTokenStore(db)
    const ports = { clock: Date.now, log: createMemoryLog(), maySharePromises: true }
    const guard = createPostgresReplayGuard(db, ports)
    for (let round = 0; round < 10; round += 1) {
      const credential = newDigest()
      const claims = Array.from({ length: 20 }, () => guard.claim(credential, seconds() + 5))
      const lookUps = Array.from({ length: 20 }, () => store.findByDigest(digest))
      expect((await Promise.all(claims)).filter((isFirst) => isFirst)).toHaveLength(1)
      for (const record of await Promise.all(lookUps)) expect(record).toMatchObject({ id })
    }
    // Each at once, so that each connection of Postgres that was lent is asked.
    const countNamed = (): Promise<number | undefined> =>
      db
        .query((drizzle) =>
          drizzle.execute<{ count: number }>(
            'select count(*)::int as count, pg_sleep(0.1) from pg_prepared_statements',
          ),
        )
        .then((rows) => rows[0]?.count)
    const named = await Promise.all(Array.from({ length: 10 }, countNamed))
    expect(named).toEqual(Array.from({ length: 10 }, () => 0))
  })

  test('a gateway takes a token that was issued through it, until it is revoked through it', async () => {
    const slurmrestd = await FakeSlurmrestd.start(SLURM_KEY)
    const { program, host, port } = await database.startGateway(slurmrestd.port, {
      DATABASE_URL: pooler.findUrl('gateway'),
      SLURM_JWT_HS256_KEY: SLURM_KEY.toString('base64'),
      CACHE_TTL_SECONDS: '0',
    })
    const issuer = { environment: { DATABASE_URL: pooler.findUrl('issuer') } }
    const whose = ['--name', 'portal', '--user', 'alice', '--uid', '6001', '--any-account']
    const told = await runCli(['token', 'issue', ...whose, '--scope', 'slurm:read', '--json'], issuer)
    const { id, token } = JSON.parse(told.stdout) as { id: string; token: string }
    const ask = async (): Promise<number> => {
      const headers = [['Authorization', `Bearer ${token}`]] as const
      const request = { method: 'GET', target: '/slurm/v0.0.42/jobs', headers } as const
      return (await requestRaw({ host, port }, request)).status
    }
    for (let call = 0; call < 20; call += 1) expect(await ask()).toBe(200)
    expect((await runCli(['token', 'revoke', id], issuer)).exitCode).toBe(0)
    const revokedAt = Date.now()
    await waitUntil('it is refused', async () => (await ask()) === 401)
    // SECURITY.md, "API tokens".
    expect(Date.now() - revokedAt).toBeLessThan(1_000)
    await program.stop()
    await slurmrestd.stop()
  })

  test('what is known of it is not asked again, where it outlives the connections', async () => {
    const server = buildUnknownServer()
    const count = async (): Promise<unknown> =>
      (
        await open({ max: 1, prepare: false, server }).query((drizzle) => drizzle.execute('select 1 as one'))
      )[0]
    expect(await count()).toEqual({ one: 1 })
    const takesTimeout = options.settings !== undefined
    expect(server).toEqual({ isKnown: true, isOwn: false, takesTimeout })
    Object.freeze(server)
    expect(await count()).toEqual({ one: 1 })
  })

  test('whoever asks first at once with others, as the requests of a Worker do, is answered', async () => {
    const server = buildUnknownServer()
    const asked = Array.from({ length: 8 }, () =>
      open({ max: 1, prepare: false, server }).query((drizzle) => drizzle.execute('select 1 as one')),
    )
    for (const rows of await Promise.all(asked)) expect([...rows]).toEqual([{ one: 1 }])
    const together = open()
    const claims = Array.from({ length: 8 }, () =>
      together.query((drizzle) => drizzle.execute('select 1 as one')),
    )
    for (const rows of await Promise.all(claims)) expect([...rows]).toEqual([{ one: 1 }])
  })

  test('put where Postgres was, it is found out by the call that it refuses', async () => {
    const db = open({ server: { isKnown: true, isOwn: true, takesTimeout: true } })
    const ask = () => db.query((drizzle) => drizzle.execute('select 1 as one'))
    const first = await ask().then(
      () => 'answered',
      (error: unknown) => describeDatabaseError(error),
    )
    expect(first).toMatch(/^answered$|08P01 unsupported startup parameter/)
    expect([...(await ask())]).toEqual([{ one: 1 }])
  })

  test('what needs a session of its own gets none, however often it asks', async () => {
    const db = open({ isOwnNeeded: true })
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const asked = db.query((drizzle) => drizzle.execute('select 1'))
      await expect(asked).rejects.toThrow(PooledConnection)
    }
  })

  test('db migrate is refused, in words, unless it is told that sessions are kept, and db grants is not', async () => {
    const migrator = { environment: { DATABASE_URL: pooler.findUrl('migrator') } }
    const refused = await runCli(['db', 'migrate'], migrator)
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toContain('a pooler stands before Postgres (PgBouncer)')
    if (options.mode === 'session') {
      const applied = await runCli(['db', 'migrate', '--session-pooler'], migrator)
      expect([applied.stderr, applied.stdout]).toEqual(['', 'nothing to apply: the schema is up to date\n'])
    }
    const environment = { DATABASE_URL: pooler.findUrl('admin') }
    expect((await runCli(['db', 'grants', '--apply'], { environment })).exitCode).toBe(0)
  })
})

test('without one Postgres is known for what it is, and stops statements itself', async () => {
  const server = buildUnknownServer()
  const { db, close } = openDatabase(adminUrl, { server })
  const shown = await db.query((drizzle) =>
    drizzle.execute<{ statement_timeout: string }>('show statement_timeout'),
  )
  expect([...shown]).toEqual([{ statement_timeout: '4s' }])
  expect(server).toEqual({ isKnown: true, isOwn: true, takesTimeout: true })
  await close()
})
