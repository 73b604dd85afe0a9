/** A token store with its group roles, and a database user in each of them. */

import { runCli } from './cli.ts'
import { createLogin } from './login-role.ts'
import { createTokenDatabase, type TokenDatabase } from './token-database.ts'

export interface RoleDatabase {
  /** As a superuser. */
  readonly admin: TokenDatabase
  readonly gatewayUrl: string
  readonly issuerUrl: string
  readonly migratorUrl: string
}

/** The caller ends `admin.sql`. */
export async function createRoleDatabase(): Promise<RoleDatabase> {
  const admin = await createTokenDatabase()
  const { exitCode, stderr } = await runCli(['db', 'grants', '--apply'], {
    environment: { DATABASE_URL: admin.url },
  })
  if (exitCode !== 0) throw new Error(stderr)
  const createMember = async (group: string): Promise<string> =>
    (await createLogin(admin.url, { memberOf: [group] })).url
  return {
    admin,
    gatewayUrl: await createMember('slurmgate_gateway'),
    issuerUrl: await createMember('slurmgate_issuer'),
    migratorUrl: await createMember('slurmgate_migrator'),
  }
}

/** What no process may do but the migrator's; each has to fail with insufficient_privilege. */
export const FORBIDDEN_TO_ALL: readonly string[] = [
  'delete from api_tokens',
  'truncate api_tokens',
  "update api_tokens set scopes = array['slurm:read']",
  "update api_tokens set slurm_user = 'root'",
  'update api_tokens set digest = digest',
  'select 1 from api_tokens for update of api_tokens nowait',
  'lock table api_tokens in access exclusive mode',
  'alter table api_tokens drop constraint api_tokens_id_form',
  'alter table api_tokens add column extra text',
  'alter table munge_replays drop column keep_until',
  'drop table api_tokens',
  'drop table munge_replays',
  'drop schema drizzle cascade',
  'truncate munge_replays',
  'create table extra (id int)',
  'create table drizzle.extra (id int)',
  'create schema extra',
  'create view extra as select 1',
  "create function extra() returns int language sql as 'select 1'",
  'create index extra on munge_replays (keep_until)',
  'create trigger extra before insert on munge_replays execute function suppress_redundant_updates_trigger()',
  'create role extra',
  'create extension pg_trgm',
  'alter table api_tokens owner to current_user',
  'set role slurmgate_migrator',
  'insert into drizzle.__drizzle_migrations (hash, created_at) values (1, 1)',
  'update drizzle.__drizzle_migrations set created_at = 1',
  'delete from drizzle.__drizzle_migrations',
  "select nextval('drizzle.__drizzle_migrations_id_seq')",
  'select hash from drizzle.__drizzle_migrations',
  'select * from neighbour.secrets',
  'select rolpassword from pg_authid',
  "copy api_tokens to program 'true'",
  "select pg_read_file('PG_VERSION')",
]
