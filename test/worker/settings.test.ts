/** Settings on Workers: what is bad or cannot be done there is 503 without names, and the log names it without values. */

import { describe, expect, it } from 'vitest'
import { startWorker, type Bindings, type OtherBindings } from '../support/gateway-target.ts'
import { requestRaw } from '../support/raw-http.ts'
import { waitUntil } from '../support/program.ts'

const TIMEOUT = 120_000
/** Long enough to be recognised anywhere. */
const CANARY = 'canary-value-that-must-not-be-printed'
const KEY = Buffer.alloc(32, 1).toString('base64')
const GOOD: Bindings = {
  DATABASE_URL: `postgres://u:${CANARY}@127.0.0.1:1/d`,
  SLURMRESTD_URL: 'http://127.0.0.1:1',
  SLURM_JWT_HS256_KEY: KEY,
  SLURM_KEY_AT_EDGE: 'accept-cluster-root',
}
const VERIFIER_ACCESS: Bindings = {
  MUNGE_VERIFIER_ACCESS_CLIENT_ID: 'x.access',
  MUNGE_VERIFIER_ACCESS_CLIENT_SECRET: CANARY,
}
const REMOTE: Bindings = { MUNGE_MODE: 'remote', MUNGE_VERIFIER_KEY: KEY }
const UNCONFIGURED = 'slurmgate is not configured\n'

interface Start {
  readonly status: number
  readonly body: string
  /** All that the client got but for the status line. */
  readonly answer: string
  /** Without repetitions: every request logs the problems anew. */
  readonly problems: readonly string[]
  readonly log: string
}

/** Asks for the jobs without a credential: a configured gate answers 401. */
async function ask(bindings: Bindings, others: OtherBindings = {}): Promise<Start> {
  const target = await startWorker(bindings, others)
  try {
    const { status, headers, body } = await requestRaw(
      { host: target.host, port: target.port },
      { method: 'GET', target: '/slurm/v0.0.42/jobs/' },
      { timeoutMilliseconds: 60_000 },
    )
    // The log comes over a pipe, perhaps after the answer.
    await waitUntil('the log has a line', () => target.logs().length > 0)
    const log = target.logs().join('\n')
    const problems = [...log.matchAll(/slurmgate gateway: (.*)/g)].map(([, problem = '']) => problem)
    const text = body.toString('utf8')
    return {
      status,
      body: text,
      answer: [...headers.flat(), text].join('\n'),
      problems: [...new Set(problems)],
      log,
    }
  } finally {
    await target.stop()
  }
}

function expectRefused(start: Start, problems: readonly RegExp[]): void {
  expect(start).toMatchObject({ status: 503, body: UNCONFIGURED })
  expect(start.answer).toMatch(/^retry-after$/im)
  expect(start.answer).not.toMatch(/[A-Z]{3,}_[A-Z]{2,}/)
  expect(start.problems).toHaveLength(problems.length)
  for (const problem of problems) {
    expect(start.problems).toContainEqual(expect.stringMatching(problem))
  }
  expect(start.answer + start.log).not.toContain(CANARY)
  expect(start.answer + start.log).not.toContain(KEY)
}

it(
  'a Worker with the required settings is a gate: 401 without credential',
  async () => {
    const start = await ask(GOOD)
    expect(start).toMatchObject({ status: 401, problems: [] })
    expect(start.log).not.toContain(CANARY)
  },
  TIMEOUT,
)

it(
  'all problems are named at once in the log, and none to the client',
  async () => {
    expectRefused(await ask({ SLURMRESTD_URL: 'http://127.0.0.1:1', LOG_LEVEL: CANARY }), [
      /^DATABASE_URL is required$/,
      /^exactly one of SLURM_JWT_HS256_KEY_FILE, .* is required$/,
      /^LOG_LEVEL must be one of/,
    ])
  },
  TIMEOUT,
)

