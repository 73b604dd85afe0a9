/** CONTRACT "Configuration": defaults, every rule, all problems at once, by name and never by value. */

import { describe, expect, it } from 'vitest'
import type { Environment } from '../../src/environment.ts'
import { parseGatewaySettings, type GatewaySettings, type RuntimeName } from '../../src/settings.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')
const GOOD: Environment = {
  DATABASE_URL: 'postgres://gate:secret@db.example/slurmgate',
  SLURMRESTD_URL: 'http://127.0.0.1:6820',
  SLURM_JWT_HS256_KEY: KEY,
}
const VERIFIER: Environment = { MUNGE_VERIFIER_URL: 'https://munge.example:8081', MUNGE_VERIFIER_KEY: KEY }

/** What a Worker needs beside: consent, and TLS to Postgres. */
const AT_EDGE: Environment = {
  SLURM_KEY_AT_EDGE: 'accept-cluster-root',
  DATABASE_URL: 'postgres://gate:secret@db.example/slurmgate?sslmode=verify-full',
}
const VERIFIER_ACCESS: Environment = {
  MUNGE_VERIFIER_ACCESS_CLIENT_ID: 'b.access',
  MUNGE_VERIFIER_ACCESS_CLIENT_SECRET: 's',
}
const PUBLIC_JWK = { kty: 'EC', crv: 'P-256', x: 'eA', y: 'eQ', kid: 'k1' }
const SIGNED_THERE: Environment = {
  ...VERIFIER,
  SLURM_JWT_HS256_KEY: '',
  SLURM_TOKEN_SIGNER: 'verifier',
  SIGNER_PUBLIC_KEY: JSON.stringify(PUBLIC_JWK),
}

function parse(env: Environment, runtime: RuntimeName = 'node') {
  const readKeyFile = (path: string) =>
    path === '/good' ? Uint8Array.from(Buffer.alloc(32, 7)) : 'can be read by others'
  return parseGatewaySettings({ env, runtime, readKeyFile: runtime === 'node' ? readKeyFile : null })
}

function requireSettings(more: Environment = {}, runtime: RuntimeName = 'node'): GatewaySettings {
  const settings = parse({ ...GOOD, ...(runtime === 'workerd' ? AT_EDGE : {}), ...more }, runtime)
  if ('problems' in settings) throw new Error(settings.problems.join('; '))
  return settings
}

function problemsOf(more: Environment = {}, runtime: RuntimeName = 'node'): readonly string[] {
  const settings = parse({ ...GOOD, ...(runtime === 'workerd' ? AT_EDGE : {}), ...more }, runtime)
  return 'problems' in settings ? settings.problems : []
}

describe('defaults', () => {
  it('are the contract’s on Node', () => {
    expect(requireSettings()).toMatchObject({
      signing: { signer: 'gateway', lifespanSeconds: 120 },
      verifier: null,
      deniedUsers: new Set(['root', 'slurm', 'slurmrest', 'munge', 'nobody']),
      versions: 'auto',
      munge: { mode: 'local', policy: { socketPath: '/run/munge/munge.socket.2', maxTtlSeconds: 5, minUid: 1000, hostBinding: 'strict' } },
      replayGuard: 'postgres',
      clientAddress: { source: 'socket', trustedProxies: [] },
      bearerUserNames: new Set(['palmapi_bearer']),
      areAdminScopesOn: false,
      listener: { host: '127.0.0.1', port: 8080, isLoopback: true, tls: null },
      basePath: '/',
      bodyMaxBytes: 8 * 1024 * 1024,
      upstreamTimeoutMilliseconds: 60_000,
      slotLimits: { all: 16, accounting: 4, perCaller: 4 },
      rateLimitPerSecond: 0,
      logLevel: 'info',
    })
  }) // prettier-ignore

  it('are the contract’s on Workers', () => {
    const expected = {
      rateLimitPerSecond: 0,
      slotLimits: { all: 16, accounting: 4, perCaller: 4 },
      munge: { mode: 'off' },
      clientAddress: { source: 'none' },
      listener: null,
      areAdminScopesOn: false,
    }
    expect(requireSettings({}, 'workerd')).toMatchObject(expected)
  })

  it('stand for empty values too', () => {
    const names = [
      'PORT',
      'HOST',
      'LOG_LEVEL',
      'MUNGE_MODE',
      'TRUSTED_PROXIES',
      'SLURM_API_VERSIONS',
      'ADMIN_SCOPES',
      'PUBLIC_BASE_PATH',
    ]
    const empty = Object.fromEntries(names.map((name) => [name, ' ']))
    expect(requireSettings(empty)).toEqual(requireSettings())
  })

  it('MUNGE is remote where the verifier’s URL is set', () => {
    expect(requireSettings(VERIFIER).munge.mode).toBe('remote')
    expect(requireSettings({ ...VERIFIER, ...VERIFIER_ACCESS }, 'workerd').munge.mode).toBe('remote')
  })
})

