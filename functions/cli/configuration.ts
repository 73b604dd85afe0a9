/** The CLI's part of the configuration, from the environment. All problems at once, by name, never by value. */

import { type Environment, readChoice } from '../../src/environment.ts'
import { readDeniedUsers } from '../../src/munge/verifier-settings.ts'
import { readDatabaseUrl } from '../../src/tokens/database-settings.ts'
import { type Database, openDatabase } from '../../src/tokens/database.ts'
import type { SealRules } from '../../src/tokens/row-seal.ts'
import { readSealRules } from '../../src/tokens/row-seal-settings.ts'
import { requireSchema } from '../../src/tokens/token-store.ts'
import { readKeyFile } from '../node/key-file.ts'
import { UsageError } from './command.ts'

export interface StoreConfiguration {
  readonly databaseUrl: string
  /** null: without `TOKEN_KEY_FILE`, rows are written without a seal. */
  readonly seals: SealRules | null
}

export interface IssueConfiguration extends StoreConfiguration {
  readonly deniedUsers: ReadonlySet<string>
  readonly areAdminScopesOpen: boolean
}

/** @throws UsageError */
export function requireDatabaseUrl(env: Environment): string {
  return requireSettings(env, readDatabaseUrl)
}

/** For commands that change rows. */
export function readStoreConfiguration(env: Environment, problems: string[]): StoreConfiguration {
  return {
    databaseUrl: readDatabaseUrl(env, problems),
    seals: readSealRules({ env, readKeyFile }, problems),
  }
}

export function readIssueConfiguration(env: Environment, problems: string[]): IssueConfiguration {
  return {
    ...readStoreConfiguration(env, problems),
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
