/** A migrated token store on the test Postgres, and a way around its rules: plain SQL. */

import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { applyMigrations } from '../../functions/cli/migrations.ts'
import { createDatabase } from './postgres.ts'

export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))

export interface TokenDatabase {
  readonly url: string
  /** Plain SQL, as an administrator in psql. */
  readonly sql: postgres.Sql
}

/** The caller ends `sql`. */
export async function createTokenDatabase(): Promise<TokenDatabase> {
  const url = await createDatabase()
  await applyMigrations(url, MIGRATIONS_FOLDER)
  return { url, sql: connect(url) }
}

export function connect(url: string): postgres.Sql {
  return postgres(url, { max: 4, onnotice: () => undefined })
}

/** A whole row that keeps every rule; tests change one column at a time. */
export function buildTokenRow(change: Readonly<Record<string, unknown>> = {}) {
  return {
    id: 'tok_aaaaaaaaaaaaaaaa',
    name: 'nightly',
    slurm_user: 'alice',
    digest: Buffer.alloc(32, 7),
    scopes: ['slurm:read', 'slurm:jobs:manage'],
    account: 'phys',
    format: 'opaque',
    created_at: new Date('2027-01-01T00:00:00Z'),
    expires_at: new Date('2030-01-01T00:00:00.900Z'),
    revoked_at: null,
    issued_by: 'operator',
    ...change,
  }
}
