/** Names through a `getent` of the test's own, and through the real one. */

import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createNameService } from '../../functions/node/name-service.ts'
import { Outage } from '../../src/refusal.ts'
import { countDescriptors } from '../support/descriptors.ts'
import { waitUntil } from '../support/program.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'getent-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

/** A program that notes its arguments and environment, then runs `body`. */
function writeGetent(body: string): string {
  const path = join(directory, 'getent')
  const notes = `echo "$*" >> '${directory}/calls'\nenv > '${directory}/environment'\n`
  writeFileSync(path, `#!/bin/sh\n${notes}${body}\n`)
  chmodSync(path, 0o755)
  return path
}

const calls = (): string[] =>
  existsSync(join(directory, 'calls'))
    ? readFileSync(join(directory, 'calls'), 'utf8').trim().split('\n')
    : []

const ALICE = `case "$2" in 6001|alice) echo 'alice:x:6001:6001:Alice:/home/alice:/bin/sh';; *) exit 2;; esac`
const clock = { now: 1_800_000_000_000 }
const build = (body: string) => createNameService({ clock: () => clock.now, getent: writeGetent(body) })

async function findOutage(promise: Promise<unknown>): Promise<unknown> {
  const error: unknown = await promise.catch((caught: unknown) => caught)
  return error instanceof Outage ? error.rule : error
}

test('a name that leads back to its uid is the name', async () => {
  expect(await build(ALICE)(6001)).toBe('alice')
  expect(calls()).toEqual(['passwd 6001', 'passwd alice'])
})

test('the real name service knows root and nobody, and not a uid that has no name', async () => {
  const findUserName = createNameService({ clock: Date.now })
  expect(await findUserName(0)).toBe('root')
  expect(await findUserName(65534)).toBe('nobody')
  expect(await findUserName(3_999_999_999)).toBeNull()
})

test.each([
  [
    'belongs to another uid',
    `case "$2" in 6001) echo 'alice:x:6001:6001::/:/bin/sh';; *) echo 'alice:x:7001:6001::/:/bin/sh';; esac`,
  ],
  ['is no longer there', `case "$2" in 6001) echo 'alice:x:6001:6001::/:/bin/sh';; *) exit 2;; esac`],
  [
    'comes back as another name',
    `case "$2" in 6001) echo 'alice:x:6001:6001::/:/bin/sh';; *) echo 'bob:x:6001:6001::/:/bin/sh';; esac`,
  ],
  ['was asked by another uid', `echo 'alice:x:7001:6001::/:/bin/sh'`],
  [
    'is given for another uid than the one asked for',
    `case "$2" in 6001) echo 'alice:x:7001:6001::/:/bin/sh';; *) echo 'alice:x:6001:6001::/:/bin/sh';; esac`,
  ],
  ['is digits alone', `echo '6001:x:6001:6001::/:/bin/sh'`],
  ['begins with a dash', `echo -- '-alice:x:6001:6001::/:/bin/sh'`],
  ['has a space', `echo 'al ice:x:6001:6001::/:/bin/sh'`],
  ['is empty', `echo ':x:6001:6001::/:/bin/sh'`],
  ['stands on one of two lines', `echo 'alice:x:6001:6001::/:/bin/sh'; echo 'alice:x:6001:6001::/:/bin/sh'`],
  ['stands on a line with a field too many', `echo 'alice:x:6001:6001::/:/bin/sh:more'`],
  ['stands on a cut line', `echo 'alice:x:6001'`],
  ['stands on an empty line', `echo`],
])('a name that %s is no name', async (_what, body) => {
  expect(await build(body)(6001)).toBeNull()
})

test('a name is kept for 60 s where nobody asks, an absence for 5 s', async () => {
  const findUserName = build(ALICE)
  for (let round = 0; round < 3; round += 1) await findUserName(6001)
  expect(calls().length).toBe(2)
  clock.now += 29_999
  await findUserName(6001)
  expect(calls().length).toBe(2)
  clock.now += 30_001
  await findUserName(6001)
  expect(calls().length).toBe(4)
  await findUserName(6002)
  clock.now += 4_999
  await findUserName(6002)
  expect(calls().length).toBe(5)
  clock.now += 1
  expect(await findUserName(6002)).toBeNull()
  expect(calls().length).toBe(6)
})

