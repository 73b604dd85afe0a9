/** Key files: only those that no other user of the host can read or write. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readKeyFile } from '../../functions/node/key-file.ts'

const OPEN = 'can be read or written by others: chmod o-rw'
const KEY = Uint8Array.from({ length: 256 }, (_, index) => index)
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'slurmgate-key-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function writeKey(name: string, mode: number, bytes: Uint8Array = KEY): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  chmodSync(path, mode)
  return path
}

test.each([0o400, 0o600, 0o640, 0o660, 0o700, 0o601])(
  'a key of mode %i (decimal) is read byte by byte',
  (mode) => {
    const key = readKeyFile(writeKey(`good-${mode}`, mode))
    expect(key).toEqual(KEY)
  },
)

test.each([0o604, 0o602, 0o606, 0o644, 0o646, 0o666, 0o777, 0o004])(
  'a key of mode %i (decimal) is refused, for others can read or write it',
  (mode) => {
    expect(readKeyFile(writeKey(`bad-${mode}`, mode))).toBe(OPEN)
  },
)

test('a link is judged by the file behind it', () => {
  const [good, bad] = [join(folder, 'good-link'), join(folder, 'bad-link')]
  symlinkSync(writeKey('behind-good', 0o600), good)
  symlinkSync(writeKey('behind-bad', 0o644), bad)
  expect(readKeyFile(good)).toEqual(KEY)
  expect(readKeyFile(bad)).toBe(OPEN)
})

test('64 KiB are read, one byte more is refused, none is the reader’s business', () => {
  expect(readKeyFile(writeKey('full', 0o600, new Uint8Array(65_536)))).toEqual(new Uint8Array(65_536))
  expect(readKeyFile(writeKey('over', 0o600, new Uint8Array(65_537)))).toBe('is larger than 65536 bytes')
  expect(readKeyFile(writeKey('empty', 0o600, new Uint8Array(0)))).toEqual(new Uint8Array(0))
})

test('the bytes are a copy of their own, not a window into a shared pool', () => {
  const key = readKeyFile(writeKey('own', 0o600))
  expect(typeof key === 'string' ? 0 : key.buffer.byteLength).toBe(KEY.length)
})

test('what cannot be read is told by its code, never by its path', () => {
  const closed = join(folder, 'folder')
  mkdirSync(closed, { mode: 0o700 })
  const dangling = join(folder, 'dangling')
  symlinkSync(join(folder, 'nowhere'), dangling)
  expect(readKeyFile(join(folder, 'absent'))).toBe('cannot be read (ENOENT)')
  expect(readKeyFile(dangling)).toBe('cannot be read (ENOENT)')
  expect(readKeyFile('')).toBe('cannot be read (ENOENT)')
  expect(readKeyFile(closed)).toBe('cannot be read (EISDIR)')
  expect(readKeyFile(join(writeKey('file', 0o600), 'below'))).toBe('cannot be read (ENOTDIR)')
  expect(readKeyFile('a\0b')).toBe('cannot be read (ERR_INVALID_ARG_VALUE)')
})
