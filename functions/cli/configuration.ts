/** The CLI's part of the configuration, from the environment. All problems at once, by name, never by value. */

import { type Environment, readChoice } from '../../src/environment.ts'
import { readDeniedUsers } from '../../src/munge/verifier-settings.ts'
import { readDatabaseUrl } from '../../src/tokens/database-settings.ts'
import { type Database, openDatabase } from '../../src/tokens/database.ts'
import { requireSchema } from '../../src/tokens/token-store.ts'
import { UsageError } from './command.ts'

export interface IssueConfiguration {
  readonly databaseUrl: string
  readonly deniedUsers: ReadonlySet<string>
  readonly areAdminScopesOpen: boolean
}

/** @throws UsageError */
export function requireDatabaseUrl(env: Environment): string {
  return requireSettings(env, readDatabaseUrl)
}

export function readIssueConfiguration(env: Environment, problems: string[]): IssueConfiguration {
  return {
    databaseUrl: readDatabaseUrl(env, problems),
    deniedUsers: readDeniedUsers(env, problems),
    areAdminScopesOpen:
      readChoice(env, 'ADMIN_SCOPES', { default: 'off', choices: ['off', 'on'] }, problems) === 'on',
  }
}

/** @throws UsageError with every problem that `read` found. */
export function requireSettings<T>(env: Environment, read: (env: Environment, problems: string[]) => T): T {
  const problems: string[] = []
  const settings = read(env, problems)
  if (problems.length > 0) throw new UsageError(...problems)
  return settings
}

/** Opens the token store for one command, checks that its schema fits, and closes it whatever happens. */
export async function withTokenDatabase<T>(url: string, work: (db: Database) => Promise<T>): Promise<T> {
  const database = openDatabase(url, { max: 1 })
  try {
    await requireSchema(database.db)
    return await work(database.db)
  } finally {
    await database.close()
  }
}
