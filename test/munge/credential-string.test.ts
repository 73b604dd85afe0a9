/** Source: munged takes every one of these spellings (measured, see munged-real.test.ts); each has another digest. */

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseCredentialString } from '../../src/munge/credential-string.ts'

const BYTES = Buffer.from(Array.from({ length: 100 }, (_, index) => (index * 37) % 256))
const BASE64 = BYTES.toString('base64')
const GOOD = `MUNGE:${BASE64}:`

test('the spelling that munge prints is taken, and named by the digest of its bytes', async () => {
  expect(BASE64.endsWith('==')).toBe(true)
  expect(await parseCredentialString(GOOD)).toEqual({
    text: GOOD,
    digest: createHash('sha256').update(BYTES).digest('hex'),
  })
})

/** The last character before the padding has four unused bits. */
const flipped = BASE64.replace(
  /(.)==$/,
  (_, last: string) => `${String.fromCharCode(last.charCodeAt(0) + 1)}==`,
)

test.each([
  ['a space inside', `MUNGE:${BASE64.slice(0, 8)} ${BASE64.slice(8)}:`],
  ['a line break inside', `MUNGE:${BASE64.slice(0, 8)}\n${BASE64.slice(8)}:`],
  ['leading spaces', `  ${GOOD}`],
  ['a trailing space', `${GOOD} `],
  ['text after the final colon', `${GOOD}more`],
  ['a second credential after the first', `${GOOD}${GOOD}`],
  ['the unused last bit flipped', `MUNGE:${flipped}:`],
  ['missing padding', `MUNGE:${BASE64.replace(/=+$/, '')}:`],
  ['half the padding', `MUNGE:${BASE64.slice(0, -1)}:`],
  ['too much padding', `MUNGE:${BASE64}=:`],
  ['the URL alphabet', `MUNGE:${Buffer.alloc(99, 255).toString('base64').replaceAll('/', '_')}:`],
  ['another prefix', `Munge:${BASE64}:`],
  ['no prefix', BASE64],
  ['no final colon', GOOD.slice(0, -1)],
  ['a NUL at the end', `${GOOD}\0`],
  ['nothing between the colons', 'MUNGE::'],
  ['one colon for both', 'MUNGE:'],
  ['nothing', ''],
  ['more than 8 KiB', `MUNGE:${'AAAA'.repeat(2100)}:`],
  ['a megabyte', `MUNGE:${'AAAA'.repeat(262144)}:`],
])('a credential with %s is refused', async (_what, text) => {
  expect(text).not.toBe(GOOD)
  expect(await parseCredentialString(text)).toBeNull()
})

test('the flipped spelling decodes to the same bytes, which is why it must not pass', () => {
  expect(flipped).not.toBe(BASE64)
  expect(Buffer.from(flipped, 'base64').equals(BYTES)).toBe(true)
})
