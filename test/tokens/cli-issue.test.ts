import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/tokens/database.ts'
import { digestToken, isOpaqueToken } from '../../src/tokens/token-form.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { runCli, USER_NAME, type CliOptions } from '../support/cli.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
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

describe('token issue', () => {
  it('writes the token alone to a pipe, and its id elsewhere', async () => {
    const { stdout, stderr, exitCode } = await run(['token', 'issue', ...NEW])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^slg_[A-Za-z0-9_-]{49}\n$/)
    expect(isOpaqueToken(stdout.trim())).toBe(true)
    expect(stderr).toMatch(
      /^slurmgate: warning: alice was not looked up .*\nissued tok_[a-z2-7]{16} \(nightly\)\n$/,
    )
    expect(stderr).not.toContain(stdout.trim())
    expect(await find(stdout.trim())).toMatchObject({
      slurmUser: 'alice',
      account: 'phys',
      scopes: ['slurm:read'],
    })
  })

  it('writes one JSON object with id and token, with --json', async () => {
    const { stdout } = await run(['token', 'issue', ...NEW, '--json', '--issued-by', 'ops'])
    expect(JSON.parse(stdout)).toMatchObject({
      id: expect.stringMatching(/^tok_/) as string,
      token: expect.stringMatching(/^slg_/) as string,
      user: 'alice',
      account: 'phys',
      scopes: ['slurm:read'],
      issued_by: 'ops',
    })
  })

  it('names the process’s own user as the issuer where the environment names nobody', async () => {
    const { stdout } = await run(['token', 'issue', ...NEW, '--json'], { environment: { USER: undefined } })
    expect(JSON.parse(stdout)).toMatchObject({ issued_by: USER_NAME })
  })

  it('ends tokens in 90 days unless told otherwise', async () => {
    const days = async (...parameters: string[]) => {
      const record = await find((await issue(...parameters)).token)
      const expiresAt = record?.expiresAt ?? null
      return expiresAt === null ? null : (expiresAt - Date.now() / 1000) / 86_400
    }
    expect(await days()).toBeCloseTo(90, 2)
    expect(await days('--expires', '12h')).toBeCloseTo(0.5, 2)
    expect(await days('--expires', 'never')).toBeNull()
  })

  it('makes the JWT form, of which only the row decides', async () => {
    const { id, token } = await issue('--format', 'jwt')
    expect(token.split('.')).toHaveLength(3)
    expect((await find(token))?.id).toBe(id)
  })

  it('names who issued: the person behind sudo, else the one who is logged in', async () => {
    const issuer = async (environment: CliOptions['environment']) => {
      const { stdout } = await run(['token', 'issue', ...NEW, '--json'], { environment: { ...environment } })
      return (JSON.parse(stdout) as { issued_by: string }).issued_by
    }
    expect(await issuer({ SUDO_USER: 'carol', LOGNAME: 'root', USER: 'root' })).toBe('carol')
    expect(await issuer({ LOGNAME: 'dave', USER: 'erin' })).toBe('dave')
    expect(await issuer({ USER: 'erin' })).toBe('erin')
  })

  it.each<[string, string[], number, RegExp]>([
    ['nothing said', [], 2, /--name is missing(.|\n)*--user is missing(.|\n)*--scope is missing/],
    ['an unknown option', [...NEW, '--acount', 'x'], 2, /unknown option/],
    ['an option twice', [...NEW, '--account', 'chem'], 2, /--account is given twice/],
    ['an option without its value', [...NEW, '--expires'], 2, /--expires is given wrongly/],
    ['an argument too many', [...NEW, 'x'], 2, /more arguments/],
    ['account and --any-account', [...NEW, '--any-account'], 2, /either --account A or --any-account/],
    ['an unknown scope', [...NEW, '--scope', 'slurm:write'], 2, /--scope takes/],
    ['a denied user', [...NEW.slice(0, 2), '--user', 'root', ...NEW.slice(4)], 1, /SLURM_DENIED_USERS/],
    ['an end in the past', [...NEW, '--expires', '2020-01-01T00:00:00Z'], 1, /in the past/],
    ['a closed scope', [...NEW, '--scope', 'slurmdb:manage'], 1, /ADMIN_SCOPES=on/],
  ])('refuses %s, and writes nothing', async (_, parameters, code, message) => {
    const count = async () => (await store.sql`select 1 from api_tokens`).length
    const before = await count()
    const { stdout, stderr, exitCode } = await run(['token', 'issue', ...parameters])
    expect(stdout).toBe('')
    expect(stderr).toMatch(message)
    expect(exitCode).toBe(code)
    expect(await count()).toBe(before)
  })

  it('takes further scopes with ADMIN_SCOPES=on, never with an account', async () => {
    const environment = { ADMIN_SCOPES: 'on' }
    const admin = ['--name', 'site', '--user', 'alice', '--scope', 'slurm:reconfigure']
    expect((await run(['token', 'issue', ...admin, '--any-account'], { environment })).exitCode).toBe(0)
    expect((await run(['token', 'issue', ...admin, '--account', 'phys'], { environment })).exitCode).toBe(1)
  })

  it('refuses the users that SLURM_DENIED_USERS names', async () => {
    const { exitCode, stderr } = await run(['token', 'issue', ...NEW], {
      environment: { SLURM_DENIED_USERS: 'alice' },
    })
    expect([exitCode, stderr]).toEqual([1, 'slurmgate: no token acts as alice (SLURM_DENIED_USERS)\n'])
  })
})

describe('token issue --token-from-stdin', () => {
  const importing = [...NEW, '--token-from-stdin', '--json']
  const secret = () => randomBytes(24).toString('hex')

  it('takes over a token made elsewhere', async () => {
    const token = secret()
    const { stdout, exitCode } = await run(['token', 'issue', ...importing], { input: `${token}\n` })
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ token, format: 'imported' })
    expect(await find(token)).toMatchObject({ slurmUser: 'alice' })
  })

  it('says so when the store has it already, and changes nothing', async () => {
    const token = secret()
    const first = await run(['token', 'issue', ...importing], { input: token })
    const second = await run(['token', 'issue', ...importing, '--scope', 'slurmdb:read'], { input: token })
    expect([second.exitCode, second.stdout]).toEqual([1, ''])
    expect(second.stderr).toMatch(/^slurmgate: the store has this token already/m)
    expect((await find(token))?.id).toBe((JSON.parse(first.stdout) as { id: string }).id)
    expect(await find(token)).toMatchObject({ scopes: ['slurm:read'] })
  })

  it.each([
    ['too short', 'abc123-your-token-here'],
    ['too long', 'a'.repeat(10_000)],
    ['in our own form', `slg_${'a'.repeat(49)}`],
    ['empty', ''],
  ])('refuses one that is %s without repeating it', async (_, input) => {
    const { stdout, stderr, exitCode } = await run(['token', 'issue', ...importing], { input })
    expect([exitCode, stdout]).toEqual([1, ''])
    if (input !== '') expect(stderr).not.toContain(input)
  })
})
