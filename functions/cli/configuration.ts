/** The CLI's part of the configuration, from the environment. All problems at once, by name, never by value. */

import { type Environment, readChoice, readRequiredText } from '../../src/environment.ts'
import { readDeniedUsers } from '../../src/munge/verifier-settings.ts'
import { type Database, isDatabaseUrl, openDatabase } from '../../src/tokens/database.ts'
import { requireSchema } from '../../src/tokens/token-store.ts'
import { UsageError } from './command.ts'

export interface IssueConfiguration {
  readonly databaseUrl: string
  readonly deniedUsers: ReadonlySet<string>
  readonly areAdminScopesOpen: boolean
}

/** @throws UsageError */
export function readDatabaseUrl(env: Environment): string {
  const problems: string[] = []
  const url = readUrl(env, problems)
  if (problems.length > 0) throw new UsageError(...problems)
  return url
}

/** @throws UsageError */
export function readIssueConfiguration(env: Environment): IssueConfiguration {
  const problems: string[] = []
  const configuration: IssueConfiguration = {
    databaseUrl: readUrl(env, problems),
    deniedUsers: readDeniedUsers(env, problems),
    areAdminScopesOpen:
      readChoice(env, 'ADMIN_SCOPES', { default: 'off', choices: ['off', 'on'] }, problems) === 'on',
  }
  if (problems.length > 0) throw new UsageError(...problems)
  return configuration
}

function readUrl(env: Environment, problems: string[]): string {
  const url = readRequiredText(env, 'DATABASE_URL', problems)
  if (url !== '' && !isDatabaseUrl(url)) {
    problems.push('DATABASE_URL must be a postgres:// URL that the driver understands')
  }
  return url
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
