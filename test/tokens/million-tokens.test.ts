/** What look-ups, lists and replays read in a database with a million rows, under the roles that they run in. */

import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { createSealedTokenStore } from '../../src/tokens/sealed-token-store.ts'
import { findPosition, listTokens } from '../../src/tokens/token-register.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { Program } from '../support/program.ts'
import { explainStatement, type PlanMode, type QueryPlan } from '../support/query-plan.ts'
import { createRoleDatabase, type RoleDatabase } from '../support/role-database.ts'
import { recordStatements, type RecordedDatabase, type SentStatement } from '../support/sent-statements.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { CLI_PATH } from '../support/surroundings.ts'

const COUNT = 1_000_000
const REPLAYS = 200_000
const OVER = 20_001
/** Of the cleanup. */
const PORTION = 5_000
/** A B-tree over a million digests has three levels; then the row's own page. */
const PROBE_PAGES = 4
const MODES: readonly PlanMode[] = ['force_custom_plan', 'force_generic_plan', 'auto']

let roles: RoleDatabase
let gateway: RecordedDatabase
let issuer: RecordedDatabase
beforeAll(async () => {
  roles = await createRoleDatabase()
  const { sql } = roles.admin
  // For the fill alone; it does not change what is read.
  await sql`alter table api_tokens set unlogged`
  const startedAt = Date.now()
  await sql`
    insert into api_tokens (id, name, slurm_user, digest, scopes, account, format, created_at, issued_by)
    select 'tok_' || translate(lpad(number::text, 16, '0'), '0189', 'abcd'), 'token ' || number, 'user' || number % 1000,
      sha256(number::text::bytea), array['slurm:read'], 'phys', 'opaque', to_timestamp(1700000000 + number), 'operator'
    from generate_series(1, ${COUNT}::int) as number`
  await sql`insert into munge_replays select sha256(number::text::bytea), now() + interval '1 hour'
    from generate_series(1, ${REPLAYS}::int) as number`
  await sql`analyze`
  process.stdout.write(`a million tokens in ${((Date.now() - startedAt) / 1000).toFixed(1)} s\n`)
  gateway = recordStatements(roles.gatewayUrl)
  issuer = recordStatements(roles.issuerUrl)
}, 600_000)
afterAll(async () => {
  await Promise.all([gateway.sql.end(), issuer.sql.end(), roles.admin.sql.end()])
  await stopOwnPostgres()
})

/** As the statement above names it. */
const nameToken = (number: number): string =>
  `tok_${String(number)
    .padStart(16, '0')
    .replace(/[0189]/g, (digit) => 'abcd'.charAt('0189'.indexOf(digit)))}`

const digestOf = (text: string): Uint8Array => Uint8Array.from(createHash('sha256').update(text).digest())

/** Of all that `work` makes the database run, the one statement on that table. */
async function explainOne(
  { db, sent, sql }: RecordedDatabase,
  table: string,
  work: (database: typeof db) => Promise<unknown>,
  mode?: PlanMode,
): Promise<QueryPlan> {
  const before = sent.length
  await work(db)
  const statements = sent.slice(before).filter(({ text }) => text.includes(table))
  const [statement] = statements
  if (statement === undefined || statements.length > 1) throw new Error(`${statements.length} statements`)
  return await explainStatement(sql, statement, mode)
}

const LOOK_UPS = [
  [
    'the gateway',
    (digest: Uint8Array) => (db: RecordedDatabase['db']) => createTokenStore(db).findByDigest(digest),
  ],
  [
    'the signer',
    (digest: Uint8Array) => (db: RecordedDatabase['db']) =>
      createSealedTokenStore(db).findSealedByDigest(digest),
  ],
] as const

describe.each(LOOK_UPS)('a look-up of %s', (_, lookUp) => {
  it.each(MODES)('is one probe of the index on digests (%s)', async (mode) => {
    const plan = await explainOne(gateway, 'api_tokens', lookUp(digestOf('654321')), mode)
    const index = 'api_tokens_digest_unique'
    const probe = { kind: 'Index Scan', table: 'api_tokens', index, rows: 1, loops: 1 }
    expect(plan.scans, plan.text).toEqual([probe])
    expect(plan.pages, plan.text).toBeLessThanOrEqual(PROBE_PAGES)
  })

  it('of an unknown token reads no more', async () => {
    const plan = await explainOne(gateway, 'api_tokens', lookUp(digestOf('unknown')))
    expect(plan.scans, plan.text).toMatchObject([{ kind: 'Index Scan', rows: 0, loops: 1 }])
    expect(plan.pages, plan.text).toBeLessThanOrEqual(PROBE_PAGES)
  })
})

