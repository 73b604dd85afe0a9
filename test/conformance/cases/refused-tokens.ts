/** Tokens that are no API token, or none any more, and how each is refused. */

import type { ConformanceCase } from '../conformance-case.ts'
import { buildRefused, type RefusedForm } from './refused-credentials.ts'
import { TOKEN_FORMS } from './token-forms.ts'

const REFUSED_TOKENS: readonly RefusedForm[] = [
  {
    name: 'a token of 5,000 characters',
    rules: ['token_malformed'],
    source: 'CONTRACT API tokens',
    headers: () => [['Authorization', `Bearer ${'x'.repeat(5000)}`]],
  },
  {
    name: 'a token of 31 characters',
    rules: ['token_malformed'],
    source: 'CONTRACT API tokens',
    headers: () => [['Authorization', `Bearer ${'x'.repeat(31)}`]],
  },
  ...['"', ':', '(', '%', '\\', '=x'].map((character): RefusedForm => ({
    name: `a token with the character ${character}`,
    rules: ['token_malformed'],
    source: 'RFC 6750 section 2.1',
    headers: () => [['X-Slurm-User-Token', `${'x'.repeat(20)}${character}${'x'.repeat(20)}`]],
  })),
  {
    // Repeated headers are joined with a comma by some runtimes: it may count as two.
    name: 'a token with a comma',
    rules: ['token_malformed', 'credential_repeated'],
    source: 'runtimes.md: repeated headers are joined with a comma',
    headers: () => [['X-Slurm-User-Token', `${'x'.repeat(20)},${'x'.repeat(20)}`]],
  },
  {
    name: 'a token with a space inside',
    rules: ['token_malformed'],
    source: 'RFC 6750 section 2.1',
    headers: () => [['Authorization', `Bearer ${'x'.repeat(20)} ${'x'.repeat(20)}`]],
  },
  {
    name: 'an unknown token in the form of an imported one',
    rules: ['token_unknown'],
    headers: () => [['Authorization', `Bearer ${'x'.repeat(40)}`]],
  },
  ...[4, 25, 46, 52].map((at): RefusedForm => ({
    name: `a token with character ${String(at)} changed`,
    rules: ['token_malformed'],
    source: 'CONTRACT API tokens',
    headers: (bench) => [['Authorization', `Bearer ${changeCharacter(bench.tokens.free.text, at)}`]],
  })),
  ...[1, 10, 49].map((missing): RefusedForm => ({
    name: `a token without its last ${String(missing)} characters`,
    rules: ['token_malformed'],
    headers: (bench) => [['Authorization', `Bearer ${bench.tokens.free.text.slice(0, -missing)}`]],
  })),
  {
    name: 'a token with a character too many',
    rules: ['token_malformed'],
    headers: (bench) => [['Authorization', `Bearer ${bench.tokens.free.text}A`]],
  },
  {
    name: 'a token in jwt format with another secret',
    rules: ['token_unknown'],
    source: 'CONTRACT API tokens',
    headers: (bench) => [['Authorization', `Bearer ${changeCharacter(bench.tokens.jwt.text, -10)}`]],
  },
  {
    name: 'a token in jwt format with other claims',
    rules: ['token_unknown'],
    source: 'CONTRACT API tokens',
    headers: (bench) => [['Authorization', `Bearer ${replaceClaims(bench.tokens.jwt.text)}`]],
  },
  {
    name: 'a token in jwt format without its secret',
    rules: ['token_malformed', 'token_unknown'],
    headers: (bench) => [['Authorization', `Bearer ${bench.tokens.jwt.text.replace(/[^.]*$/, '')}`]],
  },
  { name: 'an expired token', rules: ['token_expired'], headers: (bench) => [bench.bearer('expired')] },
  { name: 'a revoked token', rules: ['token_revoked'], headers: (bench) => [bench.bearer('revoked')] },
  {
    name: 'a token of a denied Slurm user',
    rules: ['token_user_denied'],
    source: 'CONTRACT SLURM_DENIED_USERS',
    headers: (bench) => [bench.bearer('denied')],
  },
  ...TOKEN_FORMS.map(([form, build]): RefusedForm => ({
    name: `a genuine Slurm JWT as ${form}`,
    rules: ['slurm_token_presented'],
    headers: (bench) => build(bench.makeSlurmToken(), bench.userName),
  })),
  {
    name: 'a Slurm JWT of another key',
    rules: ['slurm_token_presented', 'token_unknown'],
    headers: (bench) => [['Authorization', `Bearer ${changeCharacter(bench.makeSlurmToken(), -5)}`]],
  },
]

export const REFUSED_TOKEN_CASES: readonly ConformanceCase[] = buildRefused(REFUSED_TOKENS)

/** Another character of the same alphabet at that place; negative counts from the end. */
function changeCharacter(text: string, at: number): string {
  const index = at < 0 ? text.length + at : at
  return text.slice(0, index) + (text[index] === 'A' ? 'B' : 'A') + text.slice(index + 1)
}

function replaceClaims(token: string): string {
  const [head = '', , secret = ''] = token.split('.')
  const claims = Buffer.from(JSON.stringify({ iss: 'slurmgate', sun: 'root', exp: 4102444800 })).toString(
    'base64url',
  )
  return [head, claims, secret].join('.')
}
