/** `slurmgate db …`: the schema of the token store. */

import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { BOOK_SCHEMA, DEFAULT_ROLE_PREFIX, nameRoles } from '../../src/tokens/database-roles.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { withOwnNames } from './catalog-names.ts'
import { type Command, type CommandContext, parseOptions } from './command.ts'
import { requireDatabaseUrl } from './configuration.ts'
import { applyMigrations } from './migrations.ts'

const OPTIONS = {
  json: { type: 'boolean' },
  'session-pooler': { type: 'boolean' },
} as const

/** Applies the missing migrations and says which; run again, it says that there are none. Grants nothing: `db grants` does. */
export const migrateDatabase: Command = async (args, context) => {
  const { values } = parseOptions(args, OPTIONS)
  const url = requireDatabaseUrl(context.env)
  const folder = join(context.packageFolder, 'migrations')
  const migrations = await applyMigrations(url, folder, { isSessionKept: values['session-pooler'] === true })
  const applied = migrations.map(({ tag }) => tag)
  if (values.json === true) context.print(JSON.stringify({ applied }) + '\n')
  else if (applied.length === 0) context.print('nothing to apply: the schema is up to date\n')
  else context.print(applied.map((tag) => `applied ${tag}\n`).join(''))
  if (applied.length > 0) await noteGrants(url, context)
  return 0
}

/** Where the book's schema belongs to a migrator of `db grants`, its gateway cannot read what was made just now. */
async function noteGrants(url: string, context: CommandContext): Promise<void> {
  const { db, close } = openDatabase(url, { max: 1 })
  try {
    const [row] = await withOwnNames(db, (connection) => connection.execute<{ prefix: string }>(FIND_PREFIX))
    if (row === undefined || nameRoles(row.prefix) === null) return
    const option = row.prefix === DEFAULT_ROLE_PREFIX ? '' : ` --prefix ${row.prefix}`
    context.note(
      `slurmgate: what is new is closed to the other roles; run: slurmgate db grants --apply${option}`,
    )
  } finally {
    await close()
  }
}

const FIND_PREFIX = sql`
  select left(owner.rolname, -length('_migrator')) as prefix
  from pg_namespace join pg_roles as owner on owner.oid = nspowner
  where nspname = ${BOOK_SCHEMA} and right(owner.rolname, length('_migrator')) = '_migrator'
    and exists (select from pg_roles where rolname = left(owner.rolname, -length('_migrator')) || '_gateway')`