describe('good values', () => {
  it.each<[Environment, object]>([
    [{ SLURMRESTD_URL: 'unix:/run/slurmrestd.sock' }, { slurmrestd: { kind: 'unix', path: '/run/slurmrestd.sock' } }],
    [{ SLURM_API_VERSIONS: 'v0.0.42, v0.0.40,v0.0.42' }, { versions: [40, 42] }],
    [{ SLURM_JWT_LIFESPAN_SECONDS: '30' }, { signing: { lifespanSeconds: 30 } }],
    [{ SLURM_DENIED_USERS: 'admin' }, { deniedUsers: new Set(['root', 'slurm', 'slurmrest', 'munge', 'nobody', 'admin']) }],
    [{ BEARER_USER_NAMES: 'a, b' }, { bearerUserNames: new Set(['a', 'b']) }],
    [{ HOST: 'unix:/run/gate.sock' }, { listener: { unixPath: '/run/gate.sock' } }],
    [{ HOST: '::1', PORT: '9000' }, { listener: { host: '::1', port: 9000, isLoopback: true, tls: null } }],
    [{ HOST: '0.0.0.0', TLS_CERT_FILE: '/c', TLS_KEY_FILE: '/k' }, { listener: { isLoopback: false, tls: { certFile: '/c', keyFile: '/k' } } }],
    [{ HOST: '0.0.0.0', ALLOW_PLAINTEXT: 'yes' }, { listener: { isLoopback: false, tls: null } }],
    [{ SLURMRESTD_URL: 'http://slurm.example:6820', ALLOW_PLAINTEXT: 'yes' }, { slurmrestd: { kind: 'url' } }],
    [{ CLIENT_ADDRESS_FROM: 'x-forwarded-for', TRUSTED_PROXIES: '10.0.0.0/8, ::1' }, { clientAddress: { source: 'x-forwarded-for' } }],
    [{ PUBLIC_BASE_PATH: '/slurm-api/' }, { basePath: '/slurm-api' }],
    [{ MUNGE_MODE: 'off' }, { munge: { mode: 'off' } }],
    [{ MUNGE_MAX_TTL_SECONDS: '2', MUNGE_HOST_BINDING: 'off' }, { munge: { policy: { maxTtlSeconds: 2, hostBinding: 'off' } } }],
    [{ MUNGE_REQUIRE_BINDING: 'off' }, { areWritesBound: false }],
    [{ SLURM_KEY_AT_EDGE: '' }, { signing: { signer: 'gateway' } }],
    [{ CLIENT_ADDRESS_FROM: 'cf-connecting-ip', TRUSTED_PROXIES: '127.0.0.1', MUNGE_MODE: 'off' }, { munge: { mode: 'off' } }],
    [
      { CLIENT_ADDRESS_FROM: 'cf-connecting-ip', TRUSTED_PROXIES: '127.0.0.1', MUNGE_HOST_BINDING: 'map', MUNGE_HOST_MAP_FILE: '/m' },
      { munge: { policy: { hostBinding: 'map' } } },
    ],
    [SIGNED_THERE, { signing: { signer: 'verifier', encryptionKey: { keyId: 'k1' } }, munge: { mode: 'remote' } }],
    [{ ...SIGNED_THERE, MUNGE_MODE: 'off' }, { munge: { mode: 'off' }, verifier: { url: new URL('https://munge.example:8081') } }],
    [{ ...VERIFIER, MUNGE_REQUIRE_BINDING: 'writes' }, { munge: { mode: 'remote' }, areWritesBound: true }],
    [{ MUNGE_HOST_BINDING: 'map', MUNGE_HOST_MAP_FILE: '/m' }, { munge: { policy: { hostBinding: 'map', hostMapFile: '/m' } } }],
    [{ RATE_LIMIT_PER_SECOND: '1000000' }, { rateLimitPerSecond: 1_000_000 }],
    [{ ADMIN_SCOPES: 'on', REPLAY_GUARD: 'local' }, { areAdminScopesOn: true, replayGuard: 'local' }],
    [{ SLURM_JWT_HS256_KEY: '', SLURM_JWT_HS256_KEY_FILE: '/good' }, { signing: { key: { algorithm: 'HS256' } } }],
    [{ ...VERIFIER, MUNGE_VERIFIER_KEY: `${KEY},${Buffer.alloc(33, 8).toString('base64')}` }, { munge: { mode: 'remote' } }],
  ])('%o', (env, expected) => {
    expect(requireSettings(env)).toMatchObject(expected)
  }) // prettier-ignore
})

