/** A start with missing or bad settings ends at once with exit code 2, naming every one of them and no value. */

import { describe, expect, test } from 'vitest'
import { readKeyFile } from '../functions/node/key-file.ts'
import { parseVerifierSettings } from '../src/munge/verifier-settings.ts'
import { parseGatewaySettings } from '../src/settings.ts'
import { Program } from './support/program.ts'
import { CLI_PATH, type Environment } from './support/surroundings.ts'

const TIME_LIMIT_MILLISECONDS = 60_000
/** Long enough to be recognised anywhere. */
const CANARY = 'canary-value-that-must-not-be-printed'
const GOOD_KEY = Buffer.alloc(32, 1).toString('base64')

const GATEWAY: Environment = {
  DATABASE_URL: 'postgres://u:p@127.0.0.1:1/d',
  SLURMRESTD_URL: 'http://127.0.0.1:1',
  SLURM_JWT_HS256_KEY: GOOD_KEY,
  MUNGE_MODE: 'off',
}
const VERIFIER: Environment = { MUNGE_VERIFIER_KEY: GOOD_KEY }

interface BadStart {
  readonly name: string
  readonly program: 'gateway' | 'verifier'
  readonly environment: Environment
  /** Variables the report has to name, all of them in one start. */
  readonly names: readonly string[]
}

const REMOTE: Environment = {
  MUNGE_MODE: 'remote',
  MUNGE_VERIFIER_URL: 'http://127.0.0.1:1',
  MUNGE_VERIFIER_KEY: GOOD_KEY,
}

const MAP: Environment = { MUNGE_HOST_BINDING: 'map', MUNGE_HOST_MAP_FILE: `/nonexistent/${CANARY}` }

