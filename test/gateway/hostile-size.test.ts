/**
 * One request cannot hold up the others: reading and judging the worst text of its size takes time in proportion to it.
 * Each of these took minutes where a match, a trim or a count was quadratic; the limit catches that and nothing else.
 */

import { describe, expect, it } from 'vitest'
import { readContentType } from '../../src/call.ts'
import { readCredential } from '../../src/credential.ts'
import { findHarm } from '../../src/document/harmful-document.ts'
import { parseJson } from '../../src/document/json-document.ts'
import { parseLenientJson } from '../../src/document/lenient-json.ts'
import { judgeMungeDocument } from '../../src/document/munge-document.ts'
import { ROUTES } from '../../src/policy/route-table.ts'
import { findQueryRule } from '../../src/policy/query-rules.ts'
import { explain } from '../../src/explain.ts'
import { encode, MUNGE_ALICE } from './in-memory-ports.ts'

/** A quadratic match of so much takes a minute or more, and ends. */
const BYTES = 512 * 1024
const LIMIT = 20_000

const fill = (text: string) => text.repeat(Math.floor(BYTES / text.length))
const route = ROUTES.find(({ template }) => template === '/slurm/job/submit')
if (route === undefined) throw new Error('no route to submit')
const operation = { route, version: 42 }

describe('a document', () => {
  it.each<[string, string]>([
    ['percent signs and a line end', `{"job":{"array":"${fill('%')}\\n"}}`],
    ['digits and a plus', `{"job":{"nice":${fill('1')}.+5}}`],
    ['digits and a letter', `{"job":{"nice":${fill('1')}x}}`],
    ['fractions', `{"job":{"nice":1.${fill('1')}e}}`],
    ['exponents', `{"job":{"nice":1e${fill('1')}.}}`],
    ['minus signs', `{"job":{"nice":${fill('-')}}}`],
    ['brackets in a host list', `{"job":{"required_nodes":"${fill('[')}"}}`],
    ['ranges in a host list', `{"job":{"required_nodes":"n[${fill('1-')}]"}}`],
    ['blanks in a host list', `{"job":{"required_nodes":"${fill(' ')}"}}`],
    ['commas in a dependency', `{"job":{"dependency":"${fill('afterok:,')}"}}`],
    ['underscores in a dependency', `{"job":{"dependency":"${fill('_')}"}}`],
    ['escapes', `{"job":{"script":"${fill('\\u0041')}"}}`],
    ['halves of surrogate pairs', `{"job":{"script":"${fill('\\ud800')}"}}`],
    ['comments', `{${fill('/**/')}"job":{}}`],
    ['an open comment', `{/*${fill('*')}`],
    ['open strings', `{"job":{"script":"${fill('x')}`],
    ['blanks', `{${fill(' ')}"job":{}}`],
    ['brackets', fill('[')],
    ['a long key', `{"${fill('k')}":1}`],
  ])('of %s', (_, text) => {
    const bytes = encode(text)
    judgeMungeDocument({ bytes, contentType: 'application/json' }, operation)
    const document = parseJson(bytes)
    if (document.type !== 'problem') findHarm(document, operation)
    expect(parseLenientJson(bytes)).toBeDefined()
  }, LIMIT) // prettier-ignore
})

it.each([
  ['blanks', `Bearer a${fill(' ')}b`],
  ['tabs behind a scheme', `Bearer${fill('\t')}`],
  ['blanks before a scheme', `${fill(' ')}Bearer`],
])(
  'a credential of %s',
  (_, value) => {
    expect(readCredential([['Authorization', value]])).toMatchObject({ kind: 'refusal' })
  },
  LIMIT,
)

it(
  'a content type of blanks',
  () => {
    const headers = new Headers({ 'content-type': `application/json;${fill(' ')}x` })
    expect(readContentType(headers, false)).toBeNull()
  },
  LIMIT,
)

it.each([',', '[', '[1-2]', '[1,', 'n1,', '1', '-', 'a:'])(
  'a query value of %j',
  (text) => {
    for (const name of [
      'node_list',
      'step',
      'users',
      'account',
      'start_time',
      'state',
      'job_name',
      'signal',
    ]) {
      for (const version of [38, 45]) {
        expect(typeof findQueryRule(name, '/slurmdb/jobs', version).isGood(fill(text))).toBe('boolean')
      }
    }
  },
  LIMIT,
)

it.each([
  ['path', { target: `/${fill('a')}`, contentType: null }],
  ['content type', { target: '/slurm/latest/jobs', contentType: `application/json;${fill(' ')}x` }],
])(
  'a long %s in a question about a request is refused as its head would be',
  async (_, parts) => {
    const judge = () => Promise.reject(new Error('nobody was to be asked'))
    const question = { method: 'POST', body: null, ...parts }
    const answer = await explain({ judge, judgeOwnCall: judge }, MUNGE_ALICE, question)
    expect(answer).toMatchObject({ decision: 'refused', rule: 'head_too_large' })
  },
  LIMIT,
)
