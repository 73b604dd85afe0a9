/** `VERIFIER_SIGNS` and what it needs: all problems at once, by name and never by value. */

import { expect, test } from 'vitest'
import type { Environment } from '../../src/environment.ts'
import { parseVerifierSettings } from '../../src/munge/verifier-settings.ts'

const PRIVATE = JSON.stringify({ kty: 'EC', crv: 'P-256', x: 'eA', y: 'eQ', d: '5ecret', kid: 'k1' })
const FILES: Readonly<Record<string, string>> = {
  '/seal': PRIVATE,
  '/slurm': 'k'.repeat(32),
  '/rows': Buffer.alloc(32, 3).toString('base64'),
  '/public': '{"kty":"EC"}',
}
const GOOD: Environment = {
  MUNGE_VERIFIER_KEY: Buffer.alloc(32, 1).toString('base64'),
  VERIFIER_SIGNS: 'yes',
  DATABASE_URL: 'postgres://signer@127.0.0.1/gate',
  SLURM_JWT_HS256_KEY_FILE: '/slurm',
  SIGNER_PRIVATE_KEY_FILE: '/seal',
  TOKEN_KEY_FILE: '/rows',
}

function parse(more: Environment) {
  return parseVerifierSettings({ ...GOOD, ...more }, (path) => {
    const text = FILES[path]
    return text === undefined ? 'cannot be read (ENOENT)' : new TextEncoder().encode(text)
  })
}

function problemsOf(more: Environment): string {
  const settings = parse(more)
  return 'problems' in settings ? settings.problems.join('\n') : ''
}

test('a signer signs for 120 s, one user 1,000 times a second, and claims in Postgres', () => {
  expect(parse({})).toMatchObject({
    signer: {
      lifespanSeconds: 120,
      requestsPerSecond: 1000,
      replayGuard: 'postgres',
      databaseUrl: GOOD['DATABASE_URL'],
      key: { algorithm: 'HS256' },
      decryptionKeys: [{ keyId: 'k1' }],
    },
  })
})

test('one that promises to be the only signer claims in its own memory', () => {
  expect(parse({ REPLAY_GUARD: 'local' })).toMatchObject({ signer: { replayGuard: 'local' } })
})

test('a verifier signs nothing unless it is told to, and needs nothing for it', () => {
  expect(parseVerifierSettings({ MUNGE_VERIFIER_KEY: GOOD['MUNGE_VERIFIER_KEY'] ?? '' })).toMatchObject({
    signer: null,
  })
})

test.each<[string, Environment]>([
  ['VERIFIER_SIGNS', { VERIFIER_SIGNS: 'true' }],
  ['SIGNER_PRIVATE_KEY_FILE', { VERIFIER_SIGNS: '' }],
  ['SIGNER_PRIVATE_KEY_FILE', { SIGNER_PRIVATE_KEY_FILE: '' }],
  ['SIGNER_PRIVATE_KEY_FILE', { SIGNER_PRIVATE_KEY_FILE: '/absent' }],
  ['SIGNER_PRIVATE_KEY_FILE', { SIGNER_PRIVATE_KEY_FILE: '/public' }],
  ['DATABASE_URL', { DATABASE_URL: '' }],
  ['SLURM_JWT_HS256_KEY_FILE', { SLURM_JWT_HS256_KEY_FILE: '' }],
  ['SLURM_JWT_HS256_KEY_FILE', { SLURM_JWT_HS256_KEY_FILE: '/absent' }],
  ['SLURM_JWT_LIFESPAN_SECONDS', { SLURM_JWT_LIFESPAN_SECONDS: '121' }],
  ['TOKEN_KEY_FILE', { TOKEN_KEY_FILE: '' }],
  ['TOKEN_KEY_FILE', { TOKEN_KEY_FILE: '/public' }],
  ['TOKENS_NOT_BEFORE', { TOKENS_NOT_BEFORE: 'yesterday' }],
  ['REPLAY_GUARD', { REPLAY_GUARD: 'off' }],
  ['SIGNER_RATE_LIMIT_PER_SECOND', { SIGNER_RATE_LIMIT_PER_SECOND: '-1' }],
])('%s for %o', (name, env) => {
  expect(problemsOf(env)).toMatch(new RegExp(`\\b${name}\\b`))
  expect(problemsOf(env)).not.toContain('5ecret')
})

test('everything that is missing at once', () => {
  const problems = problemsOf({ DATABASE_URL: '', SLURM_JWT_HS256_KEY_FILE: '', SIGNER_PRIVATE_KEY_FILE: '' })
  for (const name of ['DATABASE_URL', 'SLURM_JWT_HS256_KEY', 'SIGNER_PRIVATE_KEY_FILE']) {
    expect(problems).toContain(name)
  }
})
