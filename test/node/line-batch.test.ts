/** CONTRACT: no decision without its line. Lines of one turn go out together, and whoever waits is told when. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createLineBatch } from '../../functions/node/line-batch.ts'
import { buildProgram } from '../support/build-program.ts'

test('lines of one turn are one write, in their order, before whoever waits goes on', async () => {
  const events: string[] = []
  const batch = createLineBatch((lines, onWritten) => {
    events.push(lines)
    onWritten()
  })
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
  const batch = createLineBatch((lines, onWritten) => {
    events.push(lines)
    if (lines === 'a\n') batch.writeLine('b\n')
    onWritten()
  })
  batch.writeLine('a\n')
  await batch.whenWritten()
  expect(events).toEqual(['a\n'])
  await batch.whenWritten()
  expect(events).toEqual(['a\n', 'b\n'])
})

test('nobody goes on before the lines are taken: not of this turn, nor of one after it', async () => {
  const taken: ((error?: Error) => void)[] = []
  const batch = createLineBatch((_, onWritten) => taken.push(onWritten))
  const events: string[] = []
  const wait = (name: string): void => void batch.whenWritten()?.then(() => events.push(name))
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))
  batch.writeLine('a\n')
  await turn()
  wait('a')
  batch.writeLine('b\n')
  wait('b')
  await turn()
  wait('b, later')
  expect([taken.length, events]).toEqual([2, []])
  taken[0]?.()
  await turn()
  expect(events).toEqual(['a'])
  taken[1]?.()
  await turn()
  expect(events).toEqual(['a', 'b', 'b, later'])
  expect(batch.whenWritten()).toBeNull()
  batch.writeLine('c\n')
  await turn()
  taken[2]?.(new Error('EPIPE'))
  expect(batch.whenWritten()).not.toBeNull()
})

test('a pipe that nobody reads takes no line, and none is said to be out', () => {
  const folder = mkdtempSync(join(tmpdir(), 'slurmgate-lines-'))
  try {
    const file = join(folder, 'lines.cjs')
    const entry = `import { createLineBatch } from './functions/node/line-batch.ts'
const batch = createLineBatch((lines, onWritten) => process.stdout.write(lines, onWritten))
let count = 0
async function run() {
  for (;;) {
    batch.writeLine('x'.repeat(1023) + '\\n')
    await batch.whenWritten()
    count += 1
  }
}
void run()
setTimeout(() => { process.stderr.write(String(count)); process.kill(process.pid, 'SIGKILL') }, 500)`
    buildProgram(entry, file)
    // Linux, pipe(7): 64 KiB fit. All that was said to be out is there for who comes to read.
    const command = `"${process.execPath}" "${file}" 2>"${folder}/said" | (sleep 1; wc -l)`
    const arrived = Number(execFileSync('bash', ['-c', command], { encoding: 'utf8' }))
    const said = Number(readFileSync(join(folder, 'said'), 'utf8'))
    expect(said).toBeGreaterThan(0)
    expect(arrived).toBeGreaterThanOrEqual(said)
    expect(said).toBeLessThanOrEqual(64)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.each([
  ['ends by itself', 'process.exit(3)'],
  ['fails', "throw new Error('unforeseen')"],
])('what waits is written where the process %s in the same turn', (_, end) => {
  const folder = mkdtempSync(join(tmpdir(), 'slurmgate-lines-'))
  try {
    const file = join(folder, 'lines.cjs')
    const entry = `import { createLineBatch } from './functions/node/line-batch.ts'
const batch = createLineBatch((lines, onWritten) => process.stdout.write(lines, onWritten))
batch.writeLine('the last line\\n')
${end}`
    buildProgram(entry, file)
    const command = `"${process.execPath}" "${file}" 2>/dev/null || true`
    expect(execFileSync('sh', ['-c', command], { encoding: 'utf8' })).toBe('the last line\n')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
