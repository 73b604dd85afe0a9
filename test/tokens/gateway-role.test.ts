/** The gateway as a database user that is in `slurmgate_gateway` and nothing else: what it has to do works, nothing else does. */

import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/tokens/database.ts'
import { createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { digestToken } from '../../src/tokens/token-form.ts'
import { createTokenStore, requireSchema } from '../../src/tokens/token-store.ts'
import { runCli } from '../support/cli.ts'
import { ALICE_UID, writeGetent } from '../support/fake-getent.ts'
import { FakeMunged, writeDecodeResponse } from '../support/fake-munged.ts'
import { FakeSlurmrestd } from '../support/fake-slurmrestd.ts'
import { findFreePort } from '../support/free-port.ts'
import { createLogin } from '../support/login-role.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { Program, waitUntil } from '../support/program.ts'
import { createRoleDatabase, FORBIDDEN_TO_ALL, type RoleDatabase } from '../support/role-database.ts'
import { CLI_PATH } from '../support/surroundings.ts'
import { connect } from '../support/token-database.ts'

const SLURM_KEY = randomBytes(32)

let directory: string
let path: string
let roles: RoleDatabase
let munged: FakeMunged
let slurmrestd: FakeSlurmrestd
const programs: Program[] = []
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'gateway-role-'))
  path = writeGetent(join(directory, 'bin'))
  munged = new FakeMunged()
  await munged.start()
  slurmrestd = await FakeSlurmrestd.start(SLURM_KEY)
  roles = await createRoleDatabase()
  await roles.admin.sql.unsafe('create schema neighbour; create table neighbour.secrets (secret text)')
})
afterAll(async () => {
  for (const program of programs) await program.stop()
  await slurmrestd.stop()
  await munged.remove()
  await roles.admin.sql.end()
  await stopOwnPostgres()
  rmSync(directory, { recursive: true })
})

async function issue(url = roles.issuerUrl): Promise<string> {
  const scope = ['--account', 'phys', '--scope', 'slurm:read']
  const { exitCode, stdout, stderr } = await runCli(
    ['token', 'issue', '--name', 'nightly', '--user', 'alice', ...scope],
    { environment: { DATABASE_URL: url } },
  )
  expect(exitCode, stderr).toBe(0)
  return stdout.trim()
}

async function startGateway(databaseUrl: string) {
  const port = await findFreePort()
  const program = new Program(process.execPath, [CLI_PATH, 'gateway'], {
    environment: {
      DATABASE_URL: databaseUrl,
      SLURMRESTD_URL: `http://127.0.0.1:${String(slurmrestd.port)}`,
      SLURM_JWT_HS256_KEY: SLURM_KEY.toString('base64'),
      MUNGE_MODE: 'local',
      MUNGE_SOCKET: munged.socketPath,
      PORT: String(port),
      PATH: path,
    },
  })
  programs.push(program)
  const url = `http://127.0.0.1:${String(port)}`
  await waitUntil('the gateway listens', async () => {
    if (!program.isRunning) throw new Error(program.lines.join('\n'))
    return fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    )
  })
  const ask = async (path: string, authorization = '') => {
    const answer = await fetch(url + path, { headers: authorization === '' ? {} : { authorization } })
    return { status: answer.status, text: await answer.text(), retryAfter: answer.headers.get('retry-after') }
  }
  return { program, ask }
}

const makeCredential = (): string => `MUNGE MUNGE:${randomBytes(96).toString('base64')}:`