it('a look-up that read the table would be seen', async () => {
  const { sql, sent } = gateway
  await createTokenStore(gateway.db).findByDigest(digestOf('1'))
  const { text, parameters } = sent.at(-1) ?? { text: '', parameters: [] }
  const slow = { text: text.replace('"digest" = $1', `"digest" || '' = $1`), parameters }
  const plan = await explainStatement(sql, slow)
  expect(plan.scans, plan.text).toMatchObject([{ kind: 'Seq Scan', table: 'api_tokens' }])
  expect(plan.pages).toBeGreaterThan(10_000)
})

describe('a page of the list', () => {
  const question = { after: null, portionRows: 101, slurmUser: null, activeAt: null }

  it.each([nameToken(999_000), nameToken(500_000), nameToken(177)])(
    'reads no more after %s than at the beginning',
    async (id) => {
      const first = await explainOne(issuer, 'api_tokens', (db) => listTokens(db, question).next())
      const after = await findPosition(issuer.db, id)
      expect(after).not.toBeNull()
      const later = await explainOne(issuer, 'api_tokens', (db) =>
        listTokens(db, { ...question, after }).next(),
      )
      for (const plan of [first, later]) {
        const scan = { kind: 'Index Scan', index: 'api_tokens_newest_first', loops: 1 }
        expect(plan.scans, plan.text).toEqual([expect.objectContaining(scan)])
        expect(plan.pages, plan.text).toBeLessThanOrEqual(20)
      }
    },
  )
})

it('what follows the 800,000th token is written within a heap that cannot hold it', async () => {
  const program = new Program(
    process.execPath,
    [CLI_PATH, 'token', 'list', '--json', '--after', nameToken(200_001)],
    {
      environment: { DATABASE_URL: roles.issuerUrl, NODE_OPTIONS: '--max-old-space-size=48' },
    },
  )
  expect([await program.exit, program.stderr]).toEqual([0, ''])
  const ids = (JSON.parse(program.stdout) as { id: string }[]).map(({ id }) => id)
  expect([ids.length, ids[0], ids.at(-1)]).toEqual([200_000, nameToken(200_000), nameToken(1)])
})

describe('replays', () => {
  /** One credential is claimed; what is over is cleared away behind it. @returns the statements. */
  async function claimOne(): Promise<readonly SentStatement[]> {
    const problems: string[] = []
    const log = { write: (_: unknown, event: string) => problems.push(event) }
    let cleanup = Promise.resolve()
    const defer = (work: Promise<void>): void => void (cleanup = work)
    const guard = createPostgresReplayGuard(gateway.db, { clock: Date.now, log, defer })
    const before = gateway.sent.length
    expect(await guard.claim(randomBytes(32).toString('hex'), Math.floor(Date.now() / 1000) + 5)).toBe(true)
    await cleanup
    expect(problems).toEqual([])
    return gateway.sent.slice(before)
  }

  it('are claimed and looked through by indexes', async () => {
    const statements = await claimOne()
    expect(statements).toHaveLength(2)
    for (const statement of statements) {
      const plan = await explainStatement(gateway.sql, statement)
      const scans = plan.scans.filter(({ table }) => table === 'munge_replays')
      expect(
        scans.filter(({ kind }) => kind !== 'Index Scan'),
        plan.text,
      ).toEqual([])
      expect(plan.pages, plan.text).toBeLessThanOrEqual(100)
    }
  })

  it('are cleared away whatever Postgres believes of them: many that are over, and statistics of before', async () => {
    const { sql } = roles.admin
    const countOver = async () => (await sql`select from munge_replays where keep_until < now()`).length
    await sql`insert into munge_replays select sha256(number::text::bytea), now() - interval '1 second'
      from generate_series(${REPLAYS + 1}::int, ${REPLAYS + OVER}::int) as number`
    expect(await countOver()).toBe(OVER)
    const [, first = { text: '', parameters: [] }, ...rest] = await claimOne()
    expect([rest.length, await countOver()]).toEqual([Math.floor(OVER / PORTION), 0])
    const plan = await explainStatement(gateway.sql, first)
    expect(plan.text).not.toContain('Join Filter')
  })
})
