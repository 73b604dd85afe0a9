/** Whoever may connect can keep changes of tokens from being made; the runbook's statements end that. Real Postgres, a small queue. */

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyMigrations } from '../../functions/cli/migrations.ts'
import { runCli } from '../support/cli.ts'
import { createLogin } from '../support/login-role.ts'
import { createDatabaseOn, startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { buildTokenRow, connect, MIGRATIONS_FOLDER } from '../support/token-database.ts'

let server: TestPostgres
beforeAll(async () => {
  // The fewest there can be (PostgreSQL, "max_notify_queue_pages"); by default it takes 8 GB.
  server = await startTestPostgres(['max_notify_queue_pages=64'])
})
afterAll(() => server.stop())

const { id } = buildTokenRow()

test('a gateway’s login can stop revocations; it is put out by the runbook, and then they are made', async () => {
  const url = await createDatabaseOn(server.url)
  await applyMigrations(url, MIGRATIONS_FOLDER)
  const environment = { DATABASE_URL: url }
  const admin = connect(url)
  await admin`insert into api_tokens ${admin(buildTokenRow())}`
  expect((await runCli(['db', 'grants', '--apply'], { environment })).exitCode).toBe(0)
  const { name, url: gatewayUrl } = await createLogin(url, { memberOf: ['slurmgate_gateway'] })
  const gateway = connect(gatewayUrl)
  const holder = await gateway.reserve()
  await holder`listen slurmgate_tokens`
  await holder`begin`
  await holder`select 1`
  const fill = async (): Promise<never> => {
    for (;;) await gateway`select pg_notify('slurmgate_tokens', ${'x'.repeat(7_999)})`
  }
  await expect(fill()).rejects.toThrow('too many notifications in the NOTIFY queue')

  const revoke = () => runCli(['token', 'revoke', id], { environment })
  expect((await revoke()).exitCode).toBe(1)
  expect(await admin`select revoked_at from api_tokens`).toEqual([{ revoked_at: null }])

  for (const statement of readRunbook()) await admin.unsafe(statement.replaceAll(/\bgate\b/g, name))
  expect(await admin`select from pg_stat_activity where usename = ${name}`).toHaveLength(0)
  expect(await admin`select from pg_roles where rolname = ${name}`).toHaveLength(0)
  expect((await revoke()).exitCode).toBe(0)
  await gateway.end({ timeout: 0 })
  await admin.end()
})

/** Of "A database password", with its example's name. */
function readRunbook(): readonly string[] {
  const security = readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8')
  const [, statements = ''] = /\n\*\*A database password\.\*\*[^]*?```\n([^]*?)```/.exec(security) ?? []
  const found = statements.split('\n').map((line) => line.trim())
  return found.filter((line) => line !== '')
}
