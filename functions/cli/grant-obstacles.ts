/** What keeps a database user from giving the group roles their rights, said before anything is tried. Changes nothing. */

import { sql } from 'drizzle-orm'
import { BOOK_SCHEMA, type DatabaseRoles, TABLE_SCHEMA } from '../../src/tokens/database-roles.ts'
import { type Connection, list, OWN_TABLES } from './held-rights.ts'

/** Before Postgres 16 whoever may make roles may also join them; since then only those that it made itself. */
const MAY_JOIN = sql`(pg_has_role(migrator.oid, 'MEMBER WITH ADMIN OPTION')
  or (me.rolcreaterole and current_setting('server_version_num')::int < 160000))`

/** Roles that are made already, and can do what no right of a table takes away. */
const TOO_MIGHTY = sql`
  select format('a role %s without %s', rolname, concat_ws(', ', case when rolsuper then 'SUPERUSER' end,
    case when rolcreaterole then 'CREATEROLE' end, case when rolcreatedb then 'CREATEDB' end,
    case when rolreplication then 'REPLICATION' end, case when rolbypassrls then 'BYPASSRLS' end))
  from role where rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
  union all
  select format('a role %s that is no member of %s', role.rolname, pg_roles.rolname)
  from role join pg_auth_members on member = role.oid join pg_roles on pg_roles.oid = roleid`

/** @returns what would have to be there, each in words; none: it can be tried. */
export async function findObstacles(
  connection: Connection,
  roles: DatabaseRoles,
): Promise<readonly string[]> {
  const names = list(Object.values(roles))
  const rows = await connection.execute<{ obstacle: string }>(sql`
    with me as (select * from pg_roles where rolname = current_user),
    role as (select * from pg_roles where rolname = any(${names})),
    migrator as (select * from role where rolname = ${roles.migrator})
    select 'CREATEROLE, or these roles made by somebody who has it: ' || string_agg(name, ', ') as obstacle
    from unnest(${names}) as name, me
    where not (rolsuper or rolcreaterole) and not exists (select from role where rolname = name)
    having count(*) > 0
    union all
    select 'membership in ' || migrator.rolname from migrator, me
    where not pg_has_role(migrator.oid, 'USAGE') and not ${MAY_JOIN}
    union all
    select format('the right to grant CREATE on database %I, which belongs to %s', datname, datdba::regrole)
    from pg_database
    where datname = current_database() and not has_database_privilege(oid, 'CREATE WITH GRANT OPTION')
      and not exists (select from migrator where has_database_privilege(migrator.oid, pg_database.oid, 'CREATE'))
    union all
    select format('the right to grant CREATE on schema %I, which belongs to %s', nspname, nspowner::regrole)
    from pg_namespace
    where nspname = ${TABLE_SCHEMA} and not has_schema_privilege(oid, 'CREATE WITH GRANT OPTION')
      and not exists (select from migrator where has_schema_privilege(migrator.oid, pg_namespace.oid, 'CREATE'))
    union all
    select format('the rights of %s, to whom table %s belongs', owner::regrole, name) from (${OWN_TABLES}) as own
    where not pg_has_role(owner, 'USAGE') and owner not in (select oid from migrator)
    union all
    select format('the rights of %s, to whom schema %I belongs', nspowner::regrole, nspname) from pg_namespace
    where nspname = ${BOOK_SCHEMA} and not pg_has_role(nspowner, 'USAGE') and nspowner not in (select oid from migrator)
    union all
    ${TOO_MIGHTY}`)
  return rows.map(({ obstacle }) => obstacle)
}
