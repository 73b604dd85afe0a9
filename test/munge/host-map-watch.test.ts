/** The host map's file: refused at the start, and taken up or refused while the process runs. */

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { openHostMap, type HostMapWatch } from '../../functions/node/host-map-watch.ts'
import { HOST_MAP_LOOK_MILLISECONDS, HOST_MAP_MAX_BYTES } from '../../src/limits.ts'
import { sleep, waitUntil } from '../support/program.ts'

const base = mkdtempSync(join(tmpdir(), 'host-map-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

const GOOD = '10.1.0.7 192.168.5.7\n'
const BETTER = '10.1.0.7 192.168.5.7\n10.1.0.8 192.168.5.8\n'
const TIME_LIMIT = 30_000

let directory: string
let path: string
beforeEach(() => {
  directory = mkdtempSync(join(base, 'case-'))
  path = join(directory, 'hosts.map')
  write(GOOD)
})

function write(text: string, to = path): void {
  writeFileSync(to, text, { mode: 0o644 })
}

function findProblems(): readonly string[] {
  const problems: string[] = []
  expect(openHostMap(path, problems)).toBeNull()
  return problems
}

describe('a start is refused', () => {
  test.each<[string, () => void, RegExp]>([
    ['without the file', () => rmSync(path), /cannot be read \(ENOENT\)/],
    ['with a folder', () => (path = directory), /no regular file/],
    ['with a pipe, at once', () => void (rmSync(path), execFileSync('mkfifo', [path])), /no regular file/],
    ['with a file that everybody can write', () => chmodSync(path, 0o646), /written by others.*chmod go-w/],
    ['with a file that its group can write', () => chmodSync(path, 0o664), /written by others.*chmod go-w/],
    [
      'with a file that is too large',
      () => truncateSync(path, HOST_MAP_MAX_BYTES + 1),
      /larger than 1048576/,
    ],
    ['with an empty file', () => write(''), /names no host/],
    ['with a file of zeros', () => write('\0'.repeat(1000)), /line 1, word 1/],
    ['with a bad line', () => write(`${GOOD}127.0.0.1 10.1.0.7\n`), /MUNGE_HOST_MAP_FILE: line 2, word 1/],
  ])('%s', (_what, prepare, expected) => {
    prepare()
    expect(findProblems().join('\n')).toMatch(expected)
  })

  test('with every problem of the file', () => {
    write('127.0.0.1 10.1.0.7\n10.1.0.7 0.0.0.0/0\n')
    expect(findProblems()).toHaveLength(2)
  })
})

interface Running {
  readonly watch: HostMapWatch
  readonly lines: { level: string; event: string; fields: Readonly<Record<string, unknown>> }[]
}

const waitForLines = ({ lines }: Running, count: number): Promise<void> =>
  waitUntil(`${String(count)} lines`, () => lines.length >= count, TIME_LIMIT)

describe.concurrent('while the process runs', () => {
  /** Cases that wait run side by side, each with a file of its own. */
  function setUp(): Running & { file: string; replaceIt: (text: string) => void } {
    const file = join(mkdtempSync(join(base, 'running-')), 'hosts.map')
    write(GOOD, file)
    const problems: string[] = []
    const watch = openHostMap(file, problems)
    if (watch === null) throw new Error(problems.join())
    const lines: Running['lines'] = []
    watch.start({ write: (level, event, fields) => void lines.push({ level, event, fields }) })
    /** As operators are told to. */
    const replaceIt = (text: string): void => {
      write(text, `${file}.new`)
      renameSync(`${file}.new`, file)
    }
    return { watch, lines, file, replaceIt }
  }

  test('a good file that replaces it takes effect, and is logged with its count', async () => {
    const running = setUp()
    expect(running.lines).toMatchObject([{ level: 'info', event: 'host_map_loaded', fields: { hosts: 1 } }])
    running.replaceIt(BETTER)
    await waitForLines(running, 2)
    expect(running.lines[1]).toMatchObject({ level: 'info', event: 'host_map_loaded', fields: { hosts: 2 } })
    expect(running.watch.findHostMap().has('10.1.0.8', '192.168.5.8')).toBe(true)
    running.replaceIt(GOOD)
    await waitForLines(running, 3)
    expect(running.watch.findHostMap().has('10.1.0.8', '192.168.5.8')).toBe(false)
  })

  test('a change in place of the same size takes effect', async () => {
    const running = setUp()
    write(GOOD.replace('5.7', '5.9'), running.file)
    await waitForLines(running, 2)
    expect(running.watch.findHostMap().has('10.1.0.7', '192.168.5.9')).toBe(true)
  })

  test('a bad file is an error with its lines, once, and the map from before stays in force', async () => {
    const running = setUp()
    running.replaceIt(`${BETTER}10.1.0.9 192.168.5.8\n127.0.0.1 10.1.0.9\n`)
    await waitForLines(running, 2)
    expect(running.lines[1]).toMatchObject({ level: 'error', event: 'host_map_refused' })
    expect(JSON.stringify(running.lines[1])).toMatch(/line 4, word 1.*line 3.*line 2/)
    await sleep(3 * HOST_MAP_LOOK_MILLISECONDS)
    expect(running.lines).toHaveLength(2)
    expect(running.watch.findHostMap().hosts).toBe(1)
    running.replaceIt(BETTER)
    await waitForLines(running, 3)
    expect(running.watch.findHostMap().hosts).toBe(2)
  })

  test('a file that vanished is an error, the map from before stays, and its return takes effect', async () => {
    const running = setUp()
    rmSync(running.file)
    await waitForLines(running, 2)
    expect(running.lines[1]).toMatchObject({
      level: 'error',
      fields: { problems: ['cannot be read (ENOENT)'] },
    })
    expect(running.watch.findHostMap().has('10.1.0.7', '192.168.5.7')).toBe(true)
    running.replaceIt(BETTER)
    await waitForLines(running, 3)
    expect(running.watch.findHostMap().hosts).toBe(2)
  })

  test('a file that everybody may write from now on is an error', async () => {
    const running = setUp()
    chmodSync(running.file, 0o666)
    await waitForLines(running, 2)
    expect(running.lines[1]).toMatchObject({ level: 'error', event: 'host_map_refused' })
    expect(JSON.stringify(running.lines[1])).toContain('chmod go-w')
  })

  test('a link that is turned to another file takes effect', async () => {
    const running = setUp()
    write(BETTER, `${running.file}.b`)
    symlinkSync(`${running.file}.b`, `${running.file}.link`)
    renameSync(`${running.file}.link`, running.file)
    await waitForLines(running, 2)
    expect(running.watch.findHostMap().hosts).toBe(2)
  })

  test('a file that is still being written is not taken: half of it may read like another map', async () => {
    const running = setUp()
    for (let round = 0; round < 15; round++) {
      write('10.1.0.7 192.168.5.70\n'.slice(0, 20 + (round % 2)), running.file)
      await sleep(HOST_MAP_LOOK_MILLISECONDS / 4)
    }
    expect(running.lines).toHaveLength(1)
    write('10.1.0.7 192.168.5.70\n', running.file)
    await waitForLines(running, 2)
    expect(running.watch.findHostMap().has('10.1.0.7', '192.168.5.70')).toBe(true)
    expect(running.watch.findHostMap().has('10.1.0.7', '192.168.5.7')).toBe(false)
  })
})
