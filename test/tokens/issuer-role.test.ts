/** The commands as database users that are in `slurmgate_issuer` or `slurmgate_migrator` and nothing else. */

import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { applyMigrations, readJournal } from '../../functions/cli/migrations.ts'
import { runCli } from '../support/cli.ts'
import { createLogin } from '../support/login-role.ts'
import { createDatabase, stopOwnPostgres } from '../support/postgres.ts'
import { createRoleDatabase, FORBIDDEN_TO_ALL, type RoleDatabase } from '../support/role-database.ts'
import { buildTokenRow, connect, MIGRATIONS_FOLDER } from '../support/token-database.ts'
import { readCatalogs } from './database-rights.ts'

const NEW = ['--name', 'nightly', '--user', 'alice', '--account', 'phys', '--scope', 'slurm:read']

let roles: RoleDatabase
beforeAll(async () => {
  roles = await createRoleDatabase()
  await roles.admin.sql.unsafe('create schema neighbour; create table neighbour.secrets (secret text)')
})
afterAll(async () => {
  await roles.admin.sql.end()
  await stopOwnPostgres()
})

const run = (url: string, ...parameters: string[]) =>
  runCli(parameters, { environment: { DATABASE_URL: url, USER: 'operator' } })

async function runJson(url: string, ...parameters: string[]): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await run(url, ...parameters, '--json')
  expect(exitCode, stderr).toBe(0)
  return JSON.parse(stdout) as Record<string, unknown>
}

describe('in slurmgate_issuer', () => {
  it('every token command works', async () => {
    const url = roles.issuerUrl
    const id = String((await runJson(url, 'token', 'issue', ...NEW))['id'])
    expect(await runJson(url, 'token', 'list')).toMatchObject([{ id }])
    const rotated = String((await runJson(url, 'token', 'rotate', id))['id'])
    expect(await runJson(url, 'token', 'show', id)).toMatchObject({ state: 'active', replaced_by: rotated })
    const last = String((await runJson(url, 'token', 'rotate', rotated, '--grace', '0'))['id'])
    expect(await runJson(url, 'token', 'show', rotated)).toMatchObject({ state: 'revoked' })
    expect(await runJson(url, 'token', 'revoke', last)).toMatchObject({ revoked: true })
    const question = ['--token-id', id, 'GET', '/slurm/v0.0.45/nodes']
    expect(await runJson(url, 'explain', ...question)).toMatchObject({ decision: 'allowed' })
  })

  it('db migrate fails, changes nothing, and says whom to ask', async () => {
    const before = await readCatalogs(roles.admin.sql)
    const { exitCode, stdout, stderr } = await run(roles.issuerUrl, 'db', 'migrate')
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(
      /42501 permission denied .*; the database role may not do this; see: slurmgate db grants\n$/,
    )
    expect(await readCatalogs(roles.admin.sql)).toEqual(before)
  })

  it.each([
    ...FORBIDDEN_TO_ALL.filter((statement) => !statement.startsWith('select 1 from api_tokens for update')),
    "update api_tokens set issued_by = 'nobody'",
    'update api_tokens set account = null',
    'update api_tokens set created_at = now()',
    'select * from munge_replays',
    "insert into munge_replays values ('', now())",
    'update munge_replays set keep_until = now()',
    'delete from munge_replays',
  ])('may not: %s', async (statement) => {
    const sql = connect(roles.issuerUrl)
    const refused = sql.begin((transaction) => transaction.unsafe(statement))
    await expect(refused).rejects.toMatchObject({ code: '42501' })
    await sql.end()
  })
})

describe('in either', () => {
  it('nobody can hand its rights on', async () => {
    const before = await readCatalogs(roles.admin.sql)
    for (const url of [roles.issuerUrl, roles.gatewayUrl]) {
      const sql = connect(url)
      for (const table of ['api_tokens', 'munge_replays']) {
        // Postgres warns only, where the user has some right of its own.
        await sql.unsafe(`grant all on ${table} to public`).catch(() => undefined)
      }
      await sql.end()
    }
    expect(await readCatalogs(roles.admin.sql)).toEqual(before)
  })
})

