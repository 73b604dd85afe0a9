/** Which credentials are taken, in which forms, and how every other one is refused. */

import { expect } from 'vitest'
import type { Rule } from '../../../src/refusal.ts'
import type { RawHeader } from '../../support/raw-http.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal, readSent } from '../expect-answer.ts'
import type { TokenName } from '../issued-tokens.ts'

const SOURCE = 'CONTRACT HTTP, Credentials'

type Forms = readonly (readonly [form: string, build: (token: string, user: string) => RawHeader[]])[]

/** Every form a token may come in; also used for the OpenAPI document and for tokens in other formats. */
export const TOKEN_FORMS: Forms = [
  ['Authorization: Bearer', (token) => [['Authorization', `Bearer ${token}`]]],
  ['the token header alone', (token) => [['X-Slurm-User-Token', token]]],
  [
    "the token header with the user's own name",
    (token, user) => [
      ['X-Slurm-User-Name', user],
      ['X-Slurm-User-Token', token],
    ],
  ],
  [
    'the token header with palmapi_bearer',
    (token) => [
      ['X-Slurm-User-Name', 'palmapi_bearer'],
      ['X-Slurm-User-Token', token],
    ],
  ],
]

const FURTHER_FORMS: Forms = [
  ['bearer in lower case', (token) => [['Authorization', `bearer ${token}`]]],
  ['BEARER in upper case', (token) => [['Authorization', `BEARER ${token}`]]],
  ['bEaReR in mixed case', (token) => [['Authorization', `bEaReR ${token}`]]],
  ['authorization in lower case', (token) => [['authorization', `Bearer ${token}`]]],
  ['AUTHORIZATION in upper case', (token) => [['AUTHORIZATION', `Bearer ${token}`]]],
  ['white space around the value', (token) => [`Authorization: \t Bearer ${token}  `]],
  ['x-slurm-user-token in lower case', (token) => [['x-slurm-user-token', token]]],
  [
    'X-SLURM-USER-* in upper case, token before name',
    (token, user) => [
      ['X-SLURM-USER-TOKEN', token],
      ['X-SLURM-USER-NAME', user],
    ],
  ],
  [
    'the same token in two forms',
    (token) => [
      ['Authorization', `Bearer ${token}`],
      ['X-Slurm-User-Token', token],
    ],
  ],
  [
    'the same token in two forms with a name',
    (token, user) => [
      ['Authorization', `Bearer ${token}`],
      ['X-Slurm-User-Token', token],
      ['X-Slurm-User-Name', user],
    ],
  ],
  [
    'Bearer beside the own name',
    (token, user) => [
      ['Authorization', `Bearer ${token}`],
      ['X-Slurm-User-Name', user],
    ],
  ],
]

const taken: ConformanceCase[] = [...TOKEN_FORMS, ...FURTHER_FORMS].map(([form, build]) => ({
  name: `a token is taken as: ${form}`,
  source: SOURCE,
  async run(bench) {
    const answer = await bench.send({ headers: build(bench.tokens.confined.text, bench.userName) })
    expect(readSent(expectForwarded(bench, answer), 'x-slurm-user-name')).toBe(bench.userName)
  },
}))

const formats: ConformanceCase[] = (['jwt', 'imported'] as const).flatMap((token) =>
  TOKEN_FORMS.map(([form, build]) => ({
    name: `a token in ${token} format is taken as: ${form}`,
    source: 'CONTRACT API tokens',
    async run(bench) {
      const answer = await bench.send({ headers: build(bench.tokens[token].text, bench.userName) })
      expect(readSent(expectForwarded(bench, answer), 'x-slurm-user-name')).toBe(bench.userName)
    },
  })),
)

interface RefusedForm {
  readonly name: string
  readonly rules: readonly [Rule, ...Rule[]]
  readonly source?: string
  readonly skipOn?: ConformanceCase['skipOn']
  readonly headers: (bench: Bench) => RawHeader[] | Promise<RawHeader[]>
}

const named = (token: TokenName, name: string): RefusedForm['headers'] => {
  return (bench) => [
    ['X-Slurm-User-Name', name],
    ['X-Slurm-User-Token', bench.tokens[token].text],
  ]
}

/** Measured: the same request without the header; a token in another header is then the one credential. */
const EMPTY_AUTHORIZATION = 'workerd does not show an empty Authorization header to the Worker'

