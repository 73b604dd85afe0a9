/**
 * What others own and a migration would run with the rights of whoever migrates. To act as the owner is no way out for
 * who may do more than it: a trigger may say RESET ROLE (PostgreSQL, "SET ROLE"). Changes nothing.
 */

import { sql } from 'drizzle-orm'
import { BOOK_SCHEMA, TABLE_SCHEMA, TABLES } from '../../src/tokens/database-roles.ts'
import { type Connection, list } from './held-rights.ts'

export interface MigrationObstacles {
  /** Objects of the gate, in words: theirs who may do less. Only for who may do more than a migrator. */
  readonly owned: readonly string[]
  /** Functions and operators by a name of Postgres's own, in words, of roles that the session is no member of. */
  readonly overloads: readonly string[]
}

/** May be or become one that makes roles: before Postgres 16 such a role joins all that are no superusers. */
const IS_MIGHTY = sql`exists (
  select from pg_roles where (rolsuper or rolcreaterole) and pg_has_role(session_user, oid, 'MEMBER'))`

/** Superusers need no trick. Who is mighty is a member of all roles, and trusts itself alone. */
const OTHER = sql`
  select oid, rolname, mighty from pg_roles, (select ${IS_MIGHTY} as mighty) as session
  where not rolsuper and rolname <> session_user and (mighty or not pg_has_role(session_user, oid, 'MEMBER'))`

const OBJECTS = sql`
  select 'schema ' || quote_ident(nspname) as object, nspowner as owner from pg_namespace where nspname = ${BOOK_SCHEMA}
  union all
  select 'table ' || oid::regclass, relowner from pg_class
  where relkind <> 'i' and (relnamespace = ${findSchema(BOOK_SCHEMA)} or oid in (${findTables()}))
  union all
  select 'function ' || oid::regprocedure, proowner from pg_proc where pronamespace = ${findSchema(BOOK_SCHEMA)}
  union all
  select format('trigger %I of table %s', tgname, tgrelid::regclass), proowner
  from pg_trigger join pg_proc on pg_proc.oid = tgfoid where tgrelid in (${findTables()})`

const OVERLOADS = sql`
  select 'function ' || oid::regprocedure as object, proowner as owner from pg_proc
  where pronamespace = ${findSchema(TABLE_SCHEMA)}
    and proname in (select proname from pg_proc where pronamespace = ${findSchema('pg_catalog')})
  union all
  select 'operator ' || oid::regoperator, oprowner from pg_operator where oprnamespace = ${findSchema(TABLE_SCHEMA)}`

/** `connection` has Postgres's own names alone. */
export async function findMigrationObstacles(connection: Connection): Promise<MigrationObstacles> {
  const rows = await connection.execute<{ kind: string; obstacle: string }>(sql`
    with other as (${OTHER})
    select 'owned' as kind, format('%s belongs to %s', object, rolname) as obstacle
    from (${OBJECTS}) as objects join other on other.oid = owner where mighty
    union all
    select 'overload', format('%s belongs to %s', object, rolname)
    from (${OVERLOADS}) as overloads join other on other.oid = owner
    order by obstacle`)
  const find = (kind: string): readonly string[] =>
    rows.filter((row) => row.kind === kind).map(({ obstacle }) => obstacle)
  return { owned: find('owned'), overloads: find('overload') }
}

function findSchema(name: string) {
  return sql`(select oid from pg_namespace where nspname = ${name})`
}

function findTables() {
  return sql`
    select pg_class.oid from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where (nspname || '.' || relname) = any(${list(TABLES)})`
}
