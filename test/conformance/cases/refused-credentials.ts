/** Credentials in a form that is not taken, and how each is refused; nothing but public paths is open without one. */

import { expect } from 'vitest'
import type { Rule } from '../../../src/refusal.ts'
import type { RawHeader } from '../../support/raw-http.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectRefusal } from '../expect-answer.ts'
import type { TokenName } from '../issued-tokens.ts'

const SOURCE = 'CONTRACT HTTP, Credentials'

export interface RefusedForm {
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

export function buildRefused(forms: readonly RefusedForm[]): ConformanceCase[] {
  return forms.map(({ name, rules, source, skipOn, headers }) => ({
    name: `refused: ${name}`,
    source: source ?? SOURCE,
    ...(skipOn === undefined ? {} : { skipOn }),
    async run(bench) {
      expectRefusal(bench, await bench.send({ headers: await headers(bench) }), ...rules)
    },
  }))
}

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

export const REFUSED_CREDENTIAL_CASES: readonly ConformanceCase[] = [
  ...buildRefused(REFUSED_FORMS),
  ...behindTheGate,
  bytes,
]
