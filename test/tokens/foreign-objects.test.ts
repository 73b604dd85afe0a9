/** What others put into the database before a superuser runs the commands there: none of it runs with a superuser's rights. */

import { afterAll, describe, expect, it } from 'vitest'
import postgres from 'postgres'
import { runCli } from '../support/cli.ts'
import { createLogin } from '../support/login-role.ts'
import { createDatabase, stopOwnPostgres } from '../support/postgres.ts'
import { createRoleDatabase } from '../support/role-database.ts'
import { connect, createTokenDatabase } from '../support/token-database.ts'
import { readCatalogs } from './database-rights.ts'

const connections: postgres.Sql[] = []
afterAll(async () => {
  for (const sql of connections) await sql.end()
  await stopOwnPostgres()
})

const run = (url: string, ...parameters: string[]) =>
  runCli(parameters, { environment: { DATABASE_URL: url } })

/** Each fits better than Postgres's own where `public` is looked into: CVE-2018-1058. */
const OVERLOADS = [
  ['pg_has_role(text, text)', 'boolean', 'true'],
  ['quote_ident(name)', 'text', "'postgres'"],
  ['left(name, int)', 'text', "'slurmgate'"],
  ['format(text, text, name)', 'text', "''"],
  ['unnest(text[])', 'text', "''"],
] as const

/** As the user itself, who becomes a superuser by the first of them that a superuser calls. */
async function plantOverloads({ url, name }: { url: string; name: string }): Promise<void> {
  const own = postgres(url, { max: 1, onnotice: () => undefined })
  for (const [signature, type, value] of OVERLOADS) {
    await own.unsafe(`create function public.${signature} returns ${type} language plpgsql as $f$ begin
      if (select rolsuper from pg_roles where rolname = current_user) then execute 'alter role ${name} superuser'; end if;
      return ${value};
    end $f$`)
  }
  await own.end()
}

async function isSuperuser(sql: postgres.Sql, name: string): Promise<unknown> {
  const [row] = await sql`select rolsuper from pg_roles where rolname = ${name}`
  return row?.['rolsuper']
}

const readLogin = (url: string) => ({ url, name: new URL(url).username })

/** Where everybody may create in `public`: up to Postgres 14, and after an upgrade from there. */
async function createStranger(url: string, sql: postgres.Sql) {
  await sql.unsafe('grant create on schema public to public')
  return await createLogin(url)
}

it('the functions are called where they are looked for: the cases below can fail', async () => {
  const { url, sql } = await createTokenDatabase()
  connections.push(sql)
  const stranger = await createStranger(url, sql)
  await plantOverloads(stranger)
  await sql`select pg_has_role('pg_monitor', 'USAGE')`
  expect(await isSuperuser(sql, stranger.name)).toBe(true)
})

describe('db grants', () => {
  it.each(['--apply', 'printed, and run in psql'])('%s: calls no function of the migrator’s', async (way) => {
    const { admin, migratorUrl } = await createRoleDatabase()
    connections.push(admin.sql)
    const migrator = readLogin(migratorUrl)
    await plantOverloads(migrator)
    if (way === '--apply') expect((await run(admin.url, 'db', 'grants', '--apply')).exitCode).toBe(0)
    else {
      const psql = postgres(admin.url, { max: 1, onnotice: () => undefined })
      await psql.unsafe((await runCli(['db', 'grants'])).stdout)
      await psql.end()
    }
    expect(await isSuperuser(admin.sql, migrator.name)).toBe(false)
  })

  it('calls no function of a stranger’s where everybody may create in public', async () => {
    const { url, sql } = await createTokenDatabase()
    connections.push(sql)
    const stranger = await createStranger(url, sql)
    await plantOverloads(stranger)
    expect((await run(url, 'db', 'grants', '--apply', '--prefix', 'strange')).exitCode).toBe(0)
    expect(await isSuperuser(sql, stranger.name)).toBe(false)
  })
})

