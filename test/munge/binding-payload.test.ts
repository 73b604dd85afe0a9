/** README "Calling it": what a bound credential carries, held against values computed by sha256sum. */

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  buildBindingPayload,
  digestRequest,
  parseBindingPayload,
  type RequestInTransit,
} from '../../src/munge/binding-payload.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const request = (method: string, target: string, body = ''): RequestInTransit => ({
  method,
  target,
  body: bytes(body),
})

// h() { printf '%s\n%s\n%s' "$1" "$2" "$(printf '%s' "$3" | sha256sum | cut -d' ' -f1)" | sha256sum; }
test.each([
  ['GET', '/slurm/latest/jobs', '', 'aa7d5c7e4d65b4b75dd9a4fe45cf1eeb97002c97dd44195289998f6443e7a149'],
  [
    'POST',
    '/slurm/latest/job/submit',
    '{"job":{"script":"#!/bin/sh\\nhostname"}}',
    '3b28d1f06f91ff29fa4807e3e620ee6ccb415ad793eeba8bfe04c6efceb1b39b',
  ],
  [
    'DELETE',
    '/gate/slurm/v0.0.42/job/17?signal=9',
    '',
    '7b38792580ccc37718ab72a21e491628ea421a146b77387f990476096e2706ed',
  ],
  [
    'POST',
    '/slurm/latest/job/submit',
    '{"name":"ü"}',
    '562d442edf6283a1e77cc0dcf9646409b66281947af83b7ef9a186687efdcfbd',
  ],
])('the digest of %s %s with the body %j', async (method, target, body, digest) => {
  expect(await digestRequest(request(method, target, body))).toBe(digest)
})

test('without a body its part is the digest of nothing', async () => {
  const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
  expect(await digestRequest(request('GET', '/ping'))).toBe(
    createHash('sha256').update(`GET\n/ping\n${empty}`).digest('hex'),
  )
})

test('every part counts, and no character moves from one part to the next', async () => {
  const submit = request('POST', '/slurm/latest/job/submit', '{"job":{}}')
  const others = [
    { ...submit, method: 'PUT' },
    { ...submit, method: 'post' },
    { ...submit, target: '/slurm/latest/job/submit/' },
    { ...submit, target: '/slurm/latest/job/submit?' },
    { ...submit, target: '/slurm/latest/job/%73ubmit' },
    { ...submit, target: '//slurm/latest/job/submit' },
    { ...submit, body: bytes('{"job":{}} ') },
    { ...submit, body: bytes('{"jpb":{}}') },
    { ...submit, body: bytes('') },
    { method: 'POST/', target: 'slurm/latest/job/submit', body: submit.body },
  ]
  const digests = await Promise.all([submit, ...others].map(digestRequest))
  expect(new Set(digests).size).toBe(digests.length)
})

test('a payload is the prefix and the raw digest, and is read back', async () => {
  const digest = await digestRequest(request('GET', '/ping'))
  const payload = buildBindingPayload(digest)
  expect(Buffer.from(payload).toString('hex')).toBe(`${Buffer.from('slurmgate1:').toString('hex')}${digest}`)
  expect(parseBindingPayload(payload)).toBe(digest)
  const extremes = Buffer.concat([bytes('slurmgate1:'), Buffer.from('00ff'.repeat(16), 'hex')])
  expect(parseBindingPayload(extremes)).toBe('00ff'.repeat(16))
})

test.each([
  ['nothing', Buffer.alloc(0)],
  ['the prefix alone', Buffer.from('slurmgate1:')],
  ['31 bytes', Buffer.concat([bytes('slurmgate1:'), Buffer.alloc(31, 7)])],
  ['33 bytes', Buffer.concat([bytes('slurmgate1:'), Buffer.alloc(33, 7)])],
  ['another version', Buffer.concat([bytes('slurmgate2:'), Buffer.alloc(32, 7)])],
  ['another case', Buffer.concat([bytes('Slurmgate1:'), Buffer.alloc(32, 7)])],
  ['no prefix', Buffer.alloc(32, 7)],
  ['no colon', Buffer.concat([bytes('slurmgate1'), Buffer.alloc(33, 7)])],
  ['the digest in hex', bytes(`slurmgate1:${'07'.repeat(32)}`)],
  ['a line end', Buffer.concat([bytes('slurmgate1:'), Buffer.alloc(32, 7), bytes('\n')])],
  ['something in front', Buffer.concat([bytes(' slurmgate1:'), Buffer.alloc(31, 7)])],
])('%s is no such payload', (_what, payload) => {
  expect(parseBindingPayload(payload)).toBeNull()
})
