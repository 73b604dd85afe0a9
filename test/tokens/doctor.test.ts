/** What `slurmgate doctor` says of keys: whether Slurm takes them, how old they are, and what comes next in a rotation. */

import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { KEY_AGE_MAX_DAYS } from '../../src/limits.ts'
import type { FakeAnswer } from '../support/fake-slurmrestd-answers.ts'
import { FakeSlurmrestd } from '../support/fake-slurmrestd.ts'
import { runCli } from '../support/cli.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { createRoleDatabase, type RoleDatabase } from '../support/role-database.ts'
import { buildTokenRow } from '../support/token-database.ts'

const [SLURM_KEY, OTHER_KEY] = [randomBytes(32), randomBytes(32)]
const DAY_SECONDS = 86_400
let roles: RoleDatabase
let slurmrestd: FakeSlurmrestd
let folder: string

beforeAll(async () => {
  ;[roles, slurmrestd] = await Promise.all([createRoleDatabase(), FakeSlurmrestd.start(SLURM_KEY)])
  folder = mkdtempSync(join(tmpdir(), 'slurmgate-doctor-'))
})
beforeEach(async () => {
  slurmrestd.reset()
  await roles.admin.sql`truncate api_tokens`
})
afterAll(async () => {
  await slurmrestd.stop()
  await roles.admin.sql.end()
  rmSync(folder, { recursive: true })
  await stopOwnPostgres()
})

type Environment = Readonly<Record<string, string | undefined>>

async function diagnose(environment: Environment = {}) {
  const { exitCode, stdout, stderr } = await runCli(['doctor', '--json'], {
    environment: {
      DATABASE_URL: roles.gatewayUrl,
      SLURMRESTD_URL: `http://127.0.0.1:${String(slurmrestd.port)}`,
      SLURM_JWT_HS256_KEY: SLURM_KEY.toString('base64'),
      MUNGE_MODE: 'off',
      ...environment,
    },
  })
  expect(stderr).toBe('')
  const found = JSON.parse(stdout) as { dependency: string; state: string; detail: string }[]
  const say = (name: string): readonly string[] => {
    const { state = 'nothing', detail = '' } = found.find(({ dependency }) => dependency === name) ?? {}
    return [state, detail]
  }
  return { exitCode, stdout, say }
}

/** Nobody else's to read, and so many days old. */
function writeFile(name: string, bytes: Uint8Array | string, days = 0): string {
  const path = join(folder, name)
  writeFileSync(path, bytes, { mode: 0o600 })
  const at = Date.now() / 1000 - days * DAY_SECONDS - 60
  utimesSync(path, at, at)
  return path
}

const inFile = (path: string): Environment => ({
  SLURM_JWT_HS256_KEY: undefined,
  SLURM_JWT_HS256_KEY_FILE: path,
})

function refuseIn(plugin: string, answer: Omit<FakeAnswer, 'contentType'>): void {
  slurmrestd.behaviour.answer = ({ target }) =>
    target.startsWith(`/${plugin}/`) ? { contentType: 'application/json', ...answer } : null
}

describe('whether Slurm takes the key', () => {
  it('is found out with a token of a name that nobody has', async () => {
    const { exitCode, say } = await diagnose()
    expect([exitCode, say('slurmctld')[0], say('slurmdbd')[0]]).toEqual([0, 'ok', 'ok'])
    const names = slurmrestd.operations.map(({ headers }) => new Map(headers).get('x-slurm-user-name'))
    expect(names).toEqual(['slurmgate-doctor', 'slurmgate-doctor'])
    expect(slurmrestd.operations.map(({ method, target }) => `${method} ${target}`).sort()).toEqual([
      'GET /slurm/v0.0.42/diag',
      'GET /slurmdb/v0.0.42/user/slurmgate-doctor',
    ])
  })

  it('a wrong one fails, and no key is told', async () => {
    const key = OTHER_KEY.toString('base64')
    const { exitCode, say, stdout } = await diagnose({ SLURM_JWT_HS256_KEY: key })
    expect([exitCode, say('slurmrestd')[0]]).toEqual([1, 'ok'])
    expect(say('slurmctld')).toEqual(['FAILED', expect.stringContaining('is SLURM_JWT_… the key')])
    expect(say('slurmdbd')).toEqual(['FAILED', expect.stringContaining('restart it')])
    expect(stdout).not.toContain(key)
  })

  it.each<[string, string, Omit<FakeAnswer, 'contentType'>, string]>([
    [
      'slurmdbd that was not restarted (24.11)',
      'slurmdb',
      {
        status: 502,
        body: '{"errors":[{"error_number":7000,"description":"Failed to open slurmdbd connection, authentication error"}]}',
      },
      'refuses our Slurm tokens (HTTP 502): it reads keys at its start only',
    ],
    [
      'slurmdbd that is down, or was not restarted (26.05)',
      'slurmdb',
      {
        status: 502,
        body: '{"errors":[{"error_number":7000,"description":"Failed to open slurmdbd connection"}]}',
      },
      'is it down, or was it not restarted',
    ],
    [
      'slurmctld with another key (22.05)',
      'slurm',
      { status: 500, body: '{"errors":[{"error_number":-1,"description":"request failed"}]}' },
      'slurmrestd answered 500, request failed: does it run, and is SLURM_JWT_… the key it has?',
    ],
  ])('%s fails', async (_, plugin, answer, words) => {
    refuseIn(plugin, answer)
    const { exitCode, say } = await diagnose()
    const daemon = plugin === 'slurm' ? 'slurmctld' : 'slurmdbd'
    expect([exitCode, ...say(daemon)]).toEqual([1, 'FAILED', expect.stringContaining(words)])
    expect(say(daemon === 'slurmctld' ? 'slurmdbd' : 'slurmctld')[0]).toBe('ok')
  })

  it('22.05 says that it found no such user, which is an answer', async () => {
    refuseIn('slurmdb', {
      status: 500,
      body: '{"errors":[{"error_number":9003,"description":"Nothing found"}]}',
    })
    expect((await diagnose()).say('slurmdbd')[0]).toBe('ok')
  })

  it('without accounting there is nothing to find out', async () => {
    refuseIn('slurmdb', { status: 404, body: 'Unable find requested URL' })
    const { exitCode, say } = await diagnose()
    expect([exitCode, ...say('slurmdbd')]).toEqual([0, 'off', 'slurmrestd has no accounting'])
  })
})

