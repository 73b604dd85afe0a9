/**
 * `token issue` asks a real slurmdbd about the token's user: it is silent where the account is a boundary, says where
 * it is none, and each command that it advises cures what it warned of.
 */

import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Program } from '../../support/program.ts'
import { connect } from '../../support/token-database.ts'
import { CLI_PATH, findFreePort, type Environment } from '../../support/surroundings.ts'
import { ALICE, OTHER_ACCOUNT, OWN_ACCOUNT, type RealCluster } from '../real-cluster.ts'

interface Outcome {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
  /** Rows that the command added. */
  readonly written: number
}

export function describeIssueLookUp(requireCluster: () => RealCluster): void {
  let sql: ReturnType<typeof connect> | null = null
  afterAll(() => sql?.end())

  async function countTokens(): Promise<number> {
    sql ??= connect(requireCluster().databaseUrl)
    return (await sql`select 1 from api_tokens`).length
  }

  async function issue(
    user: string,
    more: readonly string[] = [],
    environment: Environment = {},
  ): Promise<Outcome> {
    const { databaseUrl, slurm } = requireCluster()
    const before = await countTokens()
    const what = [
      '--name',
      'looked up',
      '--user',
      user,
      '--scope',
      'slurm:jobs:manage',
      '--issued-by',
      'tests',
    ]
    const restriction = more.includes('--any-account') ? [] : ['--account', OWN_ACCOUNT]
    const program = new Program(
      process.execPath,
      [CLI_PATH, 'token', 'issue', ...what, ...restriction, ...more],
      {
        environment: {
          DATABASE_URL: databaseUrl,
          SLURMRESTD_URL: slurm.slurmrestdUrl,
          SLURM_JWT_HS256_KEY_FILE: slurm.hs256KeyFile,
          ...environment,
        },
      },
    )
    const exitCode = await program.exit
    const written = (await countTokens()) - before
    return { exitCode, stdout: program.stdout, stderr: program.stderr, written }
  }

  /** @param command as a warning spells it. */
  async function runAdvice(command: string): Promise<void> {
    const [program = '', ...parameters] = command.split(' ')
    const { code, stderr } = await requireCluster().slurm.run([program, '-i', ...parameters])
    expect([command, code, stderr]).toEqual([command, 0, ''])
  }

  /** Warned of, refused with --strict; and whatever is advised, if anything, cures it. */
  async function expectWarning(user: string, message: RegExp, cure: RegExp | null): Promise<void> {
    const lenient = await issue(user)
    expect([lenient.exitCode, lenient.written]).toEqual([0, 1])
    expect(lenient.stdout).toMatch(/^slg_[A-Za-z0-9_-]{49}\n$/)
    expect(lenient.stderr).toMatch(message)
    const strict = await issue(user, ['--strict'])
    expect([strict.exitCode, strict.stdout, strict.written]).toEqual([1, '', 0])
    expect(strict.stderr).toMatch(message)
    if (cure === null) return
    const advice = cure.exec(lenient.stderr)?.[0] ?? ''
    await runAdvice(advice)
    await expectSilence(user)
  }

  async function expectSilence(user: string): Promise<void> {
    const { exitCode, stderr, written } = await issue(user, ['--strict'])
    expect(stderr).toMatch(/^issued tok_[a-z2-7]{16} \(looked up\)\n$/)
    expect([exitCode, written]).toEqual([0, 1])
  }

  beforeAll(async () => {
    for (const command of [
      `sacctmgr add user svcone,svccoord account=${OWN_ACCOUNT}`,
      `sacctmgr add user svcop account=${OWN_ACCOUNT} adminlevel=Operator`,
      `sacctmgr add coordinator account=${OWN_ACCOUNT} names=svccoord`,
    ]) {
      await requireCluster().slurm.run(['sacctmgr', '-i', ...command.split(' ').slice(1)])
    }
  })

  test('a user with one association, no admin level and nothing to coordinate is issued to in silence', async () => {
    await expectSilence('svcone')
  })

  test('a user of two accounts is warned of by name, and with --strict no row is written', async () => {
    await expectWarning(ALICE.name, new RegExp(`2 accounts \\(${OTHER_ACCOUNT}, ${OWN_ACCOUNT}\\)`), null)
    const free = await issue(ALICE.name, ['--any-account', '--strict'])
    expect([free.exitCode, free.stderr.includes('warning')]).toEqual([0, false])
  })

  test('an operator is warned of until the level is taken away', async () => {
    expect((await issue('svcop', ['--any-account', '--strict'])).exitCode).toBe(1)
    await expectWarning('svcop', /admin level Operator/, /sacctmgr modify user .*$/m)
  })

  test('a coordinator is warned of until it coordinates nothing', async () => {
    expect((await issue('svccoord', ['--any-account', '--strict'])).exitCode).toBe(1)
    const message = new RegExp(`coordinator of ${OWN_ACCOUNT}`)
    await expectWarning('svccoord', message, /sacctmgr delete coordinator .*$/m)
  })

  test('a user that the accounting does not know is warned of until it is added', async () => {
    expect((await issue('svcnew', ['--any-account', '--strict'])).exitCode).toBe(1)
    await expectWarning('svcnew', /accounting has no user svcnew/, /sacctmgr add user .*$/m)
  })

  test('a user of another account can never submit, and is told so', async () => {
    await runAdvice(`sacctmgr add user svcelse account=${OTHER_ACCOUNT}`)
    await expectWarning('svcelse', new RegExp(`no association with ${OWN_ACCOUNT} here`), null)
  })

  test('a slurmrestd that cannot be asked, or a key that is not Slurm’s, is a warning and with --strict a refusal', async () => {
    for (const [environment, reason] of [
      [{ SLURMRESTD_URL: `http://127.0.0.1:${String(await findFreePort())}` }, /ECONNREFUSED/],
      [
        { SLURM_JWT_HS256_KEY_FILE: undefined, SLURM_JWT_HS256_KEY: randomBytes(32).toString('base64') },
        /slurmrestd answered 502: .*\(7000\)/,
      ],
    ] as const) {
      const lenient = await issue('svcone', [], environment)
      expect([lenient.exitCode, lenient.written]).toEqual([0, 1])
      expect(lenient.stderr).toMatch(/warning: svcone was not looked up/)
      expect(lenient.stderr).toMatch(reason)
      const strict = await issue('svcone', ['--strict'], environment)
      expect([strict.exitCode, strict.stdout, strict.written]).toEqual([1, '', 0])
    }
  })
}