describe('db migrate', () => {
  it('as a superuser runs no trigger of the migrator’s: it changes nothing, and says who may', async () => {
    const { admin, migratorUrl } = await createRoleDatabase()
    connections.push(admin.sql)
    const { name } = readLogin(migratorUrl)
    const own = postgres(migratorUrl, { max: 1, onnotice: () => undefined })
    await own.unsafe(`
      create function public.become() returns trigger language plpgsql as $f$ begin
        reset role;
        execute 'alter role ${name} superuser';
        return new;
      end $f$;
      set role slurmgate_migrator;
      create trigger become before insert on drizzle.__drizzle_migrations for each row execute function public.become();
      delete from drizzle.__drizzle_migrations where created_at = (select max(created_at) from drizzle.__drizzle_migrations);
      drop function public.tell_token_change() cascade`)
    await own.end()
    const before = await readCatalogs(admin.sql)
    const { exitCode, stdout, stderr } = await run(admin.url, 'db', 'migrate')
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr.split('\n')).toEqual([
      'slurmgate: nothing was changed',
      expect.stringMatching(
        /^slurmgate: .* log in as a member of the role that owns it, one without SUPERUSER and CREATEROLE:$/,
      ),
      'slurmgate:   schema drizzle belongs to slurmgate_migrator',
      'slurmgate:   table drizzle.__drizzle_migrations belongs to slurmgate_migrator',
      'slurmgate:   table drizzle.__drizzle_migrations_id_seq belongs to slurmgate_migrator',
      'slurmgate:   table public.api_tokens belongs to slurmgate_migrator',
      'slurmgate:   table public.munge_replays belongs to slurmgate_migrator',
      `slurmgate:   trigger become of table drizzle.__drizzle_migrations belongs to ${name}`,
      '',
    ])
    expect(await readCatalogs(admin.sql)).toEqual(before)
    expect(await isSuperuser(admin.sql, name)).toBe(false)
  })

  it('nor does one who may make roles, for whom a role before Postgres 16 was no boundary either', async () => {
    const { admin } = await createRoleDatabase()
    connections.push(admin.sql)
    const options = { attributes: 'createrole', memberOf: ['slurmgate_migrator'] }
    const login = await createLogin(admin.url, options)
    const { exitCode, stderr } = await run(login.url, 'db', 'migrate')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('slurmgate:   table public.api_tokens belongs to slurmgate_migrator\n')
  })

  it('binds no function that a stranger named like Postgres’s own into the schema, whoever migrates', async () => {
    const url = await createDatabase()
    const sql = connect(url)
    connections.push(sql)
    const stranger = await createStranger(url, sql)
    const own = postgres(stranger.url, { max: 1, onnotice: () => undefined })
    await own.unsafe(`
      create function public.cardinality(text[]) returns int language sql as 'select 1';
      create function public.unlike_any_other() returns int language sql as 'select 1'`)
    await own.end()
    await plantOverloads(stranger)
    await run(url, 'db', 'grants', '--apply', '--prefix', 'bound')
    const member = await createLogin(url, { memberOf: ['bound_migrator'] })
    for (const user of [url, member.url]) {
      const { exitCode, stderr } = await run(user, 'db', 'migrate')
      expect(exitCode).toBe(1)
      expect(stderr).toContain(
        `slurmgate:   function public.cardinality(text[]) belongs to ${stranger.name}\n`,
      )
      expect(stderr).not.toContain('unlike_any_other')
    }
    expect(await isSuperuser(sql, stranger.name)).toBe(false)
    await sql.unsafe(`drop function public.cardinality(text[])`)
    for (const [signature] of OVERLOADS) await sql.unsafe(`drop function public.${signature}`)
    expect((await run(member.url, 'db', 'migrate')).exitCode).toBe(0)
  })

  it('makes its tables in public, not in a schema that somebody named after the user', async () => {
    const url = await createDatabase()
    const sql = connect(url)
    connections.push(sql)
    await sql.unsafe('create schema postgres')
    expect((await run(url, 'db', 'migrate')).exitCode).toBe(0)
    expect(
      await sql`select schemaname from pg_tables where tablename in ('api_tokens', 'munge_replays')`,
    ).toEqual([{ schemaname: 'public' }, { schemaname: 'public' }])
  })
})