describe('the age of Slurm’s key', () => {
  it('is that of its file, and an old one is no failure but something to do', async () => {
    const young = await diagnose(inFile(writeFile('young.key', SLURM_KEY, KEY_AGE_MAX_DAYS)))
    expect([young.exitCode, ...young.say('slurm key')]).toEqual([
      0,
      'ok',
      `SLURM_JWT_HS256_KEY_FILE: HS256; by the file's date ${String(KEY_AGE_MAX_DAYS)} days old`,
    ])
    const old = await diagnose(inFile(writeFile('old.key', SLURM_KEY, KEY_AGE_MAX_DAYS + 1)))
    expect([old.exitCode, ...old.say('slurm key')]).toEqual([
      0,
      'warn',
      expect.stringMatching(/181 days old, more than 180; next: rotate it \(README\.md, "Rotating keys"\)$/),
    ])
  })

  it('is not known of one in the environment', async () => {
    expect((await diagnose()).say('slurm key')).toEqual([
      'ok',
      'SLURM_JWT_HS256_KEY: HS256; of what age it is, nothing tells',
    ])
  })

  it('comes with the kid of an RS256 key', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk = JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid: 'second' })
    const SLURM_JWT_RS256_JWK_FILE = writeFile('rs256.jwk', jwk, 1)
    const { say } = await diagnose({ SLURM_JWT_HS256_KEY: undefined, SLURM_JWT_RS256_JWK_FILE })
    expect(say('slurm key')).toEqual([
      'ok',
      "SLURM_JWT_RS256_JWK_FILE: RS256, kid second; by the file's date 1 day old",
    ])
  })
})

describe('keys that follow each other', () => {
  const text = (...keys: readonly Uint8Array[]): string =>
    keys.map((key) => `${Buffer.from(key).toString('base64')}\n`).join('')

  it('TOKEN_KEY_FILE: how many rows still need the old one, with the gateway’s rights', async () => {
    const seal = async (file: string): Promise<void> => {
      const environment = { DATABASE_URL: roles.issuerUrl, TOKEN_KEY_FILE: file }
      expect((await runCli(['db', 'seal'], { environment })).exitCode).toBe(0)
    }
    await roles.admin.sql`insert into api_tokens ${roles.admin.sql(buildTokenRow())}`
    await seal(writeFile('one', text(OTHER_KEY)))
    const single = await diagnose({ TOKEN_KEY_FILE: writeFile('one', text(OTHER_KEY), 3) })
    expect(single.say('token key')).toEqual(['ok', "TOKEN_KEY_FILE: 1 key; by the file's date 3 days old"])
    const TOKEN_KEY_FILE = writeFile('two', text(SLURM_KEY, OTHER_KEY))
    const before = await diagnose({ TOKEN_KEY_FILE })
    expect([before.exitCode, ...before.say('token key')]).toEqual([
      0,
      'warn',
      '2 keys: a rotation is under way; 1 row sealed by older keys; next: slurmgate db seal',
    ])
    await seal(TOKEN_KEY_FILE)
    expect((await diagnose({ TOKEN_KEY_FILE })).say('token key')[1]).toMatch(/no row needs the older ones/)
    await roles.admin.sql`update api_tokens set slurm_user = 'bob'`
    expect((await diagnose({ TOKEN_KEY_FILE })).say('token key')[1]).toMatch(/; 1 row not counting: /)
  })

  it('MUNGE_VERIFIER_KEY: two are a rotation that is under way', async () => {
    const keys = [SLURM_KEY, OTHER_KEY].map((key) => key.toString('base64'))
    const one = await diagnose({ MUNGE_VERIFIER_KEY: keys[0] })
    expect(one.say('verifier key')[0]).toBe('ok')
    const two = await diagnose({ MUNGE_VERIFIER_KEY: keys.join(',') })
    expect([two.exitCode, ...two.say('verifier key')]).toEqual([
      0,
      'warn',
      expect.stringMatching(/^2 keys: /),
    ])
    for (const key of keys) expect(two.stdout).not.toContain(key)
  })

  it('SIGNER_PRIVATE_KEY_FILE: says which, by their kids', async () => {
    const made = ['first', 'second'].map((name) => join(folder, `${name}.jwk`))
    for (const path of made) expect((await runCli(['signer-key', 'new', path])).exitCode).toBe(0)
    const [first, second] = made.map(
      (path) => JSON.parse(readFileSync(path, 'utf8')) as { kid: string; d: string },
    )
    const one = await diagnose({ SIGNER_PRIVATE_KEY_FILE: made[0] })
    expect(one.say('signer key')).toEqual([
      'ok',
      expect.stringContaining(`1 key, kid ${String(first?.kid)}; by`),
    ])
    const SIGNER_PRIVATE_KEY_FILE = writeFile('set.jwk', JSON.stringify({ keys: [second, first] }))
    const two = await diagnose({ SIGNER_PRIVATE_KEY_FILE })
    expect(two.say('signer key')).toEqual([
      'warn',
      expect.stringContaining(`kids ${String(second?.kid)}, ${String(first?.kid)}`),
    ])
    expect(two.stdout).not.toContain(first?.d)
  })

  it('a file that cannot be read fails by its variable’s name', async () => {
    const { exitCode, say, stdout } = await diagnose({ TOKEN_KEY_FILE: '/nowhere/token.key' })
    expect([exitCode, ...say('token key')]).toEqual([1, 'FAILED', 'TOKEN_KEY_FILE cannot be read (ENOENT)'])
    expect(stdout).not.toContain('/nowhere')
  })
})