test('a name in use is asked for again behind the answer, once at a time, and the new one counts', async () => {
  const findUserName = build(ALICE)
  await findUserName(6001)
  writeGetent(`sleep 0.2; case "$2" in 6001|alicia) echo 'alicia:x:6001:6001::/:/bin/sh';; *) exit 2;; esac`)
  clock.now += 30_000
  const answers = await Promise.all([findUserName(6001), findUserName(6001), findUserName(6001)])
  expect(answers).toEqual(['alice', 'alice', 'alice'])
  await waitUntil('the new name is known', async () => (await findUserName(6001)) === 'alicia')
  expect(calls()).toEqual(['passwd 6001', 'passwd alice', 'passwd 6001', 'passwd alicia'])
})

test('a getent that fails behind an answer is asked again 5 s later, and an outage once the name is stale', async () => {
  const findUserName = build(ALICE)
  await findUserName(6001)
  writeGetent('exit 1')
  clock.now += 30_000
  expect(await findUserName(6001)).toBe('alice')
  await waitUntil('getent failed', () => calls().length === 3)
  for (let round = 0; round < 20; round += 1) expect(await findUserName(6001)).toBe('alice')
  expect(calls().length).toBe(3)
  clock.now += 5_000
  await waitUntil('getent failed again', async () => {
    expect(await findUserName(6001)).toBe('alice')
    return calls().length === 4
  })
  clock.now += 25_000
  expect(await findOutage(findUserName(6001))).toBe('names_unavailable')
})

test('the cache is bounded: the name that was not used for longest goes', async () => {
  const body = 'case "$2" in *[a-z]*) uid=${2#u};; *) uid=$2;; esac; echo "u$uid:x:$uid:1::/:/bin/sh"'
  const findUserName = createNameService({ clock: () => 0, getent: writeGetent(body), maxEntries: 2 })
  for (const uid of [1, 2, 1, 3]) expect(await findUserName(uid)).toBe(`u${uid}`)
  const before = calls().length
  await findUserName(1)
  await findUserName(3)
  expect(calls().length).toBe(before)
  await findUserName(2)
  expect(calls().length).toBe(before + 2)
})

test('concurrent questions for one uid are one look-up', async () => {
  const findUserName = build(ALICE)
  const names = await Promise.all(Array.from({ length: 100 }, () => findUserName(6001)))
  expect(new Set(names)).toEqual(new Set(['alice']))
  expect(calls().length).toBe(2)
})

test.each([
  ['fails', 'exit 1'],
  ['dies', 'kill -9 $$'],
  ['says too much', 'head -c 100000 /dev/zero'],
])('a getent that %s is an outage, not an absence, and is asked again', async (_what, body) => {
  const findUserName = build(body)
  expect(await findOutage(findUserName(6001))).toBe('names_unavailable')
  writeGetent(ALICE)
  expect(await findUserName(6001)).toBe('alice')
})

test('a getent that is missing is an outage', async () => {
  const findUserName = createNameService({ clock: () => 0, getent: join(directory, 'absent') })
  expect(await findOutage(findUserName(6001))).toBe('names_unavailable')
})

test('a getent that hangs is an outage after 5 s', async () => {
  const startedAt = performance.now()
  expect(await findOutage(build('exec sleep 30')(6001))).toBe('names_unavailable')
  expect(performance.now() - startedAt).toBeGreaterThan(4500)
  expect(performance.now() - startedAt).toBeLessThan(25_000)
})

test('getent gets nothing of our environment but the PATH', async () => {
  process.env['MUNGE_VERIFIER_KEY'] = 'c2VjcmV0'
  try {
    await build(ALICE)(6001)
  } finally {
    delete process.env['MUNGE_VERIFIER_KEY']
  }
  expect(readFileSync(join(directory, 'environment'), 'utf8')).not.toMatch(/SECRET|MUNGE|HOME|USER/)
})

test('200 look-ups leave the number of descriptors flat, and all are answered', async () => {
  const findUserName = build(ALICE)
  await findUserName(1)
  const before = countDescriptors()
  await Promise.all(Array.from({ length: 200 }, (_, index) => findUserName(7000 + index)))
  expect(countDescriptors()).toBeLessThanOrEqual(before + 2)
})