const BAD_STARTS: readonly BadStart[] = [
  {
    name: 'nothing set',
    program: 'gateway',
    environment: {},
    names: ['DATABASE_URL', 'SLURMRESTD_URL', 'SLURM_JWT_HS256_KEY'],
  },
  { name: 'nothing set', program: 'verifier', environment: {}, names: ['MUNGE_VERIFIER_KEY'] },
  {
    name: 'many bad values at once',
    program: 'gateway',
    environment: {
      ...GATEWAY,
      DATABASE_URL: CANARY,
      SLURMRESTD_URL: CANARY,
      SLURM_JWT_LIFESPAN_SECONDS: '29',
      SLURM_API_VERSIONS: CANARY,
      UPSTREAM_TIMEOUT_SECONDS: CANARY,
      UPSTREAM_MAX_CONCURRENCY: '0',
      REQUEST_BODY_MAX_BYTES: '-1',
      CLIENT_ADDRESS_FROM: CANARY,
      TRUSTED_PROXIES: CANARY,
      REPLAY_GUARD: CANARY,
      ADMIN_SCOPES: CANARY,
      PUBLIC_BASE_PATH: CANARY,
      LOG_LEVEL: CANARY,
      PORT: '70000',
    },
    names: [
      'DATABASE_URL',
      'SLURMRESTD_URL',
      'SLURM_JWT_LIFESPAN_SECONDS',
      'SLURM_API_VERSIONS',
      'UPSTREAM_TIMEOUT_SECONDS',
      'UPSTREAM_MAX_CONCURRENCY',
      'REQUEST_BODY_MAX_BYTES',
      'CLIENT_ADDRESS_FROM',
      'TRUSTED_PROXIES',
      'REPLAY_GUARD',
      'ADMIN_SCOPES',
      'PUBLIC_BASE_PATH',
      'LOG_LEVEL',
      'PORT',
    ],
  },
  {
    name: 'many bad values at once',
    program: 'verifier',
    environment: {
      MUNGE_VERIFIER_KEY: `${CANARY},${CANARY}`,
      MUNGE_MAX_TTL_SECONDS: '6',
      MUNGE_MIN_UID: CANARY,
      MUNGE_HOST_BINDING: CANARY,
      VERIFIER_PORT: CANARY,
      LOG_LEVEL: CANARY,
    },
    names: [
      'MUNGE_VERIFIER_KEY',
      'MUNGE_MAX_TTL_SECONDS',
      'MUNGE_MIN_UID',
      'MUNGE_HOST_BINDING',
      'VERIFIER_PORT',
      'LOG_LEVEL',
    ],
  },
  {
    name: 'two Slurm keys',
    program: 'gateway',
    environment: { ...GATEWAY, SLURM_JWT_HS256_KEY_FILE: '/dev/null' },
    names: ['SLURM_JWT_HS256_KEY', 'SLURM_JWT_HS256_KEY_FILE'],
  },
  {
    name: 'a Slurm key that is not base64',
    program: 'gateway',
    environment: { ...GATEWAY, SLURM_JWT_HS256_KEY: `${CANARY}!` },
    names: ['SLURM_JWT_HS256_KEY'],
  },
  {
    name: 'a JWK without kid',
    program: 'gateway',
    environment: {
      ...GATEWAY,
      SLURM_JWT_HS256_KEY: undefined,
      SLURM_JWT_RS256_JWK: `{"kty":"RSA","n":"${CANARY}"}`,
    },
    names: ['SLURM_JWT_RS256_JWK'],
  },
  {
    name: 'a key file that is not there',
    program: 'gateway',
    environment: {
      ...GATEWAY,
      SLURM_JWT_HS256_KEY: undefined,
      SLURM_JWT_HS256_KEY_FILE: `/nonexistent/${CANARY}`,
    },
    names: ['SLURM_JWT_HS256_KEY_FILE'],
  },
  {
    name: 'a key file that others may read',
    program: 'gateway',
    environment: { ...GATEWAY, SLURM_JWT_HS256_KEY: undefined, SLURM_JWT_HS256_KEY_FILE: '/etc/passwd' },
    names: ['SLURM_JWT_HS256_KEY_FILE'],
  },
  {
    name: 'a remote verifier without its key',
    program: 'gateway',
    environment: { ...GATEWAY, MUNGE_MODE: undefined, MUNGE_VERIFIER_URL: 'http://127.0.0.1:1' },
    names: ['MUNGE_VERIFIER_KEY'],
  },
  {
    name: 'a verifier key that is too short',
    program: 'verifier',
    environment: { MUNGE_VERIFIER_KEY: Buffer.alloc(31, 1).toString('base64') },
    names: ['MUNGE_VERIFIER_KEY'],
  },
  {
    name: 'MUNGE policy on a gateway whose verifier is remote',
    program: 'gateway',
    environment: {
      ...GATEWAY,
      ...REMOTE,
      MUNGE_MAX_TTL_SECONDS: '3',
      MUNGE_MIN_UID: '2000',
      MUNGE_HOST_BINDING: 'strict',
      MUNGE_SOCKET: '/run/munge/munge.socket.2',
    },
    names: ['MUNGE_MAX_TTL_SECONDS', 'MUNGE_MIN_UID', 'MUNGE_HOST_BINDING', 'MUNGE_SOCKET'],
  },
  {
    name: 'plain HTTP on an address that is not loopback',
    program: 'gateway',
    environment: { ...GATEWAY, HOST: '0.0.0.0' },
    names: ['ALLOW_PLAINTEXT'],
  },
  {
    name: 'plain HTTP on an address that is not loopback',
    program: 'verifier',
    environment: { ...VERIFIER, VERIFIER_HOST: '0.0.0.0' },
    names: ['ALLOW_PLAINTEXT'],
  },
  {
    name: 'plain HTTP to a slurmrestd that is not loopback',
    program: 'gateway',
    environment: { ...GATEWAY, SLURMRESTD_URL: 'http://192.0.2.1:6820' },
    names: ['SLURMRESTD_URL'],
  },
  {
    name: 'plain HTTP to a verifier that is not loopback',
    program: 'gateway',
    environment: { ...GATEWAY, ...REMOTE, MUNGE_VERIFIER_URL: 'http://192.0.2.1:8081' },
    names: ['MUNGE_VERIFIER_URL'],
  },
  {
    name: 'no host binding on a listener that is not loopback',
    program: 'verifier',
    environment: { ...VERIFIER, VERIFIER_HOST: '0.0.0.0', ALLOW_PLAINTEXT: 'yes', MUNGE_HOST_BINDING: 'off' },
    names: ['MUNGE_HOST_BINDING'],
  },
  {
    name: 'a host map that is not named',
    program: 'verifier',
    environment: { ...VERIFIER, MUNGE_HOST_BINDING: 'map' },
    names: ['MUNGE_HOST_MAP_FILE'],
  },
  {
    name: 'a host map that is not there',
    program: 'verifier',
    environment: { ...VERIFIER, ...MAP },
    names: ['MUNGE_HOST_MAP_FILE'],
  },
  {
    name: 'a host map that is not there',
    program: 'gateway',
    environment: { ...GATEWAY, MUNGE_MODE: 'local', ...MAP },
    names: ['MUNGE_HOST_MAP_FILE'],
  },
  {
    name: 'a host map that is something else, its text untold',
    program: 'verifier',
    environment: { ...VERIFIER, ...MAP, MUNGE_HOST_MAP_FILE: '/etc/passwd' },
    names: ['MUNGE_HOST_MAP_FILE', 'line 1', 'line 2'],
  },
  {
    name: 'a host map without host binding by map',
    program: 'verifier',
    environment: { ...VERIFIER, MUNGE_HOST_MAP_FILE: `/nonexistent/${CANARY}` },
    names: ['MUNGE_HOST_BINDING', 'MUNGE_HOST_MAP_FILE'],
  },
  {
    name: 'a host map on a gateway whose verifier is remote',
    program: 'gateway',
    environment: { ...GATEWAY, ...REMOTE, ...MAP },
    names: ['MUNGE_HOST_BINDING', 'MUNGE_HOST_MAP_FILE'],
  },
  {
    name: 'proxy headers without trusted proxies',
    program: 'gateway',
    environment: { ...GATEWAY, CLIENT_ADDRESS_FROM: 'x-forwarded-for' },
    names: ['TRUSTED_PROXIES'],
  },
]