describe('what ends', () => {
  const makeCertificate = (days: number): string => {
    const [key, cert] = [join(folder, 'tls.key'), join(folder, 'tls.crt')]
    const made = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=gate',
    ]
    execFileSync('openssl', [...made, '-days', String(days), '-keyout', key, '-out', cert], { stdio: 'pipe' })
    return cert
  }

  it.each([
    [90, 'ok', /ends on \d{4}-\d\d-\d\d, in (?:89|90) days$/],
    [5, 'warn', /in [45] days; next: renew it$/],
  ])('a certificate of %i days is %s', async (days, state, words) => {
    const TLS_CERT_FILE = makeCertificate(days)
    const { exitCode, say } = await diagnose({ TLS_CERT_FILE, TLS_KEY_FILE: join(folder, 'tls.key') })
    expect([exitCode, ...say('certificate')]).toEqual([0, state, expect.stringMatching(words)])
  })

  it('tokens without a successor are counted, and nothing else', async () => {
    const { sql } = roles.admin
    const soon = new Date(Date.now() + 3 * DAY_SECONDS * 1000)
    const rows = [
      { expires_at: soon },
      { expires_at: soon, revoked_at: new Date() },
      { expires_at: soon, replaced_by: 'tok_aaaaaaaaaaaaaaab' },
      { expires_at: new Date(Date.now() - 1000) },
      { expires_at: new Date(Date.now() + 30 * DAY_SECONDS * 1000) },
      { expires_at: null },
    ]
    expect((await diagnose()).say('tokens')[0]).toBe('ok')
    for (const [index, row] of rows.entries()) {
      const id = `tok_aaaaaaaaaaaaaaa${'abcdef'.charAt(index)}`
      const dates = { created_at: new Date('2026-01-01T00:00:00Z'), ...row }
      await sql`insert into api_tokens ${sql(buildTokenRow({ id, digest: Buffer.alloc(32, index), ...dates }))}`
    }
    const { exitCode, say } = await diagnose()
    expect([exitCode, ...say('tokens')]).toEqual([
      0,
      'warn',
      expect.stringMatching(/^1 token without a successor/),
    ])
  })
})

describe('the database', () => {
  it('is asked by functions of Postgres’s own, whatever others put before them', async () => {
    const { sql } = roles.admin
    await sql.unsafe('create schema evil; grant usage on schema evil to public')
    for (const shadow of [
      'unnest(text[]) returns setof text',
      'pg_has_role(oid, text) returns boolean',
      'has_table_privilege(oid, oid, text) returns boolean',
      'json_array_elements_text(json) returns setof text',
      'clock_timestamp() returns timestamptz',
      'now() returns timestamptz',
      'make_interval(int, int, int, int, int, int, double precision) returns interval',
    ])
      await sql.unsafe(`create function evil.${shadow} language plpgsql as $$ begin raise 'shadowed'; end $$`)
    const path = encodeURIComponent('evil,pg_catalog,public')
    const { say } = await diagnose({ DATABASE_URL: `${roles.gatewayUrl}?search_path=${path}` })
    expect(say('database role')).toEqual(['ok', 'can do no more than a gateway needs'])
    for (const name of ['clock', 'token store', 'tokens']) expect(say(name)[0]).toBe('ok')
    await sql.unsafe('drop schema evil cascade')
  })
})
