/** Source: CONTRACT "Configuration": all problems at once, by name, never by value. */

import { expect, test } from 'vitest'
import type { Environment } from '../../src/environment.ts'
import { parseVerifierSettings } from '../../src/munge/verifier-settings.ts'

const KEY = Buffer.alloc(32, 1).toString('base64')
const parse = (env: Environment) => parseVerifierSettings({ MUNGE_VERIFIER_KEY: KEY, ...env })

function findProblems(env: Environment): readonly string[] {
  const settings = parse(env)
  return 'problems' in settings ? settings.problems : []
}

test('with nothing but the key, the defaults are the strict ones', () => {
  expect(parse({})).toEqual({
    policy: {
      socketPath: '/run/munge/munge.socket.2',
      maxTtlSeconds: 5,
      minUid: 1000,
      deniedUsers: new Set(['root', 'slurm', 'slurmrest', 'munge', 'nobody']),
      hostBinding: 'strict',
      hostMapFile: null,
    },
    keys: [new Uint8Array(32).fill(1)],
    listener: { host: '127.0.0.1', port: 8081, isLoopback: true, tls: null },
    questionsPerSecond: 20_000,
    signer: null,
    logLevel: 'info',
  })
})

test('an empty variable is an unset one: no list of denied users is empty by accident', () => {
  expect(parse({ SLURM_DENIED_USERS: '', MUNGE_MIN_UID: ' ' })).toEqual(parse({}))
})

test('every problem is reported at once, by name, never by value', () => {
  const problems = findProblems({
    MUNGE_SOCKET: 'relative-5ecret',
    MUNGE_MAX_TTL_SECONDS: '300',
    MUNGE_MIN_UID: '0',
    SLURM_DENIED_USERS: 'a,,5ecret b',
    MUNGE_HOST_BINDING: '5ecret',
    MUNGE_VERIFIER_KEY: '5ecret',
    VERIFIER_HOST: '10.0.0.5',
    VERIFIER_PORT: '99999',
    VERIFIER_RATE_LIMIT_PER_SECOND: '5ecret',
    TLS_CERT_FILE: '/5ecret',
    LOG_LEVEL: '5ecret',
  })
  for (const name of [
    'MUNGE_SOCKET',
    'MUNGE_MAX_TTL_SECONDS',
    'MUNGE_MIN_UID',
    'SLURM_DENIED_USERS',
    'MUNGE_HOST_BINDING',
    'MUNGE_VERIFIER_KEY',
    'VERIFIER_HOST',
    'VERIFIER_PORT',
    'VERIFIER_RATE_LIMIT_PER_SECOND',
    'TLS_KEY_FILE',
    'LOG_LEVEL',
  ]) {
    expect(problems.filter((problem) => problem.includes(name)).length, name).toBeGreaterThan(0)
  }
  expect(problems.join('\n')).not.toContain('5ecret')
  expect(problems.join('\n')).not.toContain('10.0.0.5')
})

test.each([
  ['a maximum TTL over 5 s', { MUNGE_MAX_TTL_SECONDS: '6' }, 'MUNGE_MAX_TTL_SECONDS'],
  ['a maximum TTL of 0', { MUNGE_MAX_TTL_SECONDS: '0' }, 'MUNGE_MAX_TTL_SECONDS'],
  ['a number with a unit', { MUNGE_MAX_TTL_SECONDS: '5s' }, 'MUNGE_MAX_TTL_SECONDS'],
  ['a negative number', { MUNGE_MIN_UID: '-1' }, 'MUNGE_MIN_UID'],
  ['a hexadecimal number', { MUNGE_MIN_UID: '0x400' }, 'MUNGE_MIN_UID'],
  ['a negative rate', { VERIFIER_RATE_LIMIT_PER_SECOND: '-1' }, 'VERIFIER_RATE_LIMIT_PER_SECOND'],
  ['a broken rate', { VERIFIER_RATE_LIMIT_PER_SECOND: '0.5' }, 'VERIFIER_RATE_LIMIT_PER_SECOND'],
  ['a boundless rate', { VERIFIER_RATE_LIMIT_PER_SECOND: '1000001' }, 'VERIFIER_RATE_LIMIT_PER_SECOND'],
  ['no key', { MUNGE_VERIFIER_KEY: undefined }, 'MUNGE_VERIFIER_KEY'],
  ['a short key', { MUNGE_VERIFIER_KEY: Buffer.alloc(31).toString('base64') }, 'MUNGE_VERIFIER_KEY'],
  ['a good key beside a bad one', { MUNGE_VERIFIER_KEY: `${KEY},x` }, 'MUNGE_VERIFIER_KEY'],
  ['too many keys', { MUNGE_VERIFIER_KEY: Array(5).fill(KEY).join(',') }, 'MUNGE_VERIFIER_KEY'],
  ['host binding by map without a file', { MUNGE_HOST_BINDING: 'map' }, 'MUNGE_HOST_MAP_FILE is required'],
  ['a map file without a map', { MUNGE_HOST_MAP_FILE: '/m' }, 'MUNGE_HOST_MAP_FILE is read only with'],
  [
    'a map file with strict',
    { MUNGE_HOST_BINDING: 'strict', MUNGE_HOST_MAP_FILE: '/m' },
    'MUNGE_HOST_MAP_FILE is read only with',
  ],
  [
    'host binding off, not on loopback',
    { MUNGE_HOST_BINDING: 'off', VERIFIER_HOST: '0.0.0.0', ALLOW_PLAINTEXT: 'yes' },
    'MUNGE_HOST_BINDING=off',
  ],
  ['plaintext off loopback', { VERIFIER_HOST: '0.0.0.0' }, 'VERIFIER_HOST is not loopback'],
  ['plaintext on a name', { VERIFIER_HOST: 'verifier.example' }, 'VERIFIER_HOST is not loopback'],
  ['plaintext on [::]', { VERIFIER_HOST: '::' }, 'VERIFIER_HOST is not loopback'],
  ['a TLS key without certificate', { TLS_KEY_FILE: '/k' }, 'TLS_CERT_FILE and TLS_KEY_FILE'],
  ['plaintext allowed by another word', { ALLOW_PLAINTEXT: 'true' }, 'ALLOW_PLAINTEXT'],
])('%s stops the start', (_what, env, problem) => {
  const problems = findProblems(env)
  expect(problems.length).toBe(1)
  expect(problems[0]).toContain(problem)
})

test.each([
  [{ MUNGE_MAX_TTL_SECONDS: '1' }],
  [{ MUNGE_HOST_BINDING: 'off' }],
  [{ VERIFIER_RATE_LIMIT_PER_SECOND: '0' }],
  [{ MUNGE_HOST_BINDING: 'map', MUNGE_HOST_MAP_FILE: '/etc/slurmgate/hosts.map' }],
  [{ VERIFIER_HOST: '::1', MUNGE_HOST_BINDING: 'off' }],
  [{ VERIFIER_HOST: '0.0.0.0', ALLOW_PLAINTEXT: 'yes' }],
  [{ VERIFIER_HOST: '0.0.0.0', TLS_CERT_FILE: '/c', TLS_KEY_FILE: '/k' }],
  [{ MUNGE_VERIFIER_KEY: `${KEY}, ${Buffer.alloc(64, 2).toString('base64')}` }],
  [{ SLURM_DENIED_USERS: 'root, slurm,svc-slurm@corp.example' }],
])('%o is accepted', (env) => {
  expect(findProblems(env)).toEqual([])
})
