/** Applies the SQL migrations of the token store. Only ever called by `db migrate`, `up` and the tests. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { migrate } from 'drizzle-orm/postgres-js/migrator'
import { findSqlState } from '../../src/tokens/database-error.ts'
import { BOOK_SCHEMA, TABLE_SCHEMA } from '../../src/tokens/database-roles.ts'
import { type Database, openDatabase } from '../../src/tokens/database.ts'
import { withOwnNames } from './catalog-names.ts'
import { CommandFailure } from './command.ts'
import { findMigrationObstacles } from './migration-obstacles.ts'

export interface Migration {
  readonly tag: string
  /** Unix milliseconds of its making: its key in the migrator's book. */
  readonly when: number
}

/** Keeps two migrators from running at once. Any constant will do; this is "slurmgat" in ASCII. */
export const ADVISORY_LOCK = '8317145262953787764'
/** A migration may rewrite a table. */
const DEADLINE_SECONDS = 600

const MISSING_TABLE = new Set(['42P01', '3F000'])

export interface MigrationOptions {
  /** The operator’s word that what stands before Postgres keeps a session for as long as its connection. Default false. */
  readonly isSessionKept?: boolean
}

/**
 * Applies what is missing, in one transaction; with nothing missing it changes nothing. Once a role owns the schema of the
 * migrator's book (`db grants`), it acts as that role where it may, so that what it makes belongs to it.
 *
 * @param folder holds `meta/_journal.json` and the SQL files.
 * @returns the migrations that were applied now, oldest first.
 * @throws CommandFailure where it would run what others own; PooledConnection; what the driver throws; then none was applied.
 */
export async function applyMigrations(
  url: string,
  folder: string,
  { isSessionKept = false }: MigrationOptions = {},
): Promise<readonly Migration[]> {
  const journal = await readJournal(folder)
  const limits = { statementTimeoutSeconds: DEADLINE_SECONDS, deadlineSeconds: DEADLINE_SECONDS }
  // One connection: the lock belongs to it, and goes with it.
  const { db, close } = openDatabase(url, {
    max: 1,
    isOwnNeeded: !isSessionKept,
    idleTimeoutSeconds: DEADLINE_SECONDS,
    ...limits,
  })
  try {
    await db.query((drizzle) =>
      drizzle.execute(sql`select pg_catalog.pg_advisory_lock(${ADVISORY_LOCK}::pg_catalog.int8)`),
    )
    await requireOwnGround(db)
    await actAsOwner(db)
    const before = await readApplied(db)
    await db.query((drizzle) => migrate(drizzle, { migrationsFolder: folder }))
    return journal.filter(({ when }) => !before.has(when))
  } finally {
    await close()
  }
}

/** @throws when the folder has no readable journal. */
export async function readJournal(folder: string): Promise<readonly Migration[]> {
  const journal: unknown = JSON.parse(await readFile(join(folder, 'meta', '_journal.json'), 'utf8'))
  const entries =
    isRecord(journal) && Array.isArray(journal['entries']) ? (journal['entries'] as unknown[]) : []
  const migrations = entries.filter((entry) => isMigration(entry))
  if (migrations.length === 0 || migrations.length < entries.length)
    throw new Error('the journal is unreadable')
  return migrations.map(({ tag, when }) => ({ tag, when }))
}

async function requireOwnGround(db: Database): Promise<void> {
  const { owned, overloads } = await withOwnNames(db, findMigrationObstacles)
  const problems = [
    ...(owned.length === 0 ? [] : [OTHERS_OWN, ...owned.map((line) => `  ${line}`)]),
    ...(overloads.length === 0 ? [] : [OVERLOADED, ...overloads.map((line) => `  ${line}`)]),
  ]
  if (problems.length > 0) throw new CommandFailure(['nothing was changed', ...problems].join('\n'))
}

const OTHERS_OWN =
  'what its owners put here would run with your rights; log in as a member of the role that owns it, one without SUPERUSER and CREATEROLE:'
const OVERLOADED = `it might be called in place of Postgres's own; drop it, or move it out of the schema ${TABLE_SCHEMA}:`

/**
 * And looks for tables nowhere but where `db grants` does, not in a schema that is named after the user. For the life of
 * the connection: it is not for a pooler that hands connections on within a session.
 */
async function actAsOwner(db: Database): Promise<void> {
  const [row] = await withOwnNames(db, (connection) =>
    connection.execute<{ owner: string }>(sql`
      select quote_ident(rolname) as owner from pg_namespace join pg_roles on pg_roles.oid = nspowner
      where nspname = ${BOOK_SCHEMA} and rolname <> current_user
        and pg_has_role(nspowner, case when current_setting('server_version_num')::int < 160000 then 'MEMBER' else 'SET' end)`),
  )
  if (row !== undefined) await db.query((drizzle) => drizzle.execute(sql.raw(`set role ${row.owner}`)))
  await db.query((drizzle) => drizzle.execute(sql.raw(`set search_path = ${TABLE_SCHEMA}, pg_temp`)))
}

async function readApplied(db: Database): Promise<ReadonlySet<number>> {
  try {
    const rows = await db.query((drizzle) =>
      drizzle.execute<{ created_at: string }>(sql`select created_at from drizzle.__drizzle_migrations`),
    )
    return new Set(rows.map((row) => Number(row.created_at)))
  } catch (error) {
    if (MISSING_TABLE.has(findSqlState(error) ?? '')) return new Set()
    throw error
  }
}

function isMigration(value: unknown): value is Migration {
  return isRecord(value) && typeof value['tag'] === 'string' && typeof value['when'] === 'number'
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
