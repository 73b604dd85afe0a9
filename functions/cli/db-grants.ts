/** `slurmgate db grants`: the group roles of the database and their rights, printed as SQL or applied. Makes no password. */

import { findSqlState, isNotPermitted, readPostgresMessage } from '../../src/tokens/database-error.ts'
import { type DatabaseRoles, DEFAULT_ROLE_PREFIX, nameRoles } from '../../src/tokens/database-roles.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { withOwnNames } from './catalog-names.ts'
import { type Command, CommandFailure, type CommandContext, parseOptions, UsageError } from './command.ts'
import { requireDatabaseUrl } from './configuration.ts'
import { findObstacles } from './grant-obstacles.ts'
import { buildGrantSteps, formatGrantScript } from './grant-script.ts'
import { type Connection, findMissingRights, findMissingTables, readFacts } from './held-rights.ts'

const OPTIONS = {
  prefix: { type: 'string' },
  apply: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

/** Changing an owner waits for whoever uses the table. */
const DEADLINE_SECONDS = 30

/** undefined_column: the schema is one migration behind the code. */
const UNDEFINED_COLUMN = '42703'

interface GrantChanges {
  /** Facts of the catalogs: roles, owners, rights. */
  readonly gained: readonly string[]
  readonly lost: readonly string[]
  /** Tables that `db migrate` has to make first. */
  readonly missingTables: readonly string[]
}

export const grantRights: Command = async (args, context) => {
  const { values } = parseOptions(args, OPTIONS)
  const roles = requireRoles(values.prefix ?? DEFAULT_ROLE_PREFIX)
  if (values.apply !== true) {
    const script = formatGrantScript(buildGrantSteps(roles))
    context.print(values.json === true ? JSON.stringify({ script }) + '\n' : script)
    return 0
  }
  const changes = await applyGrants(requireDatabaseUrl(context.env), roles)
  if (values.json === true) context.print(JSON.stringify(toJson(changes)) + '\n')
  else context.print(formatChanges(changes))
  noteMissingTables(changes, roles, context)
  return 0
}

/**
 * All of it or nothing, in one transaction; run again it changes nothing.
 *
 * @throws CommandFailure with what the database user lacks; what the driver throws.
 */
async function applyGrants(url: string, roles: DatabaseRoles): Promise<GrantChanges> {
  const limits = { statementTimeoutSeconds: DEADLINE_SECONDS, deadlineSeconds: DEADLINE_SECONDS }
  const { db, close } = openDatabase(url, { max: 1, ...limits })
  try {
    return await withOwnNames(db, (transaction) => applyWithin(transaction, roles))
  } catch (error) {
    if (isNotPermitted(error))
      throw new CommandFailure(`nothing was changed; Postgres refused: ${readPostgresMessage(error)}`)
    if (findSqlState(error) === UNDEFINED_COLUMN)
      throw new CommandFailure('nothing was changed; the schema is too old; run first: slurmgate db migrate')
    throw error
  } finally {
    await close()
  }
}

async function applyWithin(connection: Connection, roles: DatabaseRoles): Promise<GrantChanges> {
  requireNone('this needs', await findObstacles(connection, roles))
  const before = new Set(await readFacts(connection, roles))
  for (const { statements } of buildGrantSteps(roles)) {
    for (const statement of statements) await connection.execute(statement)
  }
  const after = await readFacts(connection, roles)
  // Postgres only warns where a right could not be granted.
  requireNone('these rights could not be granted', await findMissingRights(connection, roles))
  const kept = new Set(after)
  return {
    gained: after.filter((fact) => !before.has(fact)),
    lost: [...before].filter((fact) => !kept.has(fact)),
    missingTables: await findMissingTables(connection),
  }
}

function requireRoles(prefix: string): DatabaseRoles {
  const roles = nameRoles(prefix)
  if (roles !== null) return roles
  throw new UsageError(
    '--prefix takes letters, digits, _, - and ., 54 at most; not a digit first, nor pg_, which is kept for Postgres',
  )
}

function requireNone(what: string, problems: readonly string[]): void {
  if (problems.length === 0) return
  throw new CommandFailure(
    [`nothing was changed; ${what}:`, ...problems.map((line) => `  ${line}`)].join('\n'),
  )
}

function formatChanges({ gained, lost }: GrantChanges): string {
  if (gained.length + lost.length === 0) return 'nothing to change: the roles have their rights\n'
  return [...lost.map((fact) => `- ${fact}\n`), ...gained.map((fact) => `+ ${fact}\n`)].join('')
}

function toJson({ gained, lost, missingTables }: GrantChanges): Readonly<Record<string, unknown>> {
  return { gained, lost, missing_tables: missingTables }
}

function noteMissingTables(
  { missingTables }: GrantChanges,
  roles: DatabaseRoles,
  context: CommandContext,
): void {
  if (missingTables.length === 0) return
  context.note(
    `slurmgate: ${missingTables.join(', ')} not there yet: run db migrate as a member of ${roles.migrator}, then this again`,
  )
}
