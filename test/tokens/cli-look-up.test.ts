import { randomBytes } from 'node:crypto'
import { createServer, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { runCli, type CliOptions } from '../support/cli.ts'
import type { FakeAnswer } from '../support/fake-slurmrestd-answers.ts'
import { FakeSlurmrestd } from '../support/fake-slurmrestd.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { verifySlurmJwt } from '../support/slurm-jwt.ts'
import { findFreePort } from '../support/surroundings.ts'
import { createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const NEW = ['--name', 'nightly', '--user', 'alice', '--scope', 'slurm:jobs:manage']
const OWN = [...NEW, '--account', 'own']
const KEY = randomBytes(32)

let store: TokenDatabase
let slurmrestd: FakeSlurmrestd
beforeAll(async () => {
  ;[store, slurmrestd] = await Promise.all([createTokenDatabase(), FakeSlurmrestd.start(KEY)])
})
beforeEach(() => slurmrestd.reset())
afterAll(async () => {
  await slurmrestd.stop()
  await store.sql.end()
  await stopOwnPostgres()
})

function answerUser(user: Readonly<Record<string, unknown>> | null): void {
  const plain = {
    name: 'alice',
    administrator_level: ['None'],
    coordinators: [],
    associations: [{ account: 'own' }],
  }
  const body = JSON.stringify({
    users: user === null ? [] : [{ ...plain, ...user }],
    errors: [],
    warnings: [],
  })
  slurmrestd.behaviour.answer = (): FakeAnswer => ({ status: 200, contentType: 'application/json', body })
}

const TWO = { associations: [{ account: 'oth' }, { account: 'own' }] }

async function issue(
  parameters: readonly string[],
  environment: CliOptions['environment'] = {},
  options: CliOptions = {},
) {
  const count = async () => (await store.sql`select 1 from api_tokens`).length
  const before = await count()
  const outcome = await runCli(['token', 'issue', ...parameters], {
    ...options,
    environment: {
      DATABASE_URL: store.url,
      USER: 'operator',
      SLURMRESTD_URL: `http://127.0.0.1:${String(slurmrestd.port)}`,
      SLURM_JWT_HS256_KEY: KEY.toString('base64'),
      ...environment,
    },
  })
  return { ...outcome, written: (await count()) - before }
}

describe('token issue looks the user up', () => {
  it('as the user itself, in the newest version, and is silent about one association', async () => {
    answerUser({})
    const { exitCode, stdout, stderr, written } = await issue([...OWN, '--strict'])
    expect([exitCode, written]).toEqual([0, 1])
    expect(stdout).toMatch(/^slg_[A-Za-z0-9_-]{49}\n$/)
    expect(stderr).toMatch(/^issued tok_[a-z2-7]{16} \(nightly\)\n$/)
    const [request, ...more] = slurmrestd.operations
    expect(more).toEqual([])
    expect(request?.target).toBe('/slurmdb/v0.0.42/user/alice?with_assocs=true&with_coords=true')
    const token = request?.headers.find(([name]) => name === 'x-slurm-user-token')?.[1] ?? ''
    expect(verifySlurmJwt(token, KEY)?.sun).toBe('alice')
  })

  it('asks the versions of SLURM_API_VERSIONS, the early ones without a query, which they refuse', async () => {
    answerUser({})
    const { stderr } = await issue(OWN, { SLURM_API_VERSIONS: 'v0.0.37,v0.0.38' })
    expect(stderr).not.toContain('warning')
    expect(slurmrestd.requests.map(({ target }) => target)).toEqual(['/slurmdb/v0.0.38/user/alice'])
  })

  it('warns of two accounts on stderr, and leaves the token alone on stdout', async () => {
    answerUser(TWO)
    const { exitCode, stdout, stderr, written } = await issue(OWN)
    expect([exitCode, written]).toEqual([0, 1])
    expect(stdout).toMatch(/^slg_[A-Za-z0-9_-]{49}\n$/)
    expect(stderr).toMatch(
      /^slurmgate: warning: alice has associations with 2 accounts \(oth, own\).*\nissued /,
    )
  })

  it('lists the warnings with --json', async () => {
    answerUser({ ...TWO, administrator_level: ['Operator'] })
    const { warnings } = JSON.parse((await issue([...OWN, '--json'])).stdout) as {
      warnings: { code: string }[]
    }
    expect(warnings.map(({ code }) => code)).toEqual(['admin_level', 'several_accounts'])
    answerUser({})
    expect(JSON.parse((await issue([...OWN, '--json'])).stdout)).toMatchObject({ warnings: [] })
  })

  it.each<[string, readonly string[], Readonly<Record<string, unknown>> | null, RegExp]>([
    ['two accounts', OWN, TWO, /2 accounts/],
    ['an operator', OWN, { administrator_level: ['Operator'] }, /admin level Operator/],
    [
      'an operator, for any account',
      [...NEW, '--any-account'],
      { administrator_level: ['Operator'] },
      /admin level/,
    ],
    ['a coordinator', OWN, { coordinators: [{ name: 'own' }] }, /coordinator of own/],
    ['an unknown user', OWN, null, /no user alice/],
    ['an unknown user, for any account', [...NEW, '--any-account'], null, /no user alice/],
    ['another account', OWN, { associations: [{ account: 'oth' }] }, /no association with own/],
    ['an answer that says nothing', OWN, { associations: null }, /was not looked up/],
  ])('warns of %s, and with --strict issues nothing', async (_, parameters, user, message) => {
    answerUser(user)
    const lenient = await issue(parameters)
    expect([lenient.exitCode, lenient.written]).toEqual([0, 1])
    expect(lenient.stderr).toMatch(message)
    const strict = await issue([...parameters, '--strict', '--json'])
    expect([strict.exitCode, strict.stdout, strict.written]).toEqual([1, '', 0])
    expect(strict.stderr).toMatch(message)
    expect(strict.stderr).toMatch(/slurmgate: no token was issued \(--strict\)\n$/)
  })

  it('takes several accounts for what a token for any account is about', async () => {
    answerUser(TWO)
    const { exitCode, stderr } = await issue([...NEW, '--any-account', '--strict'])
    expect([exitCode, stderr.includes('warning')]).toEqual([0, false])
  })

  it('asks nothing about a denied user', async () => {
    const { exitCode, written } = await issue(OWN, { SLURM_DENIED_USERS: 'alice' })
    expect([exitCode, written]).toEqual([1, 0])
    expect(slurmrestd.requests).toEqual([])
  })
})

describe('a look-up that fails', () => {
  it.each<[string, () => Readonly<Record<string, string | undefined>> | Promise<object>, RegExp]>([
    ['no SLURMRESTD_URL', () => ({ SLURMRESTD_URL: undefined }), /SLURMRESTD_URL is required/],
    ['no key', () => ({ SLURM_JWT_HS256_KEY: undefined }), /SLURM_JWT_HS256_KEY_FILE, .* is required/],
    [
      'a key that stays with the signer',
      () => ({ SLURM_JWT_HS256_KEY: undefined, SLURM_TOKEN_SIGNER: 'verifier' }),
      /one account only: Slurm’s key is the signer’s \(SLURM_TOKEN_SIGNER=verifier\)\n/,
    ],
    ['a bad URL', () => ({ SLURMRESTD_URL: 'ftp://alice:hunter2@x' }), /SLURMRESTD_URL must be/],
    [
      'nobody there',
      async () => ({ SLURMRESTD_URL: `http://127.0.0.1:${String(await findFreePort())}` }),
      /cannot be reached \(ECONNREFUSED\)/,
    ],
    [
      'a key that Slurm does not have',
      () => ({ SLURM_JWT_HS256_KEY: randomBytes(32).toString('base64') }),
      /answered 511: .*is SLURM_JWT_… the key that Slurm has/,
    ],
    [
      'an answer that is no JSON',
      () => ({ SLURM_API_VERSIONS: 'v0.0.36' }),
      /answered 200 without saying it/,
    ],
  ])('(%s) is a warning, and with --strict a refusal', async (_, buildEnvironment, message) => {
    const environment = (await buildEnvironment()) as Readonly<Record<string, string | undefined>>
    const lenient = await issue(OWN, environment)
    expect([lenient.exitCode, lenient.written]).toEqual([0, 1])
    expect(lenient.stdout).toMatch(/^slg_[A-Za-z0-9_-]{49}\n$/)
    expect(lenient.stderr).toMatch(/^slurmgate: warning: alice was not looked up in Slurm's accounting/)
    expect(lenient.stderr).toMatch(message)
    expect(lenient.stderr).not.toContain('hunter2')
    const strict = await issue([...OWN, '--strict'], environment)
    expect([strict.exitCode, strict.stdout, strict.written]).toEqual([1, '', 0])
    expect(strict.stderr).toMatch(message)
  })

  it('ends when its time is over where slurmrestd never answers', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const environment = { SLURMRESTD_URL: `http://127.0.0.1:${String(port)}` }
    const { exitCode, stderr } = await issue(OWN, environment, { lookUpMilliseconds: 200 })
    server.close()
    expect([exitCode, stderr.includes('no answer from slurmrestd within 0.2 s')]).toEqual([0, true])
  })
})