it('root is denied whatever SLURM_DENIED_USERS says: a Slurm token for root impersonates anyone (facts/slurm.md 1)', () => {
  for (const SLURM_DENIED_USERS of ['admin', 'slurm,nobody']) {
    expect(requireSettings({ SLURM_DENIED_USERS }).deniedUsers).toContain('root')
  }
})

type Bad = [name: string, env: Environment, runtime?: RuntimeName]

describe('a problem names', () => {
  it.each<Bad>([
    ['DATABASE_URL', { DATABASE_URL: '' }],
    ['DATABASE_URL', { DATABASE_URL: 'mysql://db/x' }],
    ['SLURMRESTD_URL', { SLURMRESTD_URL: undefined }],
    ['SLURMRESTD_URL', { SLURMRESTD_URL: 'ftp://127.0.0.1' }],
    ['SLURMRESTD_URL', { SLURMRESTD_URL: 'http://127.0.0.1:6820/slurm' }],
    ['SLURMRESTD_URL', { SLURMRESTD_URL: 'http://user:pass@127.0.0.1:6820' }],
    ['SLURMRESTD_URL', { SLURMRESTD_URL: 'http://slurm.example:6820' }],
    ['SLURMRESTD_URL', { SLURMRESTD_URL: 'http://127.0.0.1.example:6820' }],
    ['SLURMRESTD_URL', { SLURMRESTD_URL: 'unix:relative' }],
    ['SLURMRESTD_URL', { SLURMRESTD_URL: 'unix:/run/x' }, 'workerd'],
    ['SLURMRESTD_URL', { SLURMRESTD_URL: 'http://slurm.example:6820', ALLOW_PLAINTEXT: 'yes' }, 'workerd'],
    ['SLURM_JWT_HS256_KEY', { SLURM_JWT_HS256_KEY: undefined }],
    ['SLURM_JWT_RS256_JWK', { SLURM_JWT_RS256_JWK: '{}' }],
    ['SLURM_JWT_HS256_KEY', { SLURM_JWT_HS256_KEY: 'not base64!' }],
    ['SLURM_JWT_HS256_KEY', { SLURM_JWT_HS256_KEY: 'c2hvcnQ=' }],
    ['SLURM_JWT_HS256_KEY_FILE', { SLURM_JWT_HS256_KEY: '', SLURM_JWT_HS256_KEY_FILE: '/open' }],
    ['SLURM_JWT_HS256_KEY_FILE', { SLURM_JWT_HS256_KEY: '', SLURM_JWT_HS256_KEY_FILE: '/good' }, 'workerd'],
    ...['{', '[]', '{"kty":"oct","k":"x"}', '{"kty":"RSA","kid":"k","n":"AQAB"}', '{"kty":"RSA","d":"x","n":"AQAB"}', '{"kty":"RSA","d":"x","kid":"k","n":"AQAB"}'].map(
      (jwk): Bad => ['SLURM_JWT_RS256_JWK', { SLURM_JWT_HS256_KEY: '', SLURM_JWT_RS256_JWK: jwk }],
    ),
    ...['29', '601', '1e2', '-1', '60.0', '0x3c', 'x'].map((value): Bad => ['SLURM_JWT_LIFESPAN_SECONDS', { SLURM_JWT_LIFESPAN_SECONDS: value }]),
    ['SLURM_DENIED_USERS', { SLURM_DENIED_USERS: 'root,,x' }],
    ...['v0.0.35', 'v0.0.46', 'v1', '42', 'v0.0.40;v0.0.41', 'AUTO'].map((value): Bad => ['SLURM_API_VERSIONS', { SLURM_API_VERSIONS: value }]),
    ['MUNGE_MODE', { MUNGE_MODE: 'Local' }],
    ['SLURM_TOKEN_SIGNER', { SLURM_TOKEN_SIGNER: 'Verifier' }],
    ...['yes', 'accept', 'Accept-cluster-root'].map((value): Bad => ['SLURM_KEY_AT_EDGE', { SLURM_KEY_AT_EDGE: value }, 'workerd']),
    ...['strict', 'off'].map((binding): Bad => ['MUNGE_HOST_BINDING', { CLIENT_ADDRESS_FROM: 'cf-connecting-ip', TRUSTED_PROXIES: '127.0.0.1', MUNGE_HOST_BINDING: binding }]),
    ['SIGNER_PUBLIC_KEY', { SIGNER_PUBLIC_KEY: JSON.stringify(PUBLIC_JWK) }],
    ...['', '{', '[]', '{"kty":"RSA","kid":"k"}', JSON.stringify({ ...PUBLIC_JWK, kid: '' }), JSON.stringify({ ...PUBLIC_JWK, crv: 'P-384' }), JSON.stringify({ ...PUBLIC_JWK, d: 'eA' })].map(
      (text): Bad => ['SIGNER_PUBLIC_KEY', { ...SIGNED_THERE, SIGNER_PUBLIC_KEY: text }],
    ),
    ['SLURM_JWT_HS256_KEY', { ...SIGNED_THERE, SLURM_JWT_HS256_KEY: KEY }],
    ['SLURM_JWT_RS256_JWK_FILE', { ...SIGNED_THERE, SLURM_JWT_RS256_JWK_FILE: '/good' }, 'workerd'],
    ['SLURM_JWT_LIFESPAN_SECONDS', { ...SIGNED_THERE, SLURM_JWT_LIFESPAN_SECONDS: '60' }],
    ['MUNGE_VERIFIER_URL', { ...SIGNED_THERE, MUNGE_VERIFIER_URL: '' }],
    ['MUNGE_VERIFIER_URL', { ...SIGNED_THERE, MUNGE_VERIFIER_URL: '', MUNGE_MODE: 'off' }],
    ['MUNGE_VERIFIER_KEY', { ...SIGNED_THERE, MUNGE_VERIFIER_KEY: '', MUNGE_MODE: 'off' }],
    ['MUNGE_MODE', { ...SIGNED_THERE, MUNGE_MODE: 'local' }],
    ['MUNGE_MODE', { MUNGE_MODE: 'local' }, 'workerd'],
    ['MUNGE_VERIFIER_URL', { MUNGE_MODE: 'remote', MUNGE_VERIFIER_KEY: KEY }],
    ['MUNGE_VERIFIER_URL', { ...VERIFIER, MUNGE_VERIFIER_URL: 'http://munge.example:8081' }],
    ['MUNGE_VERIFIER_URL', { ...VERIFIER, MUNGE_VERIFIER_URL: 'http://munge.example:8081', ALLOW_PLAINTEXT: 'yes' }, 'workerd'],
    ['MUNGE_VERIFIER_KEY', { ...VERIFIER, MUNGE_VERIFIER_KEY: '' }],
    ['MUNGE_VERIFIER_KEY', { ...VERIFIER, MUNGE_VERIFIER_KEY: Buffer.alloc(31).toString('base64') }],
    ['MUNGE_VERIFIER_KEY', { ...VERIFIER, MUNGE_VERIFIER_KEY: `${KEY},x` }],
    ...['MUNGE_SOCKET', 'MUNGE_MAX_TTL_SECONDS', 'MUNGE_MIN_UID', 'MUNGE_HOST_BINDING', 'MUNGE_HOST_MAP_FILE'].map((name): Bad => [name, { ...VERIFIER, [name]: '5' }]),
    ['MUNGE_MAX_TTL_SECONDS', { MUNGE_MAX_TTL_SECONDS: '6' }],
    ['MUNGE_MIN_UID', { MUNGE_MIN_UID: '0' }],
    ['MUNGE_HOST_BINDING', { MUNGE_HOST_BINDING: 'off', HOST: '0.0.0.0', ALLOW_PLAINTEXT: 'yes' }],
    ...['on', 'yes', 'all', 'Writes'].map((value): Bad => ['MUNGE_REQUIRE_BINDING', { MUNGE_REQUIRE_BINDING: value }]),
    ['MUNGE_HOST_MAP_FILE', { MUNGE_HOST_BINDING: 'map' }],
    ['MUNGE_HOST_MAP_FILE', { MUNGE_HOST_MAP_FILE: '/m' }],
    ['MUNGE_HOST_BINDING', { ...VERIFIER, MUNGE_HOST_BINDING: 'map', MUNGE_HOST_MAP_FILE: '/m' }],
    ['REPLAY_GUARD', { REPLAY_GUARD: 'off' }],
    ['REPLAY_GUARD', { REPLAY_GUARD: 'local' }, 'workerd'],
    // The signer claims: it would promise something of a guard that nobody asks.
    ['REPLAY_GUARD', { ...SIGNED_THERE, REPLAY_GUARD: 'local' }],
    ['CLIENT_ADDRESS_FROM', { CLIENT_ADDRESS_FROM: 'X-Real-IP' }],
    ['CLIENT_ADDRESS_FROM', { CLIENT_ADDRESS_FROM: 'socket' }, 'workerd'],
    ['TRUSTED_PROXIES', { CLIENT_ADDRESS_FROM: 'x-forwarded-for' }],
    ['TRUSTED_PROXIES', { TRUSTED_PROXIES: '10.0.0.0/33' }],
    ['BEARER_USER_NAMES', { BEARER_USER_NAMES: 'a b' }],
    ['ADMIN_SCOPES', { ADMIN_SCOPES: 'yes' }],
    ['ADMIN_SCOPES', { ADMIN_SCOPES: 'on' }, 'workerd'],
    ['HOST', { HOST: '0.0.0.0' }],
    ['HOST', { HOST: 'unix:relative' }],
    ['HOST', { HOST: 'a b' }],
    ...['0', '65536', 'x'].map((value): Bad => ['PORT', { PORT: value }]),
    ['TLS_KEY_FILE', { TLS_CERT_FILE: '/c' }],
    ['ALLOW_PLAINTEXT', { ALLOW_PLAINTEXT: 'true' }],
    ...['x', '/a/../b', '/a b', '//a', '/a?x', '/a%2fb'].map((value): Bad => ['PUBLIC_BASE_PATH', { PUBLIC_BASE_PATH: value }]),
    ['REQUEST_BODY_MAX_BYTES', { REQUEST_BODY_MAX_BYTES: '8MiB' }],
    ...['-1', '0.5', '1e3', '10/s', '1000001', 'off'].flatMap((value): Bad[] => [
      ['RATE_LIMIT_PER_SECOND', { RATE_LIMIT_PER_SECOND: value }],
      ['RATE_LIMIT_PER_SECOND', { RATE_LIMIT_PER_SECOND: value }, 'workerd'],
    ]),
    ['UPSTREAM_TIMEOUT_SECONDS', { UPSTREAM_TIMEOUT_SECONDS: '0' }],
    ['UPSTREAM_MAX_CONCURRENCY', { UPSTREAM_MAX_CONCURRENCY: '124' }],
    ['UPSTREAM_MAX_CONCURRENCY_SLURMDB', { UPSTREAM_MAX_CONCURRENCY: '3', UPSTREAM_MAX_CONCURRENCY_SLURMDB: '4' }],
    ['UPSTREAM_MAX_CONCURRENCY_PER_CALLER', { UPSTREAM_MAX_CONCURRENCY_PER_CALLER: '17' }],
    ['CLIENT_STALL_SECONDS', { CLIENT_STALL_SECONDS: '0' }],
    ...['-1', 'x', 'jobs', 'jobs=', 'jobs=x', 'cats=1', '1,2', 'jobs=1,', '3601', 'jobs=1;nodes=2'].map((value): Bad => ['CACHE_TTL_SECONDS', { CACHE_TTL_SECONDS: value }]),
    ['CACHE_STALE_SECONDS', { CACHE_STALE_SECONDS: '1d' }],
    ['CACHE_MAX_BYTES', { CACHE_MAX_BYTES: '256M' }],
    ['CACHE_ENTRY_MAX_BYTES', { CACHE_MAX_BYTES: '1000', CACHE_ENTRY_MAX_BYTES: '1001' }],
    ['CACHE_MAX_BYTES', { CACHE_MAX_BYTES: '68719476736' }, 'workerd'],
    ['LOG_LEVEL', { LOG_LEVEL: 'INFO' }],
  ])('%s for %o', (name, env, runtime) => {
    expect(problemsOf(env, runtime).join('\n')).toMatch(new RegExp(`\\b${name}\\b`))
  }) // prettier-ignore

  it('everything that is wrong at once, and no value: not of a key, not of a password, not of a typing error', () => {
    const names = [
      'DATABASE_URL', 'SLURMRESTD_URL', 'SLURM_JWT_HS256_KEY', 'SLURM_JWT_LIFESPAN_SECONDS', 'SLURM_DENIED_USERS', 'SLURM_API_VERSIONS', 'MUNGE_MODE', 'MUNGE_VERIFIER_URL',
      'MUNGE_REQUIRE_BINDING', 'REPLAY_GUARD', 'CLIENT_ADDRESS_FROM', 'TRUSTED_PROXIES', 'BEARER_USER_NAMES', 'ADMIN_SCOPES', 'HOST', 'PORT', 'ALLOW_PLAINTEXT', 'PUBLIC_BASE_PATH',
      'REQUEST_BODY_MAX_BYTES', 'RATE_LIMIT_PER_SECOND', 'UPSTREAM_TIMEOUT_SECONDS', 'UPSTREAM_MAX_CONCURRENCY', 'LOG_LEVEL',
    ] // prettier-ignore
    for (const runtime of ['node', 'workerd'] as const) {
      const problems = problemsOf(Object.fromEntries(names.map((name) => [name, 'canary <4711>'])), runtime)
      const text = problems.join('\n')
      const unread = runtime === 'workerd' ? ['HOST', 'PORT', 'ALLOW_PLAINTEXT'] : []
      for (const name of names.filter((candidate) => !unread.includes(candidate)))
        expect(text).toContain(name)
      expect(text).not.toContain('canary')
      expect(new Set(problems).size).toBe(problems.length)
    }
  })

  it.each(['SLURM_JWT_HS256_KEY', 'SLURM_JWT_RS256_JWK', 'MUNGE_VERIFIER_KEY', 'SLURM_JWT_HS256_KEY_FILE'])('%s without its value', (name) => {
    const problems = problemsOf({ ...VERIFIER, SLURM_JWT_HS256_KEY: '', [name]: '"canary' })
    expect(problems.length).toBeGreaterThan(0)
    expect(problems.join()).not.toContain('canary')
  }) // prettier-ignore
})
