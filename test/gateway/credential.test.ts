/** CONTRACT "HTTP", Credentials: exactly one per request, in any of its forms; everything else is refused. */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { checkUserName, readCredential } from '../../src/credential.ts'
import { ruleOf } from './in-memory-ports.ts'

const TOKEN = 'a'.repeat(40)
const OTHER = 'b'.repeat(40)
const MUNGE = 'MUNGE:AwQDAAA=:'
type Header = readonly [name: string, value: string]
const token = (userName: string | null = null, value = TOKEN) => ({ kind: 'token', token: value, userName })
const munge = (userName: string | null = null) => ({ kind: 'munge', credential: MUNGE, userName })

describe('a credential is taken', () => {
  it.each<[string, Header[], object]>([
    ['as Bearer', [['Authorization', `Bearer ${TOKEN}`]], token()],
    ['as bearer in lower case', [['authorization', `bearer ${TOKEN}`]], token()],
    ['as BEARER in upper case', [['AUTHORIZATION', `BEARER ${TOKEN}`]], token()],
    ['as MUNGE', [['Authorization', `MUNGE ${MUNGE}`]], munge()],
    ['as munge in mixed case', [['Authorization', `mUnGe ${MUNGE}`]], munge()],
    ['after a tab', [['Authorization', `Bearer\t${TOKEN}`]], token()],
    ['after many blanks', [['Authorization', `  Bearer \t  ${TOKEN} \t`]], token()],
    ['as the token header alone', [['X-Slurm-User-Token', TOKEN]], token()],
    ['as the pair', [['X-Slurm-User-Name', 'alice'], ['X-Slurm-User-Token', TOKEN]], token('alice')],
    ['as the pair, token first', [['x-slurm-user-token', TOKEN], ['X-SLURM-USER-NAME', 'alice']], token('alice')],
    ['with a name beside Bearer', [['X-Slurm-User-Name', 'alice'], ['Authorization', `Bearer ${TOKEN}`]], token('alice')],
    ['with a name beside MUNGE', [['Authorization', `MUNGE ${MUNGE}`], ['X-Slurm-User-Name', 'alice']], munge('alice')],
    ['once, when two forms say the same', [['Authorization', `Bearer ${TOKEN}`], ['X-Slurm-User-Token', ` ${TOKEN} `]], token()],
    ['beside headers that are none', [['Proxy-Authorization', 'Bearer x'], ['X_Slurm_User_Token', OTHER], ['__proto__', 'x'], ['X-Slurm-User-Token', TOKEN]], token()],
  ])('%s', (_, headers, expected) => {
    expect(readCredential(headers)).toEqual(expected)
  }) // prettier-ignore
})