describe('without any right', () => {
  it.each([['list'], ['issue', ...NEW], ['revoke', 'tok_aaaaaaaaaaaaaaaa']])(
    'token %s fails with a line that names db grants',
    async (...parameters) => {
      const { url } = await createLogin(roles.admin.url)
      const { exitCode, stdout, stderr } = await run(url, 'token', ...parameters)
      expect([exitCode, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(/42501 permission denied for schema drizzle; .*; see: slurmgate db grants\n$/)
    },
  )
})

describe('in slurmgate_migrator', () => {
  /** An empty database with the roles, and users of them. */
  async function createEmpty() {
    const url = await createDatabase()
    const { exitCode, stderr } = await run(url, 'db', 'grants', '--apply')
    expect(exitCode).toBe(0)
    expect(stderr).toMatch(
      /not there yet: run db migrate as a member of slurmgate_migrator, then this again\n$/,
    )
    const migrator = (await createLogin(url, { memberOf: ['slurmgate_migrator'] })).url
    const issuer = (await createLogin(url, { memberOf: ['slurmgate_issuer'] })).url
    return { sql: connect(url), migrator, issuer }
  }

  const HINT = 'slurmgate: what is new is closed to the other roles; run: slurmgate db grants --apply\n'

  it('db migrate works on an empty database; then db grants --apply does, without an administrator', async () => {
    const { sql, migrator, issuer } = await createEmpty()
    const tags = (await readJournal(MIGRATIONS_FOLDER)).map(({ tag }) => `applied ${tag}\n`)
    expect(await run(migrator, 'db', 'migrate')).toEqual({ exitCode: 0, stdout: tags.join(''), stderr: HINT })
    const owners =
      await sql`select distinct tableowner from pg_tables where schemaname in ('public', 'drizzle')`
    expect(owners).toEqual([{ tableowner: 'slurmgate_migrator' }])
    expect((await run(issuer, 'token', 'list')).exitCode).toBe(1)
    expect((await run(migrator, 'db', 'grants', '--apply')).exitCode).toBe(0)
    expect((await run(issuer, 'token', 'issue', ...NEW)).exitCode).toBe(0)
    expect(await run(migrator, 'db', 'migrate')).toMatchObject({ exitCode: 0, stderr: '' })
    expect((await run(migrator, 'db', 'grants', '--apply')).stdout).toMatch(/^nothing to change/)
    await sql.end()
  })

  it('db migrate works from the previous migration, and keeps the tokens', async () => {
    const { sql, migrator } = await createEmpty()
    const folder = await mkdtemp(join(tmpdir(), 'slurmgate-migrations-'))
    await cp(MIGRATIONS_FOLDER, folder, { recursive: true })
    const all = await readJournal(MIGRATIONS_FOLDER)
    const entries = all.slice(0, -1).map((entry, idx) => ({ idx, version: '7', breakpoints: true, ...entry }))
    await writeFile(join(folder, 'meta/_journal.json'), JSON.stringify({ entries }))
    await applyMigrations(migrator, folder)
    await rm(folder, { recursive: true })
    await sql`insert into api_tokens ${sql(buildTokenRow())}`
    expect(await run(migrator, 'db', 'migrate')).toMatchObject({
      exitCode: 0,
      stdout: `applied ${all.at(-1)?.tag ?? ''}\n`,
      stderr: HINT,
    })
    expect((await run(migrator, 'db', 'grants', '--apply')).exitCode).toBe(0)
    expect(await sql`select id from api_tokens`).toHaveLength(1)
    await sql.end()
  })

  it('what a member of another prefix’s migrator makes belongs to that role, and the hint names it', async () => {
    const url = await createDatabase()
    await run(url, 'db', 'grants', '--apply', '--prefix', 'other')
    const member = await createLogin(url, { memberOf: ['other_migrator'] })
    expect(await run(member.url, 'db', 'migrate')).toMatchObject({
      exitCode: 0,
      stderr: HINT.replace('--apply', '--apply --prefix other'),
    })
    const sql = connect(url)
    const owners =
      await sql`select distinct tableowner from pg_tables where schemaname in ('public', 'drizzle')`
    expect(owners).toEqual([{ tableowner: 'other_migrator' }])
    await sql.end()
  })

  it('may not: make roles, or read what is not the gate’s', async () => {
    const sql = connect(roles.migratorUrl)
    for (const statement of [
      'create role extra',
      'select * from neighbour.secrets',
      'create database extra',
    ]) {
      await expect(sql.unsafe(statement)).rejects.toMatchObject({ code: '42501' })
    }
    await sql.end()
  })
})
