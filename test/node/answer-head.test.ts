/** RFC 9112 sections 4 to 6: what an answer's head says, in whatever pieces it comes, and which ones are not believed. */

import { expect, test } from 'vitest'
import { ANSWER_HEAD_MAX_BYTES, ANSWER_LINE_MAX_BYTES, AnswerHead } from '../../functions/node/answer-head.ts'

/** Gives the head in pieces, as a connection does. @returns what came behind it; null: it is not whole. */
function readPieces(head: AnswerHead, pieces: readonly string[]): string | null {
  let rest = Buffer.alloc(0)
  for (const piece of pieces) {
    rest = Buffer.concat([rest, Buffer.from(piece, 'latin1')])
    rest = rest.subarray(head.read(rest, 0, rest.length))
  }
  return head.isWhole ? rest.toString('latin1') : null
}

function pick({ status, contentType, contentLength, isChunked, isClosing, keepAliveSeconds }: AnswerHead) {
  return { status, contentType, contentLength, isChunked, isClosing, keepAliveSeconds }
}

const NOTHING = {
  status: 200,
  contentType: null,
  contentLength: null,
  isChunked: false,
  isClosing: false,
  keepAliveSeconds: null,
}

const GOOD: readonly (readonly [
  lines: string,
  expected: Partial<typeof NOTHING> | Record<string, unknown>,
])[] = [
  ['HTTP/1.1 200 OK\r\n\r\n', {}],
  ['HTTP/1.1 200\r\n\r\n', {}],
  ['HTTP/1.0 404 Not Found\r\ncontent-LENGTH:5\r\n\r\n', { status: 404, contentLength: 5, isClosing: true }],
  [
    'HTTP/1.1 200 \xe4\r\nContent-Type: \t application/json \r\nX:\r\n\r\n',
    { contentType: 'application/json' },
  ],
  ['HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\n', { contentType: 'a/b' }],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n', { isChunked: true }],
  ['HTTP/1.1 500 X\r\nConnection: Keep-Alive, Close\r\n\r\n', { status: 500, isClosing: true }],
  ['HTTP/1.1 200 OK\r\nKeep-Alive: max=9, timeout=7\r\n\r\n', { keepAliveSeconds: 7 }],
  ['HTTP/1.1 200 OK\r\nKeep-Alive: max=9\r\n\r\n', {}],
  ['HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n', { status: 304 }],
  ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nContent-Length: 3\r\n\r\nHTTP/1.1 200 OK\r\n\r\n', {}],
]

test.each(GOOD)('%j is read, cut at every byte and byte by byte', (lines, expected) => {
  const head = new AnswerHead()
  const cuts = Array.from({ length: lines.length + 1 }, (_, at) => [
    lines.slice(0, at),
    lines.slice(at) + 'ab',
  ])
  for (const pieces of [...cuts, [...Array.from(lines), 'ab']]) {
    head.reset()
    expect(readPieces(head, pieces)).toBe('ab')
    expect(pick(head)).toEqual({ ...NOTHING, ...expected })
  }
  head.reset()
  expect(readPieces(head, [lines.slice(0, -1)])).toBe(null)
})

const HOSTILE = [
  'garbage\r\n',
  'SSH-2.0-OpenSSH_9.2\r\n',
  '\r\n',
  'HTTP/2.0 200 OK\r\n',
  'HTTP/1.2 200 OK\r\n',
  'http/1.1 200 OK\r\n',
  'HTTP/1.1  200 OK\r\n',
  'HTTP/1.1 20 OK\r\n',
  'HTTP/1.1 2000 OK\r\n',
  'HTTP/1.1 -20 OK\r\n',
  'HTTP/1.1 099 OK\r\n',
  'HTTP/1.1 101 Switching Protocols\r\n',
  'HTTP/1.1 200 OK\n',
  'HTTP/1.1 200 O\rK\r\n',
  'HTTP/1.1 200 O\0K\r\n',
  ...[
    'Content-Length: 5\r\nContent-Length: 5\r\n',
    'Content-Length: 5\r\nContent-Length: 6\r\n',
    'Content-Length: 5, 5\r\n',
    'Content-Length: +5\r\n',
    'Content-Length: -5\r\n',
    'Content-Length: 0x5\r\n',
    'Content-Length: 5 5\r\n',
    'Content-Length:\r\n',
    'Content-Length: 1234567890123456\r\n',
    'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
    'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'Transfer-Encoding: identity\r\n',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
    'X: a\r\n b\r\n',
    'X: a\r\n\tb\r\n',
    'Content-Length : 5\r\n',
    ' Content-Length: 5\r\n',
    'no colon\r\n',
    'nocolon\r\n',
    ': nameless\r\n',
    'X\xe4: a\r\n',
    'X: a\nContent-Length: 5\r\n',
    'X: a\rContent-Length: 5\r\n',
    'X: a\0\r\n',
    'X: a\x7f\r\n',
    '\n',
    '\r\r\n',
  ].map((lines) => `HTTP/1.1 200 OK\r\n${lines}`),
]

test.each(HOSTILE)('%j is an outage as soon as it has come, whole or cut at any byte', (lines) => {
  const head = new AnswerHead()
  const cuts = Array.from({ length: lines.length }, (_, at) => [lines.slice(0, at), lines.slice(at)])
  for (const pieces of [...cuts, Array.from(lines)]) {
    head.reset()
    expect(() => readPieces(head, pieces)).toThrow(
      expect.objectContaining({ name: 'Outage', rule: 'upstream_unreachable' }),
    )
  }
})

test('a line and a head have an end, interim answers included', () => {
  const head = new AnswerHead()
  const start = 'HTTP/1.1 200 OK\r\n'
  const line = `X: ${'a'.repeat(ANSWER_LINE_MAX_BYTES - 5)}\r\n`
  expect(readPieces(head, [start, line, '\r\n'])).toBe('')
  head.reset()
  expect(() => readPieces(head, [start, `a${line}`])).toThrow('too long')
  head.reset()
  expect(() => readPieces(head, [start, `X: ${'a'.repeat(ANSWER_LINE_MAX_BYTES)}`])).toThrow('too long')
  head.reset()
  expect(() => readPieces(head, [start, ...Array<string>(5).fill(line)])).toThrow('too long')
  head.reset()
  const interim = 'HTTP/1.1 102 Processing\r\n\r\n'
  expect(() => readPieces(head, [interim.repeat(ANSWER_HEAD_MAX_BYTES / interim.length + 1)])).toThrow(
    'too long',
  )
})