describe('a gateway process in slurmgate_gateway', () => {
  it('takes a token and a MUNGE credential, once, clears old replays away, and is ready', async () => {
    const token = await issue()
    await roles.admin.sql`insert into munge_replays values (${randomBytes(32)}, now() - interval '1 second')`
    const { program, ask } = await startGateway(roles.gatewayUrl)
    expect(await ask('/readyz')).toMatchObject({ status: 200 })
    munged.behaviour = { kind: 'raw', bytes: writeDecodeResponse({ uid: ALICE_UID, gid: ALICE_UID }) }
    expect(await ask('/slurm/latest/nodes', `Bearer ${token}`)).toMatchObject({ status: 200 })
    const credential = makeCredential()
    expect(await ask('/slurm/latest/nodes', credential)).toMatchObject({ status: 200 })
    const again = await ask('/slurm/latest/nodes', credential)
    expect([again.status, again.text]).toEqual([401, expect.stringContaining('munge_replayed')])
    const count = () => roles.admin.sql`select from munge_replays`
    await waitUntil('the cleanup', async () => (await count()).length === 1)
    expect(program.lines.filter((line) => /"level":"(warn|error)"/.test(line))).toEqual([])
  })

  it('without rights blames nobody: 503, and a line for the operator that names db grants', async () => {
    const token = await issue()
    const { url, name } = await createLogin(roles.admin.url)
    const { program, ask } = await startGateway(url)
    munged.behaviour = { kind: 'raw', bytes: writeDecodeResponse({ uid: ALICE_UID, gid: ALICE_UID }) }
    const rules = { token_store_unavailable: `Bearer ${token}`, replay_guard_unavailable: makeCredential() }
    for (const [rule, authorization] of Object.entries(rules)) {
      const answer = await ask('/slurm/latest/nodes', authorization)
      expect([answer.status, answer.retryAfter]).toEqual([503, expect.stringMatching(/^\d+$/)])
      expect(answer.text).toContain(rule)
      expect(answer.text).not.toMatch(/permission|grants|api_tokens|munge_replays/)
    }
    expect((await ask('/readyz')).status).toBe(503)
    const told = program.lines.filter((line) => line.includes('42501'))
    for (const what of ['schema drizzle', 'table api_tokens', 'table munge_replays']) {
      expect(
        told.filter((line) =>
          line.includes(
            `permission denied for ${what}; the database role may not do this; see: slurmgate db grants`,
          ),
        ),
      ).not.toEqual([])
    }
    // A right takes effect without a restart.
    await roles.admin.sql.unsafe(`grant slurmgate_gateway to ${name}`)
    expect(await ask('/slurm/latest/nodes', `Bearer ${token}`)).toMatchObject({ status: 200 })
  })

  it('does not migrate at its start: a schema that does not fit ends it, with the command to run', async () => {
    const behind = await createRoleDatabase()
    await behind.admin
      .sql`delete from drizzle.__drizzle_migrations where created_at = (select max(created_at) from drizzle.__drizzle_migrations)`
    await expect(startGateway(behind.gatewayUrl)).rejects.toThrow(
      /slurmgate gateway: the schema lacks migration \w+; run: slurmgate db migrate/,
    )
    await behind.admin.sql.end()
  })
})

describe('the parts of a gateway in slurmgate_gateway', () => {
  it('find a token, check the schema, and give a credential to one of many claims', async () => {
    const token = await issue()
    const { db, close } = openDatabase(roles.gatewayUrl)
    const store = createTokenStore(db)
    await requireSchema(db)
    await store.check()
    expect(await store.findByDigest(await digestToken(token))).toMatchObject({ slurmUser: 'alice' })
    const lines: string[] = []
    const log = { write: (_: unknown, event: string) => lines.push(event) }
    const guard = createPostgresReplayGuard(db, { clock: Date.now, log, maySharePromises: true })
    const digest = createHash('sha256').update(token).digest('hex')
    const expiresAt = Math.floor(Date.now() / 1000) + 5
    const claims = await Promise.all(Array.from({ length: 50 }, () => guard.claim(digest, expiresAt)))
    expect(claims.filter((isFirst) => isFirst)).toHaveLength(1)
    expect(lines).toEqual([])
    await close()
  })

  it.each([
    ...FORBIDDEN_TO_ALL,
    "insert into api_tokens (id) values ('tok_aaaaaaaaaaaaaaaa')",
    'update api_tokens set revoked_at = null',
    'update api_tokens set expires_at = null',
    'select * from api_tokens',
    'select issued_by from api_tokens',
    'update munge_replays set credential_digest = credential_digest',
    "update munge_replays set keep_until = now() - interval '1 second'",
    'select 1 from munge_replays for update',
    'truncate munge_replays',
    'alter table munge_replays disable row level security',
  ])('may not: %s', async (statement) => {
    const sql = connect(roles.gatewayUrl)
    const refused = sql.begin((transaction) => transaction.unsafe(statement))
    await expect(refused).rejects.toMatchObject({ code: '42501' })
    await sql.end()
  })

  it('forgets no credential that may still be good (replay): only rows that are over', async () => {
    const [good, over] = [randomBytes(32), randomBytes(32)]
    await roles.admin.sql`delete from munge_replays`
    await roles.admin.sql`insert into munge_replays values
      (${good}, now() + interval '1 minute'), (${over}, now() - interval '1 second')`
    const sql = connect(roles.gatewayUrl)
    await sql`delete from munge_replays`
    await sql.end()
    const left = await roles.admin.sql`select credential_digest from munge_replays`
    expect(left.map((row) => Buffer.from(row['credential_digest'] as Uint8Array))).toEqual([good])
  })
})