describe('what a Worker cannot do, or may not, is refused', () => {
  it.each<[name: string, bindings: Bindings, problem: RegExp]>([
    ['admin scopes', { ADMIN_SCOPES: 'on' }, /^ADMIN_SCOPES=on is refused on Workers$/],
    ['munged on this host', { MUNGE_MODE: 'local' }, /^MUNGE_MODE=local needs Node/],
    ['a replay guard in memory', { REPLAY_GUARD: 'local' }, /^REPLAY_GUARD=local needs Node/],
    ['the peer’s address', { CLIENT_ADDRESS_FROM: 'socket' }, /^CLIENT_ADDRESS_FROM must be one of/],
    ['a UNIX socket', { SLURMRESTD_URL: 'unix:/run/slurmrestd.sock' }, /^SLURMRESTD_URL as unix:/],
    [
      'a plain slurmrestd off loopback, whatever ALLOW_PLAINTEXT says',
      { SLURMRESTD_URL: 'http://slurm.example:6820', ALLOW_PLAINTEXT: 'yes' },
      /^SLURMRESTD_URL must be https$/,
    ],
    [
      'a plain verifier off loopback, whatever ALLOW_PLAINTEXT says',
      { ...REMOTE, MUNGE_VERIFIER_URL: 'http://munge.example:8081', ALLOW_PLAINTEXT: 'yes' },
      /^MUNGE_VERIFIER_URL must be https$/,
    ],
    [
      'Slurm’s key without a word about it',
      { SLURM_KEY_AT_EDGE: '' },
      /^SLURM_JWT_HS256_KEY on a Worker makes whoever gets its secrets root on the cluster: .*SLURM_KEY_AT_EDGE=accept-cluster-root$/,
    ],
    [
      'Slurm’s key with another word',
      { SLURM_KEY_AT_EDGE: true },
      /^SLURM_KEY_AT_EDGE may say accept-cluster-root, or nothing$/,
    ],
    [
      'a way to slurmrestd without a service credential',
      { SLURMRESTD_URL: 'https://slurm.example' },
      /^SLURMRESTD_URL needs a service credential on Workers: SLURMRESTD_ACCESS_CLIENT_ID and SLURMRESTD_ACCESS_CLIENT_SECRET, or a binding SLURMRESTD_MTLS$/,
    ],
    [
      'a way to the verifier without a service credential',
      { ...REMOTE, MUNGE_VERIFIER_URL: 'https://munge.example' },
      /^MUNGE_VERIFIER_URL needs a service credential on Workers: MUNGE_VERIFIER_ACCESS_CLIENT_ID and MUNGE_VERIFIER_ACCESS_CLIENT_SECRET, or a binding MUNGE_VERIFIER_MTLS$/,
    ],
    [
      'half a service token',
      { SLURMRESTD_URL: 'https://slurm.example', SLURMRESTD_ACCESS_CLIENT_SECRET: CANARY },
      /^SLURMRESTD_ACCESS_CLIENT_ID and SLURMRESTD_ACCESS_CLIENT_SECRET go together$/,
    ],
    [
      'a certificate that is a text',
      { SLURMRESTD_MTLS: CANARY },
      /^SLURMRESTD_MTLS must be a binding of kind mtls_certificates/,
    ],
    [
      'Postgres off loopback without TLS',
      { DATABASE_URL: `postgres://u:${CANARY}@db.example/d?sslmode=prefer` },
      /^DATABASE_URL must have sslmode=verify-full \(or verify-ca, require\) on Workers, off loopback$/,
    ],
    [
      'a key in a file',
      { SLURM_JWT_HS256_KEY: '', SLURM_JWT_HS256_KEY_FILE: `/etc/${CANARY}` },
      /^SLURM_JWT_HS256_KEY_FILE needs a runtime with files/,
    ],
    [
      'a JWK in a file',
      { SLURM_JWT_HS256_KEY: '', SLURM_JWT_RS256_JWK_FILE: `/etc/${CANARY}` },
      /^SLURM_JWT_RS256_JWK_FILE needs a runtime with files/,
    ],
  ])(
    '%s',
    async (_name, bindings, problem) => {
      expectRefused(await ask({ ...GOOD, ...bindings }), [problem])
    },
    TIMEOUT,
  )
})

it(
  'a Worker that is far from the cluster is a gate with a service credential on each hop: a token of Access, or a certificate',
  async () => {
    const certificate = { network: { allow: ['private'] } }
    const far: Bindings = {
      ...GOOD,
      DATABASE_URL: `postgres://u:${CANARY}@db.example/d?sslmode=verify-full`,
      SLURMRESTD_URL: 'https://slurm.example',
      ...REMOTE,
      MUNGE_VERIFIER_URL: 'https://munge.example',
      ...VERIFIER_ACCESS,
    }
    const start = await ask(far, { serviceBindings: { SLURMRESTD_MTLS: certificate } })
    expect(start).toMatchObject({ status: 401, problems: [] })
    expect(start.answer + start.log).not.toContain(CANARY)
  },
  TIMEOUT,
)

/** wrangler.toml makes these of what is not in quotes; one that were dropped would leave its rule out unseen. */
describe('a binding that is no string is understood as text', () => {
  it(
    'numbers, booleans and lists that are good are taken',
    async () => {
      const start = await ask({
        ...GOOD,
        UPSTREAM_TIMEOUT_SECONDS: 5,
        SLURM_JWT_LIFESPAN_SECONDS: 30,
        SLURM_API_VERSIONS: ['v0.0.41', 'v0.0.42'],
        SLURM_DENIED_USERS: ['carol', 'dave'],
        TRUSTED_PROXIES: ['192.0.2.0/24', '2001:db8::/32'],
      })
      expect(start).toMatchObject({ status: 401, problems: [] })
    },
    TIMEOUT,
  )

  it.each<[name: string, bindings: Bindings, problem: RegExp]>([
    ['a number', { UPSTREAM_TIMEOUT_SECONDS: 0 }, /^UPSTREAM_TIMEOUT_SECONDS must be an integer/],
    ['a fraction', { SLURM_JWT_LIFESPAN_SECONDS: 30.5 }, /^SLURM_JWT_LIFESPAN_SECONDS must be an integer/],
    ['a boolean', { ADMIN_SCOPES: true }, /^ADMIN_SCOPES must be one of: off, on$/],
    ['false', { MUNGE_MODE: false }, /^MUNGE_MODE must be one of/],
    [
      'every name in a list of denied users',
      { SLURM_DENIED_USERS: ['carol', 'not a name'] },
      /^SLURM_DENIED_USERS must be a comma list/,
    ],
    [
      'every version in a list',
      { SLURM_API_VERSIONS: ['v0.0.42', 'v0.0.999'] },
      /^SLURM_API_VERSIONS may list/,
    ],
    [
      'every range in a list',
      { TRUSTED_PROXIES: ['192.0.2.0/24', '0.0.0.0/0'] },
      /^TRUSTED_PROXIES may not trust every address$/,
    ],
  ])(
    '%s that is bad is refused',
    async (_name, bindings, problem) => {
      expectRefused(await ask({ ...GOOD, ...bindings }), [problem])
    },
    TIMEOUT,
  )
})