describe('a request is refused', () => {
  it.each<[string, string, Header[]]>([
    ['credential_missing', 'without any credential', [['Accept', '*/*']]],
    ['user_name_alone', 'with a name alone', [['X-Slurm-User-Name', 'alice']]],
    ['credential_empty', 'with an empty name alone', [['X-Slurm-User-Name', '']]],
    ['credential_empty', 'with an empty Authorization', [['Authorization', '']]],
    ['credential_empty', 'with blanks for an Authorization', [['Authorization', ' \t ']]],
    ['credential_empty', 'with a scheme alone', [['Authorization', 'Bearer']]],
    ['credential_empty', 'with MUNGE and blanks', [['Authorization', 'MUNGE   ']]],
    ['credential_empty', 'with an empty token header', [['X-Slurm-User-Token', '']]],
    ['credential_empty', 'with an empty token header and a name', [['X-Slurm-User-Token', ' '], ['X-Slurm-User-Name', 'alice']]],
    ['credential_empty', 'with an empty name beside a token', [['X-Slurm-User-Token', TOKEN], ['X-Slurm-User-Name', '']]],
    ['credential_empty', 'with an empty name beside MUNGE', [['Authorization', `MUNGE ${MUNGE}`], ['X-Slurm-User-Name', ' ']]],
    ['credential_empty', 'with an empty Authorization beside a token header', [['Authorization', ''], ['X-Slurm-User-Token', TOKEN]]],
    ['credential_empty', 'with an empty token header beside Bearer', [['Authorization', `Bearer ${TOKEN}`], ['X-Slurm-User-Token', '']]],
    ['credential_scheme_unknown', 'with Basic', [['Authorization', 'Basic dXNlcjpwYXNz']]],
    ['credential_scheme_unknown', 'with a token and no scheme', [['Authorization', TOKEN]]],
    ['credential_scheme_unknown', 'with a scheme that only begins like one', [['Authorization', `Bearer: ${TOKEN}`]]],
    ['credential_scheme_unknown', 'with MUNGE joined to its credential', [['Authorization', MUNGE]]],
    ['credential_conflict', 'with two different tokens', [['Authorization', `Bearer ${TOKEN}`], ['X-Slurm-User-Token', OTHER]]],
    ['credential_conflict', 'with tokens that differ in case', [['Authorization', `Bearer ${TOKEN}`], ['X-Slurm-User-Token', TOKEN.toUpperCase()]]],
    ['credential_conflict', 'with MUNGE beside a token', [['Authorization', `MUNGE ${MUNGE}`], ['X-Slurm-User-Token', TOKEN]]],
    ['credential_conflict', 'with MUNGE beside the same text as a token', [['Authorization', `MUNGE ${TOKEN}`], ['X-Slurm-User-Token', TOKEN]]],
    ['credential_repeated', 'with a repeated Authorization', [['Authorization', `Bearer ${TOKEN}`], ['authorization', `Bearer ${TOKEN}`]]],
    ['credential_repeated', 'with a repeated token header', [['X-Slurm-User-Token', TOKEN], ['x-slurm-user-token', TOKEN]]],
    ['credential_repeated', 'with a repeated name', [['X-Slurm-User-Name', 'a'], ['X-Slurm-User-Name', 'a'], ['X-Slurm-User-Token', TOKEN]]],
    ['credential_repeated', 'with a repeated empty header', [['Authorization', ''], ['Authorization', `Bearer ${TOKEN}`]]],
    ['credential_repeated', 'with an Authorization that workerd joined', [['Authorization', `Bearer ${TOKEN}, Bearer ${OTHER}`]]],
    ['credential_repeated', 'with a token header that was joined', [['X-Slurm-User-Token', `${TOKEN},${TOKEN}`]]],
    ['credential_repeated', 'with a name that was joined', [['X-Slurm-User-Name', 'alice, bob'], ['X-Slurm-User-Token', TOKEN]]],
    ['credential_repeated', 'with a repetition and a conflict', [['X-Slurm-User-Token', TOKEN], ['X-Slurm-User-Token', OTHER], ['Authorization', 'Bearer c']]],
  ])('as %s %s', (rule, _, headers) => {
    expect(ruleOf(readCredential(headers))).toBe(rule)
    if (rule !== 'credential_repeated') expect(ruleOf(readCredential(headers.toReversed()))).toBe(rule)
  }) // prettier-ignore

  it.each<[string, (value: string) => Header]>([
    ['Bearer', (value) => ['Authorization', `Bearer ${value}`]],
    ['MUNGE', (value) => ['Authorization', `MUNGE ${value}`]],
    ['the token header', (value) => ['X-Slurm-User-Token', value]],
  ])('with a credential of more than 8 KiB in %s, and not with one of 8 KiB', (_, build) => {
    expect(ruleOf(readCredential([build('x'.repeat(8192))]))).toMatch(/^(munge|token)$/)
    expect(ruleOf(readCredential([build('x'.repeat(8193))]))).toBe('credential_too_long')
  })
})

it('whatever the headers are, the answer is one credential that stood in them, or a refusal that repeats none of it', () => {
  const name = fc.constantFrom(
    'Authorization',
    'X-Slurm-User-Token',
    'X-Slurm-User-Name',
    'x-slurm-user-token',
  )
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom(`Bearer ${TOKEN}`, TOKEN, 'alice', '', `MUNGE ${MUNGE}`),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 5 }), (headers) => {
      const read = readCredential(headers)
      if (read.kind === 'refusal') {
        expect(Object.keys(read)).toEqual(['kind', 'rule'])
        return
      }
      const presented = read.kind === 'munge' ? read.credential : read.token
      expect(presented).not.toBe('')
      expect(presented).not.toContain(',')
      expect(headers.some(([, text]) => text.includes(presented))).toBe(true)
    }),
  )
})

describe('a claimed name', () => {
  const markers = new Set(['palmapi_bearer'])
  it.each([
    [null, null],
    ['alice', null],
    ['palmapi_bearer', null],
    ['bob', 'user_name_mismatch'],
    ['Alice', 'user_name_mismatch'],
    ['PALMAPI_BEARER', 'user_name_mismatch'],
    ['alice ', 'user_name_mismatch'],
    ['alice\u0000', 'user_name_mismatch'],
    ['root', 'user_name_mismatch'],
    ['', 'user_name_mismatch'],
  ])('of %j is judged %s for alice, case-sensitively', (name, rule) => {
    expect(ruleOf(checkUserName(name, 'alice', markers))).toBe(rule)
  })
})
