import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/tokens/database.ts'
import { digestToken } from '../../src/tokens/token-form.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { runCli, type CliOptions } from '../support/cli.ts'
import { findFreePort } from '../support/free-port.ts'
import { createDatabase, stopOwnPostgres } from '../support/postgres.ts'
import { createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const NEW = ['--name', 'nightly', '--user', 'alice', '--account', 'phys', '--scope', 'slurm:read']

let store: TokenDatabase
beforeAll(async () => {
  store = await createTokenDatabase()
})
afterAll(async () => {
  await store.sql.end()
  await stopOwnPostgres()
})

const run = (parameters: readonly string[], { environment, ...options }: CliOptions = {}) =>
  runCli(parameters, {
    environment: { DATABASE_URL: store.url, USER: 'operator', ...environment },
    ...options,
  })

async function issue(...parameters: string[]): Promise<{ id: string; token: string }> {
  const { stdout, stderr, exitCode } = await run(['token', 'issue', ...NEW, ...parameters, '--json'])
  expect(exitCode, stderr).toBe(0)
  return JSON.parse(stdout) as { id: string; token: string }
}

async function find(token: string) {
  const { db, close } = openDatabase(store.url, { max: 1 })
  const record = await createTokenStore(db).findByDigest(await digestToken(token))
  await close()
  return record
}

describe('token list, show and revoke', () => {
  it('tell what was issued', async () => {
    const { id } = await issue()
    const shown = JSON.parse((await run(['token', 'show', id, '--json'])).stdout) as object
    expect(shown).toMatchObject({
      id,
      name: 'nightly',
      user: 'alice',
      state: 'active',
      issued_by: 'operator',
    })
    const listed = JSON.parse((await run(['token', 'list', '--json'])).stdout) as object[]
    expect(listed).toContainEqual(shown)
    expect((await run(['token', 'list'])).stdout).toMatch(new RegExp(`^ID .*\\n(.*\\n)*${id}  nightly`))
    expect((await run(['token', 'show', id])).stdout).toMatch(/^id +tok_.*\n(.*\n)*state +active\n/)
  })

  it('end a token from its next use on; twice is no error', async () => {
    const { id, token } = await issue()
    const first = await run(['token', 'revoke', id])
    expect([first.exitCode, first.stdout]).toEqual([0, `revoked ${id}\n`])
    const revokedAt = (await find(token))?.revokedAt
    expect(revokedAt).toBeTypeOf('number')
    const second = await run(['token', 'revoke', id, '--json'])
    expect([second.exitCode, JSON.parse(second.stdout)]).toEqual([
      0,
      { id, revoked: true, revoked_before: true },
    ])
    expect((await find(token))?.revokedAt).toBe(revokedAt)
    expect((await run(['token', 'show', id])).stdout).toMatch(/state +revoked/)
  })

  it('call a token expired that is', async () => {
    const { id } = await issue()
    await store.sql`update api_tokens set created_at = now() - interval '2 days', expires_at = now() - interval '1 day' where id = ${id}`
    expect((await run(['token', 'show', id])).stdout).toMatch(/state +expired/)
  })

  it.each(['show', 'revoke', 'rotate'])('fail for an id nobody has: %s', async (verb) => {
    const { exitCode, stdout, stderr } = await run(['token', verb, 'tok_aaaaaaaaaaaaaaaa'])
    expect([exitCode, stdout, stderr]).toEqual([1, '', 'slurmgate: there is no token tok_aaaaaaaaaaaaaaaa\n'])
  })

  it('do not repeat a token that was given for an id', async () => {
    const { token } = await issue()
    for (const verb of ['show', 'revoke', 'rotate']) {
      const { exitCode, stderr } = await run(['token', verb, token])
      expect(exitCode).toBe(2)
      expect(stderr).not.toContain(token)
    }
  })

  it('print nothing that moves the cursor, whatever is in the database', async () => {
    const { id } = await issue()
    await store.sql`update api_tokens set issued_by = E'\u001b[2Jx\nid fake' where id = ${id}`
    expect((await run(['token', 'show', id])).stdout).toMatch(/issued by +\?\[2Jx\?id fake\n$/)
  })
})

describe('a token', () => {
  it('is nowhere but in the answer that gave it out: not in lists, not in notes, not in the database', async () => {
    const imported = randomBytes(24).toString('hex')
    const issued = [
      await run(['token', 'issue', ...NEW]),
      await run(['token', 'issue', ...NEW, '--format', 'jwt']),
    ]
    issued.push(await run(['token', 'issue', ...NEW, '--token-from-stdin'], { input: imported }))
    const tokens = issued.map(({ stdout }) => stdout.trim())
    expect(tokens[2]).toBe(imported)
    const ids = issued.map(({ stderr }) => /tok_[a-z2-7]{16}/.exec(stderr)?.[0] ?? '')

    const outcomes = [await run(['token', 'list']), await run(['token', 'list', '--json'])]
    for (const id of ids) outcomes.push(await run(['token', 'show', id]), await run(['token', 'revoke', id]))
    const rows = await store.sql<{ dump: string }[]>`select api_tokens::text as dump from api_tokens`
    const seen = [
      ...issued.map(({ stderr }) => stderr),
      ...outcomes.flatMap(({ stdout, stderr }) => [stdout, stderr]),
      ...rows.map(({ dump }) => dump),
    ].join('\n')
    for (const token of tokens) {
      const hasParts = token.startsWith('slg_') || token.startsWith('eyJ')
      const secrets = hasParts ? [token, token.slice(-43), token.slice(4, 47)] : [token]
      const digest = Buffer.from(await digestToken(token)).toString('hex')
      for (const secret of token.startsWith('eyJ') ? secrets.slice(0, 2) : secrets) {
        expect(seen.includes(secret), 'in clear').toBe(false)
        expect(seen.includes(Buffer.from(secret).toString('hex')), 'in hexadecimal').toBe(false)
      }
      expect(rows.filter(({ dump }) => dump.includes(digest))).toHaveLength(1)
      expect(outcomes.some(({ stdout, stderr }) => (stdout + stderr).includes(digest))).toBe(false)
    }
  })

  it('is shown once on a terminal, under what it was issued for', async () => {
    const { exitCode, stdout, stderr } = await run(['token', 'issue', ...NEW], { isTerminal: true })
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^id +tok_.*\n(.*\n)*account +phys\n/)
    expect(stdout.match(/slg_[A-Za-z0-9_-]{49}/g)).toHaveLength(1)
    expect(stderr).toContain('shown once')
  })
})

describe('db migrate', () => {
  it('brings an empty database up to date, says what it did, and does nothing again', async () => {
    const environment = { DATABASE_URL: await createDatabase() }
    const before = await run(['token', 'list'], { environment })
    expect([before.exitCode, before.stdout]).toEqual([1, ''])
    expect(before.stderr).toBe('slurmgate: the schema is missing or too old; run: slurmgate db migrate\n')
    expect(await run(['db', 'migrate'], { environment })).toEqual({
      exitCode: 0,
      stdout:
        'applied 0000_api_tokens\napplied 0001_token_rotation\napplied 0002_row_seal\napplied 0003_replays_kept\napplied 0004_newest_first\napplied 0005_token_changes_told\n',
      stderr: '',
    })
    expect((await run(['db', 'migrate'], { environment })).stdout).toBe(
      'nothing to apply: the schema is up to date\n',
    )
    expect((await run(['db', 'migrate', '--json'], { environment })).stdout).toBe('{"applied":[]}\n')
    expect((await run(['token', 'list', '--json'], { environment })).stdout).toBe('[]\n')
  })
})

describe('DATABASE_URL', () => {
  it.each([
    ['missing', undefined],
    ['empty', ''],
    ['of another database', 'mysql://gate:hunter2@localhost/x'],
    ['not a URL', 'postgres://gate:hunter2@localhost:port/x'],
  ])('that is %s stops every command, by name and without its value', async (_, url) => {
    for (const parameters of [
      ['token', 'list'],
      ['token', 'issue', ...NEW],
      ['token', 'show', 'tok_aaaaaaaaaaaaaaaa'],
      ['token', 'revoke', 'tok_aaaaaaaaaaaaaaaa'],
      ['token', 'rotate', 'tok_aaaaaaaaaaaaaaaa'],
      ['db', 'migrate'],
      ['db', 'grants', '--apply'],
    ]) {
      const { exitCode, stdout, stderr } = await run(parameters, { environment: { DATABASE_URL: url } })
      expect([exitCode, stdout]).toEqual([2, ''])
      expect(stderr).toMatch(/^slurmgate: DATABASE_URL /)
      expect(stderr).not.toContain('hunter2')
    }
  })

  it('is not repeated when nothing answers there', async () => {
    const environment = {
      DATABASE_URL: `postgres://gate:hunter2@127.0.0.1:${String(await findFreePort())}/x`,
    }
    const { exitCode, stdout, stderr } = await run(['token', 'issue', ...NEW], { environment })
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/ECONNREFUSED/)
    expect(stderr).not.toContain('hunter2')
  })

  it('is reported together with the other bad settings', async () => {
    const environment = { DATABASE_URL: 'x', ADMIN_SCOPES: 'yes', SLURM_DENIED_USERS: 'a,,b' }
    const { exitCode, stderr } = await run(['token', 'issue', ...NEW], { environment })
    expect(exitCode).toBe(2)
    for (const name of Object.keys(environment)) expect(stderr).toContain(`slurmgate: ${name} must`)
  })
})

