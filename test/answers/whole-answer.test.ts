/** RFC 9110 sections 8.8.3 and 13.1.2, RFC 9111 section 5: tags, and when a client wants no answer from memory. */

import { expect, it } from 'vitest'
import { nodeSha256 } from '../../functions/node/node-sha256.ts'
import { webSha256 } from '../../src/munge/sha256.ts'
import { buildEtag, isFreshWanted, isMatch, saysNoErrors } from '../../src/answers/whole-answer.ts'
import { buildAnswer, encode } from '../gateway/in-memory-ports.ts'

const TAG = '"0123"'

it.each([
  ['"0123"', true],
  ['W/"0123"', true],
  ['"x", "0123"', true],
  ['*', true],
  ['"012"', false],
  ['0123', false],
  ['', false],
])('If-None-Match: %s', (given, expected) => {
  expect(isMatch(given, TAG)).toBe(expected)
})

it('nothing matches an answer without a tag, not even *', () => {
  expect(isMatch('*', null)).toBe(false)
  expect(isMatch(null, TAG)).toBe(false)
})

it('a tag is of all bytes, the same by either way of digesting, and 200’s alone', async () => {
  const bytes = encode('x'.repeat(300_000))
  const other = encode(`${'x'.repeat(299_999)}y`)
  const tag = await buildEtag(buildAnswer(200, ''), bytes, nodeSha256)
  expect(tag).toMatch(/^"[0-9a-f]{32}"$/)
  expect(await buildEtag(buildAnswer(200, ''), other, nodeSha256)).not.toBe(tag)
  const small = encode('x')
  expect(await buildEtag(buildAnswer(200, ''), small, nodeSha256)).toBe(
    await buildEtag(buildAnswer(200, ''), small, webSha256),
  )
  expect(await buildEtag(buildAnswer(404, ''), small, nodeSha256)).toBeNull()
})

it.each([
  [{ 'cache-control': 'no-cache' }, true],
  [{ 'cache-control': 'max-age=0' }, true],
  [{ 'cache-control': 'max-age=00, x' }, true],
  [{ 'cache-control': 'max-age=1' }, false],
  [{ 'cache-control': 'x-no-cache' }, false],
  [{ pragma: 'no-cache' }, true],
  [{ 'cache-control': 'max-age=5', pragma: 'no-cache' }, false],
  [{}, false],
])('a fresh answer is wanted by %j: %s', (headers, expected) => {
  expect(isFreshWanted(new Headers(headers))).toBe(expected)
})

it.each([
  ['{"jobs": [], "errors": [], "warnings": []}', true],
  ['{"meta": {}, "errors": [\n ],\n "jobs": []}', true],
  [`{"jobs": [${'"x",'.repeat(9_999)} "x"], "errors": [ ]}`, true],
  ['jobs: []\nerrors: []\n', true],
  ['{"jobs": [], "errors": [{"error_number": 1}]}', false],
  [`{"jobs": [], "errors": [{"description": "${'x'.repeat(20_000)}"}], "warnings": []}`, false],
  ['{"jobs": [{"name": "\\"errors\\": []"}], "errors": [1]}', false],
  ['', false],
])('%.40s… lists no errors: %s', (text, expected) => {
  expect(saysNoErrors(encode(text))).toBe(expected)
})
