/** Source: the socket's layout, measured on munged 0.5.15; the hexadecimal vectors are its own bytes. */

import { expect, test } from 'vitest'
import {
  BODY_MAX_BYTES,
  buildDecodeRequest,
  buildEncodeRequest,
  HEADER_LENGTH,
  MESSAGE,
  parseDecodeResponse,
  parseEncodeResponse,
  parseHeader,
} from '../../src/munge/frame.ts'
import { Outage } from '../../src/refusal.ts'
import { writeDecodeResponse } from '../support/fake-munged.ts'

/** munged 0.5.15: a replayed credential of root, TTL 5, made on 127.0.0.1. */
const REPLAYED = Buffer.from(
  '00606d4b0405000000003f11145265706c617965642063726564656e7469616c000405000000000005047f0000016b0444fd6b0444fd0000000000000000ffffffffffffffff00000000',
  'hex',
)
/** munged 0.5.15: a credential of version 0. */
const BAD_VERSION = Buffer.from(
  '00606d4b04050000000044091d496e76616c69642063726564656e7469616c2076657273696f6e2030000000000000000000000000000000000000ffffffffffffffffffffffffffffffff00000000',
  'hex',
)

function parseWhole(frame: Uint8Array) {
  const bodyLength = parseHeader(frame.subarray(0, HEADER_LENGTH), MESSAGE.decodeResponse)
  expect(bodyLength).toBe(frame.length - HEADER_LENGTH)
  return parseDecodeResponse(frame.subarray(HEADER_LENGTH))
}

function findFault(parse: () => unknown): Outage | null {
  try {
    parse()
    return null
  } catch (error) {
    if (error instanceof Outage) return error
    throw error
  }
}

test('a decode request is the measured bytes: header, length, credential, NUL, and retry 0', () => {
  const frame = Buffer.from(buildDecodeRequest('MUNGE:AAAA:'))
  expect(frame.toString('hex')).toBe('00606d4b0404000000001000' + '00000c4d554e47453a414141413a00')
})

test('an encode request asks for the default ciphers, no realm and nobody in particular', () => {
  const frame = Buffer.from(buildEncodeRequest({ ttlSeconds: 5 }))
  expect(frame.toString('hex')).toBe(
    '00606d4b04020000000014' + '01010100' + '00000005' + 'ffffffffffffffff' + '00000000',
  )
})

test("munged's answer to a replay is read: error 17 first, though a uid follows", () => {
  expect(parseWhole(REPLAYED)).toEqual({
    errorNumber: 17,
    errorText: 'Replayed credential',
    ttlSeconds: 5,
    originAddress: '127.0.0.1',
    encodedAt: 0x6b0444fd,
    decodedAt: 0x6b0444fd,
    uid: 0,
    gid: 0,
    restrictedUid: null,
    restrictedGid: null,
    payload: Buffer.alloc(0),
  })
})

test("munged's answer to an unreadable credential has no origin address", () => {
  expect(parseWhole(BAD_VERSION)).toMatchObject({ errorNumber: 9, originAddress: null })
})

test('a decode response cut at any byte is munged not answering', () => {
  const body = REPLAYED.subarray(HEADER_LENGTH)
  for (let length = 0; length < body.length; length += 1) {
    expect(findFault(() => parseDecodeResponse(body.subarray(0, length)))?.rule, `${length} bytes`).toBe(
      'munged_unavailable',
    )
  }
})

test('a header cut at any byte, or longer than it is, is munged not answering', () => {
  for (const length of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]) {
    const fault = findFault(() => parseHeader(REPLAYED.subarray(0, length), MESSAGE.decodeResponse))
    expect(fault?.rule, `${length} bytes`).toBe('munged_unavailable')
  }
})

test.each([
  ['another magic number', 0],
  ['another protocol version', 4],
  ['another message type', 5],
  ['a retry count', 6],
])('a header with %s is munged not answering', (_what, offset) => {
  const header = Buffer.from(REPLAYED.subarray(0, HEADER_LENGTH))
  header[offset] = (header[offset] ?? 0) ^ 1
  expect(findFault(() => parseHeader(header, MESSAGE.decodeResponse))?.rule).toBe('munged_unavailable')
})

test('a body longer than the cap is refused from its header alone', () => {
  const header = Buffer.from(REPLAYED.subarray(0, HEADER_LENGTH))
  header.writeUInt32BE(BODY_MAX_BYTES, 7)
  expect(parseHeader(header, MESSAGE.decodeResponse)).toBe(BODY_MAX_BYTES)
  for (const length of [BODY_MAX_BYTES + 1, 0xffffffff]) {
    header.writeUInt32BE(length, 7)
    expect(findFault(() => parseHeader(header, MESSAGE.decodeResponse))?.rule).toBe('munged_unavailable')
  }
})

test.each([
  ['an error text longer than the body', 1, 255],
  ['a realm longer than the body', 25, 255],
  ['an address of 5 bytes', 30, 5],
  ['an address of 16 bytes', 30, 16],
  ['a payload longer than the body', 59, 255],
])('%s is munged not answering', (_what, offset, value) => {
  const body = Buffer.from(REPLAYED.subarray(HEADER_LENGTH))
  body[offset] = value
  expect(findFault(() => parseDecodeResponse(body))?.rule).toBe('munged_unavailable')
})

test('an address that is neither absent nor IPv4 is munged not answering', () => {
  for (const length of [1, 3, 5, 16]) {
    const frame = writeDecodeResponse({ origin: Array.from({ length }, () => 10) })
    expect(findFault(() => parseWhole(frame))?.rule, `${length} bytes`).toBe('munged_unavailable')
  }
})

test('bytes after the payload are munged not answering', () => {
  const body = Buffer.concat([REPLAYED.subarray(HEADER_LENGTH), Buffer.of(0)])
  expect(findFault(() => parseDecodeResponse(body))?.rule).toBe('munged_unavailable')
})

test('no byte of a decode response, set to anything, makes the parser fail in another way', () => {
  const body = REPLAYED.subarray(HEADER_LENGTH)
  for (let offset = 0; offset < body.length; offset += 1) {
    for (const value of [0, 1, 4, 127, 128, 255]) {
      const changed = Buffer.from(body)
      changed[offset] = value
      findFault(() => parseDecodeResponse(changed))
    }
  }
})

test("an error text cannot forge a line of the operator's log", () => {
  const frame = writeDecodeResponse({
    errorNumber: 14,
    errorText: 'no\n{"event":"munge_decision"}\u001b[31m',
  })
  expect(parseWhole(frame).errorText).toBe('no?{"event":"munge_decision"}?[31m')
})

test('restrictions are told apart from "any"', () => {
  expect(parseWhole(writeDecodeResponse({ restrictedUid: 0 }))).toMatchObject({
    restrictedUid: 0,
    restrictedGid: null,
  })
  expect(parseWhole(writeDecodeResponse({ restrictedGid: 7 }))).toMatchObject({
    restrictedUid: null,
    restrictedGid: 7,
  })
})

test('an encode response is read, and refused when cut', () => {
  const body = Buffer.concat([Buffer.of(0, 0, 0, 0, 0, 12), Buffer.from('MUNGE:AAAA:\0')])
  expect(parseEncodeResponse(body)).toEqual({ errorNumber: 0, errorText: '', credential: 'MUNGE:AAAA:' })
  for (let length = 0; length < body.length; length += 1) {
    expect(findFault(() => parseEncodeResponse(body.subarray(0, length)))?.rule).toBe('munged_unavailable')
  }
})
