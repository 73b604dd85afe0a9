/** `slurmgate db …`: the schema of the token store. */

import { join } from 'node:path'
import { type Command, parseOptions } from './command.ts'
import { requireDatabaseUrl } from './configuration.ts'
import { applyMigrations } from './migrations.ts'

/** Applies the missing migrations and says which; run again, it says that there are none. */
export const migrateDatabase: Command = async (args, context) => {
  const { values } = parseOptions(args, { json: { type: 'boolean' } })
  const url = requireDatabaseUrl(context.env)
  const migrations = await applyMigrations(url, join(context.packageFolder, 'migrations'))
  const applied = migrations.map(({ tag }) => tag)
  if (values.json === true) context.print(JSON.stringify({ applied }) + '\n')
  else if (applied.length === 0) context.print('nothing to apply: the schema is up to date\n')
  else context.print(applied.map((tag) => `applied ${tag}\n`).join(''))
  return 0
}
