/** What the catalogs say of the group roles and of PUBLIC: roles, owners and rights, each as one line of text. Changes nothing. */

import { sql } from 'drizzle-orm'
import type { PgDatabase } from 'drizzle-orm/pg-core'
import type { PostgresJsQueryResultHKT } from 'drizzle-orm/postgres-js'
import {
  BOOK_SCHEMA,
  type DatabaseRoles,
  GATEWAY_RIGHTS,
  ISSUER_RIGHTS,
  TABLE_SCHEMA,
  type TableRight,
  TABLES,
} from '../../src/tokens/database-roles.ts'

/** A pool, or a transaction of it. */
export type Connection = PgDatabase<PostgresJsQueryResultHKT>

/** The objects of the gate, as rows of `kind`, `object`, `owner`, `acl` and `columns`. */
const OBJECTS = sql`
  select 'database' as kind, quote_ident(datname) as object, datdba as owner,
    coalesce(datacl, acldefault('d', datdba)) as acl, null::text as col
  from pg_database where datname = current_database()
  union all
  select 'schema', quote_ident(nspname), nspowner, coalesce(nspacl, acldefault('n', nspowner)), null
  from pg_namespace where nspname in (${TABLE_SCHEMA}, ${BOOK_SCHEMA})
  union all
  select case relkind when 'S' then 'sequence' else 'table' end, nspname || '.' || relname, relowner,
    coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)), null
  from pg_class join pg_namespace on pg_namespace.oid = relnamespace
  where (nspname || '.' || relname) = any(${list(TABLES)}) or (nspname = ${BOOK_SCHEMA} and relkind = 'S')
  union all
  select 'table', nspname || '.' || relname, relowner, attacl, attname
  from pg_attribute join pg_class on pg_class.oid = attrelid
    join pg_namespace on pg_namespace.oid = relnamespace
  where (nspname || '.' || relname) = any(${list(TABLES)}) and attacl is not null`

/** The gate's tables that are there. By name: `to_regclass` fails for who may not use the schema. */
export const OWN_TABLES = sql`
  select nspname || '.' || relname as name, pg_class.oid, relowner as owner
  from pg_class join pg_namespace on pg_namespace.oid = relnamespace
  where (nspname || '.' || relname) = any(${list(TABLES)})`

/** Sorted, so that two readings can be compared. Owners' rights to their own are not told one by one. */
export async function readFacts(connection: Connection, roles: DatabaseRoles): Promise<readonly string[]> {
  const names = list(Object.values(roles))
  const rows = await connection.execute<{ fact: string }>(sql`
    with object as (${OBJECTS}), granted as (
      select kind, object, owner, col, entry.grantee, entry.privilege_type as privilege
      from object, aclexplode(acl) as entry
    ), holder as (
      select oid, rolname::text as name from pg_roles where rolname = any(${names}) union all select 0, 'PUBLIC'
    )
    select 'role ' || rolname as fact from pg_roles where rolname = any(${names})
    union
    select format('%s %s belongs to %s', kind, object, rolname) from object join pg_roles on pg_roles.oid = owner
    where kind <> 'database' and object <> ${TABLE_SCHEMA}
    union
    select format('%s: %s%s on %s %s', name, privilege, ' (' || string_agg(col, ', ' order by col) || ')', kind, object)
    from granted join holder on holder.oid = grantee
    where grantee <> owner
    group by name, privilege, kind, object, col is null
    union
    select format('functions that %s makes are closed to PUBLIC', rolname)
    from pg_default_acl join pg_roles on pg_roles.oid = defaclrole
    where rolname = any(${names}) and defaclobjtype = 'f' and defaclnamespace = 0
      and not exists (select from aclexplode(defaclacl) where grantee = 0)
    order by fact`)
  return rows.map(({ fact }) => fact)
}

/** @returns what a role should be able to do here and cannot, from wherever it has its rights. Tables that are not there do not count. */
export async function findMissingRights(
  connection: Connection,
  roles: DatabaseRoles,
): Promise<readonly string[]> {
  const wanted = [...spread(roles.gateway, GATEWAY_RIGHTS), ...spread(roles.issuer, ISSUER_RIGHTS)]
  const rows = await connection.execute<{ missing: string }>(sql`
    with role as (select oid, rolname from pg_roles where rolname = any(${list(Object.values(roles))})),
    migrator as (select * from role where rolname = ${roles.migrator}),
    wanted as (select * from json_to_recordset(${JSON.stringify(wanted)}::text::json)
      as wanted(role name, "table" text, privilege text, col text)),
    own as (${OWN_TABLES})
    select format('%s: %s%s on table %s', role, privilege, ' (' || col || ')', name) as missing
    from wanted join own on name = "table"
    where not case when col is null then has_table_privilege(role, own.oid, privilege)
      else has_column_privilege(role, own.oid, col, privilege) end
    union all
    select format('%s: CONNECT on database %I', rolname, current_database()) from role
    where not has_database_privilege(oid, current_database(), 'CONNECT')
    union all
    select format('%s: USAGE on schema %I', rolname, nspname) from role, pg_namespace
    where nspname in (${TABLE_SCHEMA}, ${BOOK_SCHEMA}) and not has_schema_privilege(role.oid, pg_namespace.oid, 'USAGE')
    union all
    select format('%s: CREATE on schema %I', rolname, nspname) from migrator, pg_namespace
    where nspname in (${TABLE_SCHEMA}, ${BOOK_SCHEMA}) and not has_schema_privilege(migrator.oid, pg_namespace.oid, 'CREATE')
    union all
    select format('%s: CREATE on database %I', rolname, current_database()) from migrator
    where not has_database_privilege(oid, current_database(), 'CREATE')`)
  return rows.map(({ missing }) => missing)
}

/** @returns those of the gate's tables that are not there yet. */
export async function findMissingTables(connection: Connection): Promise<readonly string[]> {
  const rows = await connection.execute<{ name: string }>(
    sql`select name from unnest(${list(TABLES)}) as name where name not in (select own.name from (${OWN_TABLES}) as own)`,
  )
  return rows.map(({ name }) => name)
}

/** An array as one parameter. */
export function list(texts: readonly string[]) {
  return sql`array(select json_array_elements_text(${JSON.stringify(texts)}::text::json))`
}

/** A row for each column. */
function spread(role: string, rights: readonly TableRight[]) {
  return rights.flatMap(({ table, privilege, columns }) =>
    (columns ?? [null]).map((col) => ({ role, table, privilege, col })),
  )
}