const REFUSED_FORMS: readonly RefusedForm[] = [
  { name: 'no credential', rules: ['credential_missing'], headers: () => [] },
  {
    name: 'credentials for proxies and cookies are not credentials',
    rules: ['credential_missing'],
    headers: (bench) => [
      ['Proxy-Authorization', `Bearer ${bench.tokens.free.text}`],
      ['Cookie', `token=${bench.tokens.free.text}`],
      ['X_Slurm_User_Token', bench.tokens.free.text],
    ],
  },
  {
    name: 'a name alone',
    rules: ['user_name_alone'],
    headers: (bench) => [['X-Slurm-User-Name', bench.userName]],
  },
  {
    name: 'palmapi_bearer alone',
    rules: ['user_name_alone'],
    headers: () => [['X-Slurm-User-Name', 'palmapi_bearer']],
  },
  {
    name: 'an empty Authorization',
    rules: ['credential_empty'],
    skipOn: { workerd: EMPTY_AUTHORIZATION },
    headers: () => ['Authorization:'],
  },
  { name: 'Bearer without a token', rules: ['credential_empty'], headers: () => ['Authorization: Bearer '] },
  {
    name: 'MUNGE without a credential',
    rules: ['credential_empty'],
    headers: () => ['Authorization: MUNGE'],
  },
  { name: 'an empty token header', rules: ['credential_empty'], headers: () => ['X-Slurm-User-Token:'] },
  {
    name: 'an empty token header with a name',
    rules: ['credential_empty'],
    headers: (bench) => ['X-Slurm-User-Token: ', ['X-Slurm-User-Name', bench.userName]],
  },
  {
    name: 'an empty name beside a valid token',
    rules: ['credential_empty', 'user_name_mismatch'],
    headers: (bench) => ['X-Slurm-User-Name:', ['X-Slurm-User-Token', bench.tokens.free.text]],
  },
  {
    name: 'an empty Authorization beside a valid token header',
    skipOn: { workerd: EMPTY_AUTHORIZATION },
    rules: ['credential_empty', 'credential_conflict'],
    headers: (bench) => ['Authorization:', ['X-Slurm-User-Token', bench.tokens.free.text]],
  },
  ...['Basic dXNlcjpwYXNz', 'Negotiate YII=', 'Token abc', 'BearerX abc', 'Digest username="x"'].map(
    (value): RefusedForm => ({
      name: `the scheme of "${value.split(' ')[0] ?? ''}"`,
      rules: ['credential_scheme_unknown'],
      headers: () => [['Authorization', value]],
    }),
  ),
  {
    name: 'a token without a scheme',
    rules: ['credential_scheme_unknown'],
    headers: (bench) => [['Authorization', bench.tokens.free.text]],
  },
  {
    name: 'an unknown scheme beside a valid token header',
    rules: ['credential_scheme_unknown', 'credential_conflict'],
    headers: (bench) => [
      ['Authorization', 'Basic dXNlcjpwYXNz'],
      ['X-Slurm-User-Token', bench.tokens.free.text],
    ],
  },
  { name: "another user's name", rules: ['user_name_mismatch'], headers: named('free', 'bob') },
  { name: "root's name", rules: ['user_name_mismatch'], headers: named('free', 'root') },
  { name: 'a name in another case', rules: ['user_name_mismatch'], headers: named('free', 'ALICE') },
  {
    name: 'palmapi_bearer in another case',
    rules: ['user_name_mismatch'],
    headers: named('free', 'Palmapi_Bearer'),
  },
  {
    name: "another user's name beside Bearer",
    rules: ['user_name_mismatch'],
    headers: (bench) => [bench.bearer('free'), ['X-Slurm-User-Name', 'bob']],
  },
  {
    name: "another user's name beside MUNGE",
    rules: ['user_name_mismatch'],
    headers: async (bench) => [
      ['Authorization', `MUNGE ${await bench.makeCredential()}`],
      ['X-Slurm-User-Name', 'bob'],
    ],
  },
  {
    name: 'two different tokens',
    rules: ['credential_conflict'],
    headers: (bench) => [bench.bearer('free'), ['X-Slurm-User-Token', bench.tokens.reader.text]],
  },
  {
    name: 'MUNGE beside a token',
    rules: ['credential_conflict'],
    headers: async (bench) => [
      ['Authorization', `MUNGE ${await bench.makeCredential()}`],
      ['X-Slurm-User-Token', bench.tokens.free.text],
    ],
  },
  {
    name: 'a repeated Authorization, both the same',
    rules: ['credential_repeated'],
    headers: (bench) => [bench.bearer('free'), bench.bearer('free')],
  },
  {
    name: 'a repeated Authorization, valid first',
    rules: ['credential_repeated'],
    headers: (bench) => [
      bench.bearer('free'),
      ['authorization', 'Bearer unknown-unknown-unknown-unknown-unknown'],
    ],
  },
  {
    name: 'a repeated Authorization, MUNGE and Bearer',
    rules: ['credential_repeated'],
    headers: async (bench) => [
      ['Authorization', `MUNGE ${await bench.makeCredential()}`],
      bench.bearer('free'),
    ],
  },
  {
    name: 'a repeated token header',
    rules: ['credential_repeated'],
    headers: (bench) => [
      ['X-Slurm-User-Token', bench.tokens.free.text],
      ['x-slurm-user-token', bench.tokens.free.text],
    ],
  },
  {
    name: 'a repeated name',
    rules: ['credential_repeated'],
    headers: (bench) => [
      ['X-Slurm-User-Name', bench.userName],
      ['X-Slurm-User-Name', bench.userName],
      ['X-Slurm-User-Token', bench.tokens.free.text],
    ],
  },
  ...(['Authorization: Bearer ', 'Authorization: MUNGE ', 'X-Slurm-User-Token: '] as const).map(
    (start): RefusedForm => ({
      name: `a credential over 8 KiB in ${start.trim()}`,
      rules: ['credential_too_long'],
      headers: () => [start + 'x'.repeat(8193)],
    }),
  ),
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
  {
    name: 'a MUNGE credential sent as Bearer',
    rules: ['token_malformed'],
    headers: async (bench) => [['Authorization', `Bearer ${await bench.makeCredential()}`]],
  },
  {
    name: 'a MUNGE credential in the token header',
    rules: ['token_malformed'],
    headers: async (bench) => [['X-Slurm-User-Token', await bench.makeCredential()]],
  },
  {
    name: 'an API token sent as MUNGE',
    rules: ['munge_malformed'],
    headers: (bench) => [['Authorization', `MUNGE ${bench.tokens.free.text}`]],
  },
]

