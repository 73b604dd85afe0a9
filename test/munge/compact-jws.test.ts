/** RFC 7515: what the exchange signs is what any library for JWS reads, and the other way round. */

import { CompactSign, compactVerify } from 'jose'
import { expect, test } from 'vitest'
import { nodeSha256 } from '../../functions/node/node-sha256.ts'
import { buildHeader, decodePayload, findSigned, signJws } from '../../src/munge/compact-jws.ts'
import { webSha256 } from '../../src/munge/sha256.ts'

const KEY = new Uint8Array(32).fill(7)
const OTHER = new Uint8Array(32).fill(8)
const HEADER = buildHeader('test+jws')
const PAYLOAD = '{"user":"ålice","n":1}'
const PORTS = [
  ['WebCrypto', webSha256],
  ['Node', nodeSha256],
] as const

test.each(PORTS)('%s: a library takes what was signed here', async (_, sha256) => {
  const jws = await signJws(HEADER, PAYLOAD, sha256.createHmac(KEY))
  const { payload, protectedHeader } = await compactVerify(jws, KEY)
  expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'test+jws' })
  expect(new TextDecoder().decode(payload)).toBe(PAYLOAD)
})

test.each(PORTS)('%s: what a library signed is taken here, by whichever key it was', async (_, sha256) => {
  const jws = await new CompactSign(new TextEncoder().encode(PAYLOAD))
    .setProtectedHeader({ alg: 'HS256', typ: 'test+jws' })
    .sign(KEY)
  const hmacs = [OTHER, KEY].map((key) => sha256.createHmac(key))
  expect(decodePayload((await findSigned(jws, HEADER, hmacs)) ?? '')).toBe(PAYLOAD)
  expect(await findSigned(jws, HEADER, hmacs.slice(0, 1))).toBeNull()
  expect(await findSigned(jws, buildHeader('other+jws'), hmacs)).toBeNull()
})

test.each([
  '{}',
  '{"user":"alice"}',
  '{"user":"\u007f"}',
  '{"user":"\u0080"}',
  '{"user":"ÿ"}',
  '{"user":"雪\u{1f600}"}',
])('the payload is UTF-8 whether or not all of it is ASCII: %s', async (payload) => {
  const jws = await signJws(HEADER, payload, nodeSha256.createHmac(KEY))
  const encoded = Buffer.from(payload, 'utf8').toString('base64url')
  expect(jws.split('.')[1]).toBe(encoded)
  expect(decodePayload(encoded)).toBe(payload)
})

test('a message that differs in any one character is not signed', async () => {
  const hmacs = [nodeSha256.createHmac(KEY)]
  const jws = await signJws(HEADER, PAYLOAD, nodeSha256.createHmac(KEY))
  for (let at = 0; at < jws.length; at += 1) {
    for (const character of ['A', 'B', '.', '=', '']) {
      const changed = jws.slice(0, at) + character + jws.slice(at + 1)
      if (changed !== jws) expect(await findSigned(changed, HEADER, hmacs), changed).toBeNull()
    }
  }
  for (const longer of [`${jws}=`, `${jws}A`, ` ${jws}`, `${jws}.`]) {
    expect(await findSigned(longer, HEADER, hmacs)).toBeNull()
  }
})
