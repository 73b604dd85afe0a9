/** The way from the edge into the cluster: https, a service credential on each hop, TLS to Postgres, consent to a key there. */

import { describe, expect, it } from 'vitest'
import type { Environment } from '../../src/environment.ts'
import { parseGatewaySettings, type GatewaySettings, type RuntimeName } from '../../src/settings.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')
const ACCESS = {
  slurmrestd: { SLURMRESTD_ACCESS_CLIENT_ID: 'one.access', SLURMRESTD_ACCESS_CLIENT_SECRET: 'first-secret' },
  verifier: {
    MUNGE_VERIFIER_ACCESS_CLIENT_ID: 'two.access',
    MUNGE_VERIFIER_ACCESS_CLIENT_SECRET: 'second-secret',
  },
} as const
/** A Worker that is complete but for the ways into the cluster. */
const WORKER: Environment = {
  DATABASE_URL: 'postgres://gate:secret@db.example/slurmgate?sslmode=verify-full',
  SLURMRESTD_URL: 'https://slurm.example',
  MUNGE_VERIFIER_URL: 'https://munge.example',
  MUNGE_VERIFIER_KEY: KEY,
  SLURM_JWT_HS256_KEY: KEY,
  SLURM_KEY_AT_EDGE: 'accept-cluster-root',
}
const COMPLETE: Environment = { ...WORKER, ...ACCESS.slurmrestd, ...ACCESS.verifier }

interface More {
  readonly certificates?: readonly string[]
  readonly hyperdriveUrl?: string
  readonly runtime?: RuntimeName
}

function parse(env: Environment, { certificates = [], hyperdriveUrl, runtime = 'workerd' }: More = {}) {
  return parseGatewaySettings({
    env,
    runtime,
    readKeyFile: null,
    certificates: new Set(certificates),
    hyperdriveUrl: hyperdriveUrl ?? null,
  })
}

function requireSettings(env: Environment, more?: More): GatewaySettings {
  const settings = parse(env, more)
  if ('problems' in settings) throw new Error(settings.problems.join('; '))
  return settings
}

function problemsOf(env: Environment, more?: More): readonly string[] {
  const settings = parse(env, more)
  return 'problems' in settings ? settings.problems : []
}

const [NEEDS_SLURMRESTD, NEEDS_VERIFIER] = ['SLURMRESTD', 'MUNGE_VERIFIER'].map(
  (hop) =>
    `${hop}_URL needs a service credential on Workers: ${hop}_ACCESS_CLIENT_ID and ${hop}_ACCESS_CLIENT_SECRET, or a binding ${hop}_MTLS`,
)