describe('doctor', () => {
  const diagnose = async (url: string, ...parameters: string[]) =>
    runCli(['doctor', ...parameters], {
      environment: {
        DATABASE_URL: url,
        SLURMRESTD_URL: `http://127.0.0.1:${String(slurmrestd.port)}`,
        SLURM_JWT_HS256_KEY: SLURM_KEY.toString('base64'),
        MUNGE_MODE: 'off',
      },
    })
  const findLine = (stdout: string): string =>
    stdout.split('\n').find((line) => line.includes('database role')) ?? ''

  it('says that the gateway’s role can do no more than it needs', async () => {
    const { exitCode, stdout } = await diagnose(roles.gatewayUrl)
    expect([exitCode, findLine(stdout)]).toEqual([
      0,
      expect.stringMatching(/^ok +database role +can do no more/),
    ])
  })

  it.each<[string, () => Promise<string>, string]>([
    ['a superuser', () => Promise.resolve(roles.admin.url), 'is a superuser'],
    [
      'a gateway that can become the migrator',
      async () => {
        const { url, name } = await createLogin(roles.admin.url, { memberOf: ['slurmgate_gateway'] })
        await roles.admin.sql.unsafe(`grant slurmgate_migrator to ${name} with inherit false`)
        return url
      },
      'owns public.api_tokens',
    ],
    [
      'a gateway that can become a superuser',
      async () => (await createLogin(roles.admin.url, { memberOf: ['slurmgate_gateway', 'postgres'] })).url,
      'may act as one',
    ],
    ['an issuer', () => Promise.resolve(roles.issuerUrl), 'may insert, select, update public.api_tokens'],
    ['a migrator', () => Promise.resolve(roles.migratorUrl), 'owns public.api_tokens'],
    [
      'a gateway that may read and delete all there is',
      async () => {
        const memberOf = ['slurmgate_gateway', 'pg_read_all_data', 'pg_write_all_data']
        return (await createLogin(roles.admin.url, { memberOf, attributes: 'createdb' })).url
      },
      'may delete, insert, select, update public.api_tokens',
    ],
  ])('warns of %s, which is no failure, and tells no URL', async (_, findUrl, text) => {
    const url = await findUrl()
    const { exitCode, stdout, stderr } = await diagnose(url)
    expect([exitCode, findLine(stdout)]).toEqual([0, expect.stringMatching(/^warn +database role /)])
    expect(findLine(stdout)).toContain(text)
    expect(findLine(stdout)).toMatch(/: more than a gateway needs; see: slurmgate db grants$/)
    const { password, host } = new URL(url)
    for (const secret of [password, host]) expect(stdout + stderr).not.toContain(secret)
    const json = JSON.parse((await diagnose(url, '--json')).stdout) as { dependency: string; state: string }[]
    expect(json.find(({ dependency }) => dependency === 'database role')?.state).toBe('warn')
  })
})
