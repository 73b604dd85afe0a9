/** `slurmgate db grants`: what it prints and takes, who can apply it, and what it says where it cannot be. */

import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import postgres from 'postgres'
import { nameRoles } from '../../src/tokens/database-roles.ts'
import { runCli } from '../support/cli.ts'
import { createLogin } from '../support/login-role.ts'
import { createDatabase, stopOwnPostgres } from '../support/postgres.ts'
import { connect, createTokenDatabase } from '../support/token-database.ts'
import { readCatalogs } from './database-rights.ts'

const connections: postgres.Sql[] = []
afterAll(async () => {
  for (const sql of connections) await sql.end()
  await stopOwnPostgres()
})

const run = (url: string, ...parameters: string[]) =>
  runCli(parameters, { environment: { DATABASE_URL: url, USER: 'operator' } })

function open(url: string): postgres.Sql {
  const sql = connect(url)
  connections.push(sql)
  return sql
}

async function apply(url: string, ...parameters: string[]) {
  const outcome = await run(url, 'db', 'grants', '--apply', ...parameters)
  expect(outcome.exitCode, outcome.stderr).toBe(0)
  return outcome
}

describe('db grants', () => {
  it('prints the statements that --apply runs, without a database, a password or a role that logs in', async () => {
    const [applied, printed] = [await createTokenDatabase(), await createTokenDatabase()]
    connections.push(applied.sql, printed.sql)
    await apply(applied.url, '--prefix', 'x_applied')
    const { exitCode, stdout } = await runCli(['db', 'grants', '--prefix', 'x_printed'])
    expect(exitCode).toBe(0)
    expect(stdout).not.toMatch(/password|\blogin\b(?! roles)/i)
    const psql = postgres(printed.url, { max: 1, onnotice: () => undefined })
    await psql.unsafe(stdout)
    await psql.end()
    const read = async (sql: postgres.Sql, prefix: string) =>
      (await readCatalogs(sql))
        .filter((line) => !/^(role|member) /.test(line))
        .map((line) => line.replaceAll(prefix, 'x'))
    expect(await read(printed.sql, 'x_printed')).toEqual(await read(applied.sql, 'x_applied'))
    const json = await runCli(['db', 'grants', '--prefix', 'x_printed', '--json'])
    expect(JSON.parse(json.stdout)).toEqual({ script: stdout })
  })

  it('takes names that need quotes, as they are', async () => {
    const { url, sql } = await createTokenDatabase()
    connections.push(sql)
    await apply(url, '--prefix', 'Lab-7.x')
    expect(await sql`select rolname from pg_roles where rolname like 'Lab%' order by 1`).toEqual([
      { rolname: 'Lab-7.x_gateway' },
      { rolname: 'Lab-7.x_issuer' },
      { rolname: 'Lab-7.x_migrator' },
    ])
    const login = await createLogin(url, { memberOf: ['Lab-7.x_issuer'] })
    expect((await run(login.url, 'token', 'list', '--json')).stdout).toBe('[]\n')
  })

  it.each([
    '',
    'pg_gate',
    '7up',
    'a b',
    'a"; drop table api_tokens; --',
    "a'",
    'a$grants$',
    'ä',
    'a%s',
    'a'.repeat(55),
  ])('does not take the prefix %j', async (prefix) => {
    const { exitCode, stdout, stderr } = await runCli(['db', 'grants', `--prefix=${prefix}`])
    expect([exitCode, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/^slurmgate: --prefix takes /)
    expect(nameRoles(prefix)).toBeNull()
  })

  it('takes the longest prefix whose roles Postgres can tell apart', async () => {
    const prefix = 'a'.repeat(54)
    const { url, sql } = await createTokenDatabase()
    connections.push(sql)
    await apply(url, '--prefix', prefix)
    expect(await sql`select from pg_roles where rolname = ${`${prefix}_migrator`}`).toHaveLength(1)
  })
})

describe('in README.md', () => {
  it('the commands make three users, each in one role', async () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
    const block = readme.split('<!-- roles:begin -->')[1]?.split('<!-- roles:end -->')[0] ?? ''
    const url = await createDatabase()
    const sql = open(url)
    for (const [, command = ''] of block.matchAll(/npx slurmgate (.*)/g))
      expect((await run(url, ...command.split(' '))).exitCode).toBe(0)
    for (const [, statement = ''] of block.matchAll(/-c "(create role [^"]*)"/g)) await sql.unsafe(statement)
    expect(
      await sql`select member::regrole::text as "user", roleid::regrole::text as role from pg_auth_members
        where roleid::regrole::text like 'slurmgate%' order by 2`,
    ).toEqual([
      { user: 'gate', role: 'slurmgate_gateway' },
      { user: 'staff', role: 'slurmgate_issuer' },
      { user: 'deploy', role: 'slurmgate_migrator' },
    ])
    await sql`drop role gate, staff, deploy`
  })
})