describe('a service credential', () => {
  it('is asked of every hop of a Worker, each by the names that help', () => {
    expect(problemsOf(WORKER)).toEqual([NEEDS_SLURMRESTD, NEEDS_VERIFIER])
    expect(problemsOf({ ...WORKER, ...ACCESS.slurmrestd })).toEqual([NEEDS_VERIFIER])
    expect(problemsOf({ ...WORKER, ...ACCESS.verifier })).toEqual([NEEDS_SLURMRESTD])
    expect(problemsOf(WORKER, { certificates: ['SLURMRESTD_MTLS'] })).toEqual([NEEDS_VERIFIER])
    expect(problemsOf(WORKER, { certificates: ['MUNGE_VERIFIER_MTLS'] })).toEqual([NEEDS_SLURMRESTD])
  })

  it('is asked of a verifier that signs only, too', () => {
    const jwk = { kty: 'EC', crv: 'P-256', x: 'eA', y: 'eQ', kid: 'k1' }
    const signedThere = { SLURM_JWT_HS256_KEY: '', SLURM_TOKEN_SIGNER: 'verifier', SIGNER_PUBLIC_KEY: JSON.stringify(jwk) }
    const env = { ...WORKER, ...ACCESS.slurmrestd, ...signedThere, MUNGE_MODE: 'off' }
    expect(problemsOf(env)).toEqual([NEEDS_VERIFIER])
    expect(problemsOf({ ...env, ...ACCESS.verifier })).toEqual([])
  }) // prettier-ignore

  it('goes as the two headers of Access, to its own hop and no other', () => {
    const { slurmrestd, verifier } = requireSettings(COMPLETE)
    expect(slurmrestd).toMatchObject({
      serviceHeaders: { 'cf-access-client-id': 'one.access', 'cf-access-client-secret': 'first-secret' },
    })
    expect(verifier).toMatchObject({
      serviceHeaders: { 'cf-access-client-id': 'two.access', 'cf-access-client-secret': 'second-secret' },
    })
    const certified = requireSettings(
      { ...WORKER, ...ACCESS.slurmrestd },
      { certificates: ['MUNGE_VERIFIER_MTLS'] },
    )
    expect(certified.verifier).toMatchObject({ serviceHeaders: {} })
  })

  it.each(['http://127.0.0.1:6820', 'http://[::1]:6820', 'http://localhost:6820', 'https://127.0.0.1:6820'])(
    'is not asked on loopback: %s',
    (SLURMRESTD_URL) => {
      expect(problemsOf({ ...WORKER, ...ACCESS.verifier, SLURMRESTD_URL })).toEqual([])
    },
  )

  it('does not make up for plain http, and a name that begins like loopback is none', () => {
    for (const SLURMRESTD_URL of ['http://slurm.example', 'http://127.0.0.1.example', 'http://localhost.example']) {
      const problems = problemsOf({ ...COMPLETE, SLURMRESTD_URL, ALLOW_PLAINTEXT: 'yes' })
      expect(problems).toContain('SLURMRESTD_URL must be https')
    }
    const SLURMRESTD_URL = 'https://localhost.example'
    expect(problemsOf({ ...WORKER, ...ACCESS.verifier, SLURMRESTD_URL })).toEqual([NEEDS_SLURMRESTD])
  }) // prettier-ignore

  it('of Access may be used on Node, never over plain http to another host', () => {
    const env = { ...COMPLETE, CLIENT_ADDRESS_FROM: 'none' }
    expect(requireSettings(env, { runtime: 'node' }).slurmrestd).toMatchObject({
      serviceHeaders: { 'cf-access-client-id': 'one.access' },
    })
    const plain = { ...env, SLURMRESTD_URL: 'http://slurm.example', ALLOW_PLAINTEXT: 'yes' }
    expect(problemsOf(plain, { runtime: 'node' })).toEqual([
      'SLURMRESTD_ACCESS_CLIENT_SECRET is sent over https only, and SLURMRESTD_URL is not',
    ])
    expect(problemsOf(WORKER, { runtime: 'node' })).toEqual([])
  })

  it.each(Object.keys({ ...ACCESS.slurmrestd, ...ACCESS.verifier }))(
    'is whole or none: without %s',
    (name) => {
      const [hop = ''] = /^[A-Z_]+(?=_ACCESS)/.exec(name) ?? []
      expect(problemsOf({ ...COMPLETE, [name]: ' ' })).toEqual([
        `${hop}_ACCESS_CLIENT_ID and ${hop}_ACCESS_CLIENT_SECRET go together`,
      ])
    },
  )

  it.each(['a b', 'a\r\nx: y', 'a\tb', 'ü', 'a\0', 'x'.repeat(513)])('that a header does not take is refused: %j', (value) => {
    for (const name of Object.keys({ ...ACCESS.slurmrestd, ...ACCESS.verifier })) {
      const problems = problemsOf({ ...COMPLETE, [name]: value })
      expect(problems).toEqual([`${name} must be visible ASCII without spaces, as a header takes it`])
    }
  }) // prettier-ignore

  it('as a certificate is a binding, not a variable, and is not shown over plain http', () => {
    for (const runtime of ['node', 'workerd'] as const) {
      expect(problemsOf({ ...COMPLETE, SLURMRESTD_MTLS: 'cert' }, { runtime })).toEqual([
        'SLURMRESTD_MTLS must be a binding of kind mtls_certificates, on a Worker',
      ])
    }
    const env = { ...COMPLETE, SLURMRESTD_URL: 'http://127.0.0.1:6820' }
    expect(problemsOf(env, { certificates: ['SLURMRESTD_MTLS'] })).toEqual([
      'SLURMRESTD_MTLS is shown over https only, and SLURMRESTD_URL is not',
    ])
  })
})

