/**
 * The group roles of the database, and what each may do: no more than the statements of its processes need. What is not
 * in these lists nobody but the migrator may do.
 */

import { getTableColumns, getTableName } from 'drizzle-orm'
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core'
import { apiTokens, mungeReplays } from './schema.ts'
import { SEALED_COLUMNS } from './stored-row.ts'
import { RECORD_COLUMNS } from './token-store.ts'

/** Their names in one database. */
export interface DatabaseRoles {
  /** Gateway and signer. */
  readonly gateway: string
  /** The `token` commands and `explain`. */
  readonly issuer: string
  /** `db migrate`. Owns the tables, so nothing that the gate has is closed to it. */
  readonly migrator: string
}

export interface TableRight {
  /** With its schema. */
  readonly table: string
  readonly privilege: 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE'
  /** Null: the table as a whole, columns of later migrations included. */
  readonly columns: readonly string[] | null
}

export const DEFAULT_ROLE_PREFIX = 'slurmgate'
export const TABLE_SCHEMA = 'public'
/** drizzle-orm's migrator keeps its book here. */
export const BOOK_SCHEMA = 'drizzle'

const TOKENS = qualify(apiTokens)
const REPLAYS = qualify(mungeReplays)
const BOOK = `${BOOK_SCHEMA}.__drizzle_migrations`

export const TABLES: readonly string[] = [TOKENS, REPLAYS, BOOK]

/** Of all processes: `requireSchema`. */
const SCHEMA_CHECK: TableRight = { table: BOOK, privilege: 'SELECT', columns: ['created_at'] }

export const GATEWAY_RIGHTS: readonly TableRight[] = [
  // The signer has this role too, and reads what a seal covers.
  { table: TOKENS, privilege: 'SELECT', columns: nameColumns({ ...RECORD_COLUMNS, ...SEALED_COLUMNS }) },
  { table: REPLAYS, privilege: 'SELECT', columns: null },
  { table: REPLAYS, privilege: 'INSERT', columns: null },
  { table: REPLAYS, privilege: 'DELETE', columns: null },
  SCHEMA_CHECK,
]

/** What a token's holder may do stands in the other columns: they are written once, at issue. */
const CHANGED_AFTER_ISSUE = new Set(['expires_at', 'revoked_at', 'replaced_by', 'uid', 'seal', 'sealed_at'])

export const ISSUER_RIGHTS: readonly TableRight[] = [
  { table: TOKENS, privilege: 'SELECT', columns: null },
  { table: TOKENS, privilege: 'INSERT', columns: null },
  {
    table: TOKENS,
    privilege: 'UPDATE',
    columns: nameColumns(getTableColumns(apiTokens)).filter((name) => CHANGED_AFTER_ISSUE.has(name)),
  },
  SCHEMA_CHECK,
]

/** Postgres cuts longer names off (NAMEDATALEN): two roles would become one. */
const ROLE_NAME_MAX_BYTES = 63
/** Nothing that would need quoting within quotes. */
const PREFIX = /^(?!pg_)[A-Za-z_][A-Za-z0-9_.-]*$/

/** @returns null for a prefix that cannot be taken. */
export function nameRoles(prefix: string): DatabaseRoles | null {
  const roles = { gateway: `${prefix}_gateway`, issuer: `${prefix}_issuer`, migrator: `${prefix}_migrator` }
  return PREFIX.test(prefix) && roles.migrator.length <= ROLE_NAME_MAX_BYTES ? roles : null
}

function qualify(table: PgTable): string {
  return `${TABLE_SCHEMA}.${getTableName(table)}`
}

function nameColumns(columns: Readonly<Record<string, PgColumn>>): readonly string[] {
  return Object.values(columns).map(({ name }) => name)
}
