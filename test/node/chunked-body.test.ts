/** RFC 9112 section 7.1: bodies in chunks, in whatever pieces they come, and which ones are not believed. */

import { expect, test } from 'vitest'
import { ChunkedBody } from '../../functions/node/chunked-body.ts'

function readPieces(pieces: readonly string[]): { body: string; isOver: boolean; behind: string } {
  const chunks = new ChunkedBody()
  let body = ''
  let behind = ''
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, 'latin1')
    const at = chunks.read(bytes, 0, bytes.length, (part) => {
      body += part.toString('latin1')
      return true
    })
    behind += bytes.toString('latin1', at)
  }
  return { body, isOver: chunks.isOver, behind }
}

test.each([
  ['0\r\n\r\n', ''],
  ['5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['A;name="v\xe4lue"\r\n0123456789\r\n1\r\n\n\r\n000\r\n\r\n', '0123456789\n'],
  ['3\r\n\r\n0\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n', '\r\n0'],
])('%j is read, cut at every byte and byte by byte', (text, body) => {
  for (let at = 0; at <= text.length; at += 1) {
    const pieces = [text.slice(0, at), `${text.slice(at)}more`]
    expect(readPieces(pieces)).toEqual({ body, isOver: true, behind: 'more' })
  }
  expect(readPieces([...Array.from(text), 'more'])).toEqual({ body, isOver: true, behind: 'more' })
  expect(readPieces([text.slice(0, -1)]).isOver).toBe(false)
})

test.each([
  '\r\n',
  ';a\r\n',
  'g\r\n',
  '-1\r\n',
  '0x5\r\n',
  ' 5\r\n',
  '5 \r\n',
  '5\nhello',
  '5;a\nhello',
  '5\rhello',
  '5\r\nhello0\r\n',
  '5\r\nhello\n0\r\n',
  '5\r\nhello\r0\r\n',
  '123456789abc\r\n',
  `5;${'a'.repeat(256)}`,
  '0\r\nTrailer: x\n\r\n',
  '0\r\n\rx',
  `0\r\n${'Trailer: x\r\n'.repeat(700)}`,
])('%j is an outage, whole and byte by byte', (text) => {
  for (const pieces of [[text], Array.from(text)]) {
    expect(() => readPieces(pieces)).toThrow(expect.objectContaining({ rule: 'upstream_unreachable' }))
  }
})
