/** CONTRACT: no decision without its line. Lines of one turn go out together, and whoever waits is told when. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createLineBatch } from '../../functions/node/line-batch.ts'
import { buildProgram } from '../support/build-program.ts'

test('lines of one turn are one write, in their order, before whoever waits goes on', async () => {
  const events: string[] = []
  const batch = createLineBatch((lines) => events.push(lines))
  expect(batch.whenWritten()).toBeNull()
  batch.writeLine('a\n')
  const waiting = Promise.resolve(batch.whenWritten()).then(() => events.push('goes on'))
  batch.writeLine('b\n')
  expect(events).toEqual([])
  await waiting
  expect(events).toEqual(['a\nb\n', 'goes on'])
  expect(batch.whenWritten()).toBeNull()
})

test('a line that is written meanwhile is in the next write, and waited for', async () => {
  const events: string[] = []
  const batch = createLineBatch((lines) => {
    events.push(lines)
    if (lines === 'a\n') batch.writeLine('b\n')
  })
  batch.writeLine('a\n')
  await batch.whenWritten()
  expect(events).toEqual(['a\n'])
  await batch.whenWritten()
  expect(events).toEqual(['a\n', 'b\n'])
})

test.each([
  ['ends by itself', 'process.exit(3)'],
  ['fails', "throw new Error('unforeseen')"],
])('what waits is written where the process %s in the same turn', (_, end) => {
  const folder = mkdtempSync(join(tmpdir(), 'slurmgate-lines-'))
  try {
    const file = join(folder, 'lines.cjs')
    const entry = `import { createLineBatch } from './functions/node/line-batch.ts'
const batch = createLineBatch((lines) => process.stdout.write(lines))
batch.writeLine('the last line\\n')
${end}`
    buildProgram(entry, file)
    const command = `"${process.execPath}" "${file}" 2>/dev/null || true`
    expect(execFileSync('sh', ['-c', command], { encoding: 'utf8' })).toBe('the last line\n')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
