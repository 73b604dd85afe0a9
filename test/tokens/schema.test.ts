import { mkdtemp, rm, writeFile, mkdir, cp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PgColumn } from 'drizzle-orm/pg-core'
import { getTableColumns, getTableName } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { applyMigrations, readJournal } from '../../functions/cli/migrations.ts'
import { apiTokens, mungeReplays, REQUIRED_MIGRATION } from '../../src/tokens/schema.ts'
import { createDatabase, stopOwnPostgres } from '../support/postgres.ts'
import {
  buildTokenRow,
  connect,
  createTokenDatabase,
  MIGRATIONS_FOLDER,
  type TokenDatabase,
} from '../support/token-database.ts'

let store: TokenDatabase
beforeAll(async () => {
  store = await createTokenDatabase()
}, 180_000)
afterAll(async () => {
  await store.sql.end()
  await stopOwnPostgres()
})

describe('migrations', () => {
  it('end with the one that the code requires', async () => {
    expect((await readJournal(MIGRATIONS_FOLDER)).at(-1)).toEqual(REQUIRED_MIGRATION)
  })

  it('bring an empty database to the schema of the code, column by column', async () => {
    for (const table of [apiTokens, mungeReplays]) {
      const rows = await store.sql<{ name: string; nullable: string }[]>`
        select column_name as name, is_nullable as nullable from information_schema.columns
        where table_name = ${getTableName(table)} order by 1`
      const expected = Object.values<PgColumn>(getTableColumns(table))
        .map((column) => ({ name: column.name, nullable: column.notNull ? 'NO' : 'YES' }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
      expect([...rows]).toEqual(expected)
    }
  })

  it('are applied once: again, nothing is applied and nothing is lost', async () => {
    const url = await createDatabase()
    const all = await readJournal(MIGRATIONS_FOLDER)
    expect(await applyMigrations(url, MIGRATIONS_FOLDER)).toEqual(all)
    const sql = connect(url)
    await sql`insert into api_tokens ${sql(buildTokenRow())}`
    expect(await applyMigrations(url, MIGRATIONS_FOLDER)).toEqual([])
    expect(await sql`select id from api_tokens`).toHaveLength(1)
    await sql.end()
  })

  it('are applied once by eight migrators at a time', async () => {
    const url = await createDatabase()
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => applyMigrations(url, MIGRATIONS_FOLDER)),
    )
    expect(outcomes.flat()).toEqual(await readJournal(MIGRATIONS_FOLDER))
  })

  it('keep the tokens of a store that is at the first of them', async () => {
    const url = await createDatabase()
    const folder = await mkdtemp(join(tmpdir(), 'slurmgate-migrations-'))
    await cp(MIGRATIONS_FOLDER, folder, { recursive: true })
    const [first, ...later] = await readJournal(MIGRATIONS_FOLDER)
    const entry = { idx: 0, version: '7', breakpoints: true, ...first }
    await writeFile(join(folder, 'meta/_journal.json'), JSON.stringify({ entries: [entry] }))
    await applyMigrations(url, folder)
    await rm(folder, { recursive: true })
    const sql = connect(url)
    await sql`insert into api_tokens ${sql(buildTokenRow())}`
    expect(await applyMigrations(url, MIGRATIONS_FOLDER)).toEqual(later)
    expect(await sql`select id, replaced_by, uid, seal, sealed_at from api_tokens`).toEqual([
      { id: 'tok_aaaaaaaaaaaaaaaa', replaced_by: null, uid: null, seal: null, sealed_at: null },
    ])
    await sql.end()
  })

  it('leave nothing behind when one of them fails', async () => {
    const url = await createDatabase()
    const folder = await mkdtemp(join(tmpdir(), 'slurmgate-migrations-'))
    await cp(MIGRATIONS_FOLDER, folder, { recursive: true })
    const journal = JSON.parse(await readFile(join(folder, 'meta/_journal.json'), 'utf8')) as {
      entries: object[]
    }
    journal.entries.push({
      idx: 99,
      version: '7',
      when: REQUIRED_MIGRATION.when + 1,
      tag: '0099_bad',
      breakpoints: true,
    })
    await mkdir(join(folder, 'meta'), { recursive: true })
    await writeFile(join(folder, 'meta/_journal.json'), JSON.stringify(journal))
    await writeFile(
      join(folder, '0099_bad.sql'),
      'create table half (id int);\n--> statement-breakpoint\nselect 1/0;',
    )
    await expect(applyMigrations(url, folder)).rejects.toThrow()
    const sql = connect(url)
    expect(await sql`select 1 from information_schema.tables where table_schema = 'public'`).toHaveLength(0)
    await sql.end()
    await rm(folder, { recursive: true })
  })
})

describe('the database itself refuses a token', () => {
  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['with a digest that is not 32 bytes', { digest: Buffer.alloc(31) }],
    ['without scopes', { scopes: [] }],
    ['with an empty account', { account: '' }],
    ['with an account in capitals', { account: 'Phys' }],
    ["with an account and an administrator's scope", { scopes: ['slurm:read', 'slurm:nodes:manage'] }],
    ['with an account and a scope it does not know', { scopes: ['slurm:anything'] }],
    ['of an unknown format', { format: 'plain' }],
    ['that ends before it begins', { expires_at: new Date('2026-12-31T23:59:59Z') }],
    ['with another kind of id', { id: 'slg_secret' }],
    ['of a uid', { slurm_user: '1000' }],
    ['without a name', { name: '' }],
    ['that nobody issued', { issued_by: '' }],
    ['that is replaced by something else', { replaced_by: 'slg_secret' }],
    ['that is replaced by itself', { replaced_by: 'tok_aaaaaaaaaaaaaaaa' }],
    ['of a uid below all', { uid: -1 }],
    ['of the uid that means none', { uid: 4_294_967_295 }],
    ['with a seal that is not 32 bytes', { seal: Buffer.alloc(31), sealed_at: new Date() }],
    ['with a seal of no date', { seal: Buffer.alloc(32) }],
    ['with the date of no seal', { sealed_at: new Date() }],
  ])('%s', async (_, change) => {
    const { sql } = store
    await expect(sql`insert into api_tokens ${sql(buildTokenRow(change))}`).rejects.toMatchObject({
      code: '23514',
    })
    expect(await sql`select 1 from api_tokens`).toHaveLength(0)
  })

  it('whose digest it has already', async () => {
    const { sql } = store
    await sql`insert into api_tokens ${sql(buildTokenRow())}`
    const second = buildTokenRow({ id: 'tok_bbbbbbbbbbbbbbbb' })
    await expect(sql`insert into api_tokens ${sql(second)}`).rejects.toMatchObject({ code: '23505' })
    await sql`delete from api_tokens`
  })

  it('but takes one of the largest uid', async () => {
    const { sql } = store
    await sql`insert into api_tokens ${sql(buildTokenRow({ uid: 4_294_967_294 }))}`
    await sql`delete from api_tokens`
  })

  it("but takes an administrator's scope without an account", async () => {
    const { sql } = store
    await sql`insert into api_tokens ${sql(buildTokenRow({ account: null, scopes: ['slurmdb:manage'] }))}`
    await sql`delete from api_tokens`
  })
})