describe('an administrator who is no superuser', () => {
  it('can do it as owner of the database with CREATEROLE, and has no part in the migrator afterwards', async () => {
    const superuserUrl = await createDatabase()
    const sql = open(superuserUrl)
    const admin = await createLogin(superuserUrl, { attributes: 'createrole' })
    await sql.unsafe(`alter database ${new URL(superuserUrl).pathname.slice(1)} owner to ${admin.name}`)
    expect((await run(admin.url, 'db', 'migrate')).exitCode).toBe(0)
    await apply(admin.url, '--prefix', 'managed')
    const acting = sql`select pg_has_role(${admin.name}, 'managed_migrator', 'USAGE')
      or pg_has_role(${admin.name}, 'managed_migrator', 'SET') as acts`
    expect(await acting).toEqual([{ acts: false }])
    const before = await readCatalogs(sql)
    expect((await apply(admin.url, '--prefix', 'managed')).stdout).toMatch(/^nothing to change/)
    expect(await readCatalogs(sql)).toEqual(before)
    const rows =
      await sql`select distinct tableowner from pg_tables where schemaname in ('public', 'drizzle')`
    expect(rows).toEqual([{ tableowner: 'managed_migrator' }])
  })

  it('is told all that is missing at once, and changes nothing', async () => {
    const { url, sql } = await createTokenDatabase()
    connections.push(sql)
    const name = new URL(url).pathname.slice(1)
    const login = await createLogin(url)
    const before = await readCatalogs(sql)
    const { exitCode, stdout, stderr } = await run(login.url, 'db', 'grants', '--apply', '--prefix', 'poor')
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr.split('\n').sort()).toEqual(
      [
        '',
        'slurmgate: nothing was changed; this needs:',
        'slurmgate:   CREATEROLE, or these roles made by somebody who has it: poor_gateway, poor_issuer, poor_migrator',
        `slurmgate:   the right to grant CREATE on database ${name}, which belongs to postgres`,
        'slurmgate:   the right to grant CREATE on schema public, which belongs to pg_database_owner',
        'slurmgate:   the rights of postgres, to whom schema drizzle belongs',
        'slurmgate:   the rights of postgres, to whom table drizzle.__drizzle_migrations belongs',
        'slurmgate:   the rights of postgres, to whom table public.api_tokens belongs',
        'slurmgate:   the rights of postgres, to whom table public.munge_replays belongs',
      ].sort(),
    )
    expect(await readCatalogs(sql)).toEqual(before)
  })

  it('is told that roles of somebody else are not its own to act for', async () => {
    const { url, sql } = await createTokenDatabase()
    connections.push(sql)
    await apply(url, '--prefix', 'foreign')
    const login = await createLogin(url, { attributes: 'createrole' })
    const { exitCode, stderr } = await run(login.url, 'db', 'grants', '--apply', '--prefix', 'foreign')
    expect(exitCode).toBe(1)
    expect(stderr).toBe(
      'slurmgate: nothing was changed; this needs:\nslurmgate:   membership in foreign_migrator\n',
    )
  })
})

describe('what stands in the way', () => {
  it('a right that Postgres would not give, and only warns of, is named, and nothing is changed', async () => {
    const { url, sql } = await createTokenDatabase()
    connections.push(sql)
    await apply(url, '--prefix', 'closed')
    const login = await createLogin(url, { memberOf: ['closed_migrator'] })
    const name = new URL(url).pathname.slice(1)
    await sql.unsafe(`revoke connect on database ${name} from public, closed_gateway`)
    const before = await readCatalogs(sql)
    const { exitCode, stdout, stderr } = await run(login.url, 'db', 'grants', '--apply', '--prefix', 'closed')
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toBe(
      `slurmgate: nothing was changed; these rights could not be granted:\nslurmgate:   closed_gateway: CONNECT on database ${name}\n`,
    )
    expect(await readCatalogs(sql)).toEqual(before)
    await apply(url, '--prefix', 'closed')
    await apply(login.url, '--prefix', 'closed')
  })

  it('eight at a time do not stand in each other’s', async () => {
    const { url, sql } = await createTokenDatabase()
    connections.push(sql)
    await Promise.all(Array.from({ length: 8 }, () => apply(url, '--prefix', 'crowd')))
    expect((await apply(url, '--prefix', 'crowd')).stdout).toMatch(/^nothing to change/)
  })

  it('a role by that name that can do more is not made part of it', async () => {
    const { url, sql } = await createTokenDatabase()
    connections.push(sql)
    await sql.unsafe(
      'create role mighty_gateway superuser createdb; create role mighty_issuer in role pg_read_all_data',
    )
    const { exitCode, stderr } = await run(url, 'db', 'grants', '--apply', '--prefix', 'mighty')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('a role mighty_gateway without SUPERUSER, CREATEDB\n')
    expect(stderr).toContain('a role mighty_issuer that is no member of pg_read_all_data\n')
    expect(await sql`select from pg_roles where rolname = 'mighty_migrator'`).toHaveLength(0)
  })

  it('a schema that is too old is migrated first', async () => {
    const { url, sql } = await createTokenDatabase()
    connections.push(sql)
    await sql`alter table api_tokens drop column replaced_by`
    const { exitCode, stderr } = await run(url, 'db', 'grants', '--apply', '--prefix', 'early')
    expect([exitCode, stderr]).toEqual([
      1,
      'slurmgate: nothing was changed; the schema is too old; run first: slurmgate db migrate\n',
    ])
    expect(await sql`select from pg_roles where rolname like 'early%'`).toHaveLength(0)
  })
})
