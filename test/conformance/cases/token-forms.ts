/** The forms and formats in which an API token is taken. */

import { expect } from 'vitest'
import type { RawHeader } from '../../support/raw-http.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, readSent } from '../expect-answer.ts'

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

export const TOKEN_FORM_CASES: readonly ConformanceCase[] = [...taken, ...formats]