describe('Postgres from a Worker', () => {
  const FAR = 'postgres://gate:secret@db.example/slurmgate'
  const NEEDS_TLS =
    'DATABASE_URL must have sslmode=verify-full (or verify-ca, require) on Workers, off loopback'

  it.each([
    '',
    '?sslmode=disable',
    '?sslmode=prefer',
    '?sslmode=allow',
    '?sslmode=',
    '?sslmode=REQUIRE',
    '?ssl=true',
    '?SSLMODE=require',
    '?sslmode=require&sslmode=disable',
    '?application_name=sslmode=require',
  ])('has TLS that nobody between can take away, not %j', (query) => {
    expect(problemsOf({ ...COMPLETE, DATABASE_URL: FAR + query })).toEqual([NEEDS_TLS])
    expect(problemsOf({ ...COMPLETE, DATABASE_URL: FAR + query }, { runtime: 'node' })).toEqual([])
  })

  it.each([
    `${FAR}?sslmode=require`,
    `${FAR}?sslmode=verify-ca`,
    `${FAR}?sslmode=verify-full&application_name=x`,
    'postgres://gate@127.0.0.1/gate',
    'postgresql://gate@[::1]:5432/gate',
    'postgres://gate@localhost/gate?sslmode=disable',
  ])('is good with %s', (DATABASE_URL) => {
    expect(problemsOf({ ...COMPLETE, DATABASE_URL })).toEqual([])
  })

  it('is Hyperdrive’s where that is bound, and then no other', () => {
    const hyperdriveUrl = 'postgres://u:p@0123.hyperdrive.local:5432/slurmgate?sslmode=disable'
    const { DATABASE_URL, ...rest } = COMPLETE
    expect(requireSettings(rest, { hyperdriveUrl }).databaseUrl).toBe(hyperdriveUrl)
    expect(problemsOf({ ...rest, DATABASE_URL }, { hyperdriveUrl })).toEqual([
      'DATABASE_URL is set, and HYPERDRIVE is bound: which of them is meant?',
    ])
    expect(problemsOf(rest)).toEqual(['DATABASE_URL is required'])
  })
})

describe('Slurm’s key on a Worker', () => {
  const RISK =
    'on a Worker makes whoever gets its secrets root on the cluster: use SLURM_TOKEN_SIGNER=verifier, or say SLURM_KEY_AT_EDGE=accept-cluster-root'

  it.each(['', ' ', undefined])('stops the start without consent: %j', (SLURM_KEY_AT_EDGE) => {
    expect(problemsOf({ ...COMPLETE, SLURM_KEY_AT_EDGE })).toEqual([`SLURM_JWT_HS256_KEY ${RISK}`])
    expect(problemsOf({ ...COMPLETE, SLURM_KEY_AT_EDGE }, { runtime: 'node' })).toEqual([])
  })

  it.each(['SLURM_JWT_HS256_KEY_FILE', 'SLURM_JWT_RS256_JWK', 'SLURM_JWT_RS256_JWK_FILE'])(
    'is any of its variables: %s',
    (name) => {
      const env = { ...COMPLETE, SLURM_KEY_AT_EDGE: '', SLURM_JWT_HS256_KEY: '', [name]: 'x' }
      expect(problemsOf(env)).toContain(`${name} ${RISK}`)
    },
  )

  it('is taken with consent, in exactly those words', () => {
    expect(requireSettings(COMPLETE).signing.signer).toBe('gateway')
    expect(problemsOf({ ...COMPLETE, SLURM_KEY_AT_EDGE: 'yes' })).toEqual([
      'SLURM_KEY_AT_EDGE may say accept-cluster-root, or nothing',
    ])
  })
})

it('no problem has a value', () => {
  const names = [...Object.keys({ ...ACCESS.slurmrestd, ...ACCESS.verifier }), 'SLURMRESTD_MTLS', 'DATABASE_URL']
  const text = problemsOf({ ...WORKER, ...Object.fromEntries(names.map((name) => [name, 'canary 4711'])) }).join()
  expect(text).toContain('SLURMRESTD_ACCESS_CLIENT_SECRET')
  expect(text).not.toContain('canary')
}) // prettier-ignore