const refused: ConformanceCase[] = REFUSED_FORMS.map(({ name, rules, source, skipOn, headers }) => ({
  name: `refused: ${name}`,
  source: source ?? SOURCE,
  ...(skipOn === undefined ? {} : { skipOn }),
  async run(bench) {
    expectRefusal(bench, await bench.send({ headers: await headers(bench) }), ...rules)
  },
}))

const NOT_PUBLIC = [
  '/',
  '/nope',
  '/openapi',
  '/openapi/v3',
  '/openapi.yaml',
  '/meta/whoami',
  '/meta',
  '/metrics',
]
const behindTheGate: ConformanceCase[] = [
  ...NOT_PUBLIC,
  '/slurm/latest/jobs',
  '/slurm/v9/jobs',
  '/slurmdb/v0.0.42/config',
  '/util/v0.0.44/hostnames',
  '/ping/x',
  '/healthz/../slurm/v0.0.42/jobs',
].map((target) => ({
  name: `without a credential ${target} is 401`,
  source: 'CONTRACT HTTP: everything that is not public is 401 without a credential',
  async run(bench) {
    expectRefusal(bench, await bench.send({ target }), 'credential_missing')
  },
}))

const bytes: ConformanceCase = {
  name: 'bytes outside ASCII in a credential are refused',
  source: 'RFC 9110 section 5.5',
  async run(bench) {
    const answer = await bench.send({ headers: [`Authorization: Bearer ${'x'.repeat(40)}\xe9\xff`] })
    expect([400, 401]).toContain(answer.status)
    expect(bench.world.upstream.operations).toEqual([])
  },
}

export const CREDENTIAL_CASES: readonly ConformanceCase[] = [
  ...taken,
  ...formats,
  ...refused,
  ...behindTheGate,
  bytes,
]

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
