/** The rights that `slurmgate db grants` gives to the group roles, held to lists of the test's own. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type postgres from 'postgres'
import { runCli } from '../support/cli.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { createTokenDatabase } from '../support/token-database.ts'
import { listGrantedObjects, listRights, readCatalogs } from './database-rights.ts'

const connections: postgres.Sql[] = []
afterAll(async () => {
  for (const sql of connections) await sql.end()
  await stopOwnPostgres()
})

const run = (url: string, ...parameters: string[]) =>
  runCli(parameters, { environment: { DATABASE_URL: url, USER: 'operator' } })

async function apply(url: string, ...parameters: string[]) {
  const outcome = await run(url, 'db', 'grants', '--apply', ...parameters)
  expect(outcome.exitCode, outcome.stderr).toBe(0)
  return outcome
}

describe('after db grants --apply on a store that a superuser migrated', () => {
  let sql: postgres.Sql
  let url: string
  beforeAll(async () => {
    const store = await createTokenDatabase()
    connections.push(store.sql)
    ;({ sql, url } = store)
    await apply(url)
  })

  it('the gateway reads the columns it decides by, and keeps the replays: nothing else', async () => {
    expect(await listRights(sql, 'slurmgate_gateway')).toEqual([
      'api_tokens.account: SELECT',
      'api_tokens.created_at: SELECT',
      'api_tokens.digest: SELECT',
      'api_tokens.expires_at: SELECT',
      'api_tokens.format: SELECT',
      'api_tokens.id: SELECT',
      'api_tokens.name: SELECT',
      'api_tokens.policy_version: SELECT',
      'api_tokens.replaced_by: SELECT',
      'api_tokens.revoked_at: SELECT',
      'api_tokens.scopes: SELECT',
      'api_tokens.seal: SELECT',
      'api_tokens.sealed_at: SELECT',
      'api_tokens.slurm_user: SELECT',
      'api_tokens.uid: SELECT',
      'database: CONNECT',
      'drizzle.__drizzle_migrations.created_at: SELECT',
      'munge_replays: DELETE',
      'munge_replays: INSERT',
      'munge_replays: SELECT',
      'schema drizzle: USAGE',
      'schema public: USAGE',
    ])
  })

  it('the issuer reads and adds tokens, and changes when they end: nothing else', async () => {
    expect(await listRights(sql, 'slurmgate_issuer')).toEqual([
      'api_tokens.expires_at: UPDATE',
      'api_tokens.replaced_by: UPDATE',
      'api_tokens.revoked_at: UPDATE',
      'api_tokens.seal: UPDATE',
      'api_tokens.sealed_at: UPDATE',
      'api_tokens.uid: UPDATE',
      'api_tokens: INSERT',
      'api_tokens: SELECT',
      'database: CONNECT',
      'drizzle.__drizzle_migrations.created_at: SELECT',
      'schema drizzle: USAGE',
      'schema public: USAGE',
    ])
  })

  it('the migrator owns the tables and the book, and may make more: nothing else', async () => {
    const rights = await listRights(sql, 'slurmgate_migrator')
    const owned = ['api_tokens', 'munge_replays', 'drizzle.__drizzle_migrations']
    // An owner's rights to its own, in whatever number this Postgres has them.
    const isOwners = (line: string): boolean =>
      owned.some((table) => line.startsWith(`${table}: `)) ||
      line.startsWith('drizzle.__drizzle_migrations_id_seq: ')
    expect(rights.filter((line) => !isOwners(line))).toEqual([
      'database: CONNECT',
      'database: CREATE',
      'default f: EXECUTE',
      'function tell_token_change(): EXECUTE',
      'owns default privileges on new functions belonging to role slurmgate_migrator',
      'owns function tell_token_change()',
      'owns schema drizzle',
      'owns sequence drizzle.__drizzle_migrations_id_seq',
      'owns table api_tokens',
      'owns table drizzle.__drizzle_migrations',
      'owns table munge_replays',
      'schema drizzle: CREATE',
      'schema drizzle: USAGE',
      'schema public: CREATE',
      'schema public: USAGE',
    ])
  })

  it('no other object of any kind has a right of the gateway or the issuer', async () => {
    const { pathname } = new URL(url)
    const containers = [`database ${pathname.slice(1)}`, 'schema drizzle', 'schema public']
    expect(await listGrantedObjects(sql, 'slurmgate_gateway')).toEqual(
      [...containers, 'table api_tokens', 'table drizzle.__drizzle_migrations', 'table munge_replays'].sort(),
    )
    expect(await listGrantedObjects(sql, 'slurmgate_issuer')).toEqual(
      [...containers, 'table api_tokens', 'table drizzle.__drizzle_migrations'].sort(),
    )
  })

  it('PUBLIC has nothing on the tables and schemas but the use of schema public', async () => {
    const rows = await sql<{ line: string }[]>`
      select relname || ': ' || privilege_type as line from pg_class, aclexplode(relacl)
      where grantee = 0 and relnamespace in ('public'::regnamespace, 'drizzle'::regnamespace)
      union all
      select nspname || ': ' || privilege_type from pg_namespace, aclexplode(nspacl)
      where grantee = 0 and nspname in ('public', 'drizzle')`
    expect(rows.map(({ line }) => line)).toEqual(['public: USAGE'])
  })

  it('a second run finds nothing to change, and leaves the catalogs as they are', async () => {
    const before = await readCatalogs(sql)
    expect(await apply(url)).toMatchObject({
      stdout: 'nothing to change: the roles have their rights\n',
      stderr: '',
    })
    expect(await readCatalogs(sql)).toEqual(before)
    expect(JSON.parse((await apply(url, '--json')).stdout)).toEqual({
      gained: [],
      lost: [],
      missing_tables: [],
    })
  })

  it('wider rights that somebody gave since are taken back, and told', async () => {
    const before = await readCatalogs(sql)
    await sql.unsafe(`
      grant all on api_tokens to slurmgate_gateway;
      grant update (scopes) on api_tokens to slurmgate_issuer;
      grant select on munge_replays to public;
      grant create on schema public to public;
      grant usage on sequence drizzle.__drizzle_migrations_id_seq to slurmgate_issuer`)
    const { stdout } = await apply(url)
    for (const line of [
      '- slurmgate_gateway: TRUNCATE on table public.api_tokens',
      '- slurmgate_issuer: UPDATE (expires_at, replaced_by, revoked_at, scopes, seal, sealed_at, uid) on table public.api_tokens',
      '- slurmgate_issuer: USAGE on sequence drizzle.__drizzle_migrations_id_seq',
      '- PUBLIC: SELECT on table public.munge_replays',
      '- PUBLIC: CREATE on schema public',
    ])
      expect(stdout.split('\n')).toContain(line)
    expect(await readCatalogs(sql)).toEqual(before)
  })
})
