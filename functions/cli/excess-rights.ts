/** What a gateway's database user can do beyond what a gateway needs, from wherever it has it. Changes nothing. */

import { sql } from 'drizzle-orm'
import {
  BOOK_SCHEMA,
  GATEWAY_RIGHTS,
  TABLE_SCHEMA,
  type TableRight,
} from '../../src/tokens/database-roles.ts'
import { type Connection, list, OWN_TABLES } from './held-rights.ts'

const COLUMN_PRIVILEGES = ['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']
const TABLE_PRIVILEGES = ['DELETE', 'TRUNCATE', 'TRIGGER']

/** Whoever it is, or can become: SET ROLE needs no more than a membership. */
const ACTING = sql`select * from pg_roles where pg_has_role(oid, 'MEMBER')`

/** @returns each in words; a superuser's alone. */
export async function findExcessRights(connection: Connection): Promise<readonly string[]> {
  const superusers = await connection.execute(sql`select from (${ACTING}) as acting where rolsuper`)
  if (superusers.length > 0) return ['is a superuser, or may act as one']
  const rows = await connection.execute<{ excess: string }>(sql`
    with acting as materialized (${ACTING}),
    own as (${OWN_TABLES}),
    needed as (select * from json_to_recordset(${JSON.stringify(spread(GATEWAY_RIGHTS))}::text::json)
      as needed("table" text, privilege text, col text))
    select 'may create roles' as excess from acting where rolcreaterole
    union
    select 'may create databases' from acting where rolcreatedb
    union
    select 'may replicate' from acting where rolreplication
    union
    select 'owns ' || name from own join acting on acting.oid = owner
    union
    select 'may ' || string_agg(lower(privilege), ', ' order by privilege) || ' ' || name from (
      select name, privilege from own, acting, unnest(${list(TABLE_PRIVILEGES)}) as privilege
      where has_table_privilege(acting.oid, own.oid, privilege)
        and not exists (select from needed where "table" = name and needed.privilege = privilege.privilege)
      union
      select name, privilege
      from own join pg_attribute on attrelid = own.oid, acting, unnest(${list(COLUMN_PRIVILEGES)}) as privilege
      where attnum > 0 and not attisdropped and has_column_privilege(acting.oid, own.oid, attnum, privilege)
        and not exists (select from needed where "table" = name and needed.privilege = privilege.privilege
          and (col is null or col = attname))
    ) as beyond
    where name not in (select name from own join acting on acting.oid = owner)
    group by name
    union
    select 'may create in schema ' || nspname from pg_namespace, acting
    where nspname in (${TABLE_SCHEMA}, ${BOOK_SCHEMA}) and has_schema_privilege(acting.oid, pg_namespace.oid, 'CREATE')
    union
    select 'may create schemas' from acting
    where has_database_privilege(acting.oid, current_database(), 'CREATE')
    order by excess`)
  return rows.map(({ excess }) => excess)
}

/** A row for each column. */
function spread(rights: readonly TableRight[]) {
  return rights.flatMap(({ table, privilege, columns }) =>
    (columns ?? [null]).map((col) => ({ table, privilege, col })),
  )
}