/** These are started too; what the others test is the settings' alone. */
const STARTED_NAMES = ['nothing set', 'many bad values at once']

function findProblems({ program, environment }: BadStart): readonly string[] {
  const settings =
    program === 'gateway'
      ? parseGatewaySettings({ env: environment, runtime: 'node', readKeyFile })
      : parseVerifierSettings(environment)
  return 'problems' in settings ? settings.problems : []
}

describe('bad settings', () => {
  for (const bad of BAD_STARTS) {
    test(`${bad.program}, ${bad.name}: all named, no value [CONTRACT Configuration]`, () => {
      const text = findProblems(bad).join('\n')
      expect(bad.names.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([])
      expect(text).not.toContain('canary')
      expect(text).not.toContain(GOOD_KEY)
    })
  }
})

describe('a bad start', () => {
  for (const bad of BAD_STARTS.filter(({ name }) => STARTED_NAMES.includes(name))) {
    const { program, name, environment } = bad
    test(`${program}, ${name}: exit code 2, and on stderr the problems alone [CONTRACT Configuration]`, async () => {
      const started = new Program(process.execPath, [CLI_PATH, program], { environment })
      const timer = setTimeout(() => void started.stop('SIGKILL'), TIME_LIMIT_MILLISECONDS)
      const code = await started.exit
      clearTimeout(timer)
      const stderr = findProblems(bad).map((problem) => `slurmgate ${program}: ${problem}\n`)
      expect([code, started.stdout, started.stderr]).toEqual([2, '', stderr.join('')])
    })
  }
})