describe('doctor', () => {
  it('says which settings are missing, with exit code 2', async () => {
    const { exitCode, stdout, stderr } = await run(['doctor'])
    expect([exitCode, stdout]).toEqual([2, ''])
    expect(stderr).toContain('slurmgate: SLURMRESTD_URL')
  })

  it('has a line for each dependency, and fails when one of them does', async () => {
    const environment = {
      SLURMRESTD_URL: `http://127.0.0.1:${String(await findFreePort())}`,
      SLURM_JWT_HS256_KEY: randomBytes(32).toString('base64'),
      MUNGE_MODE: 'off',
    }
    const { exitCode, stdout } = await run(['doctor'], { environment })
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual([
      ['ok', 'token store'],
      ['warn', 'database role'],
      ['ok', 'clock'],
      ['FAILED', 'slurmrestd'],
      ['off', 'slurmctld'],
      ['off', 'slurmdbd'],
      ['off', 'munge'],
      ['ok', 'slurm key'],
      ['ok', 'tokens'],
      [''],
    ])
    expect(exitCode).toBe(1)
  })
})

describe('slurmgate', () => {
  it.each([
    [[]],
    [['toke']],
    [['token']],
    [['token', 'burn']],
    [['db']],
    [['constructor']],
    [['gateway', 'now']],
  ])('answers %j with its usage and exit code 2', async (parameters) => {
    const { exitCode, stdout, stderr } = await run(parameters)
    expect([exitCode, stdout]).toEqual([2, ''])
    expect(stderr).toContain('usage:')
  })

  it('tells its usage and its version when asked', async () => {
    const help = await run(['--help'])
    expect([help.exitCode, help.stderr]).toEqual([0, ''])
    expect(help.stdout).toContain('slurmgate token issue')
    expect((await run(['token', 'issue', '--help'])).stdout).toBe(help.stdout)
    expect(await run(['--version'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    })
  })
})
