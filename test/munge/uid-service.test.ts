/** Uids of names through a `getent` of the test's own, and through the real one; and what became of a token's user. */

import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createUidService } from '../../functions/node/uid-service.ts'
import { Outage } from '../../src/refusal.ts'
import { findIdentityDrift } from '../../src/tokens/identity-drift.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'getent-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

/** A program that notes its arguments and knows these keys. */
function writeGetent(entries: Readonly<Record<string, string>>): string {
  const path = join(directory, 'getent')
  const cases = Object.entries(entries).map(([key, value]) => `${key}) echo '${value}';;`)
  const body = `echo "$*" >> '${directory}/calls'\ncase "$2" in ${cases.join(' ')} *) exit 2;; esac`
  writeFileSync(path, `#!/bin/sh\n${body}\n`)
  chmodSync(path, 0o755)
  return path
}

const calls = (): string[] =>
  existsSync(join(directory, 'calls'))
    ? readFileSync(join(directory, 'calls'), 'utf8').trim().split('\n')
    : []

const passwd = (name: string, uid: number): string => `${name}:x:${String(uid)}:100::/home:/bin/sh`
const build = (entries: Readonly<Record<string, string>>) =>
  createUidService({ clock: () => 0, getent: writeGetent(entries) })

const ALICE = { alice: passwd('alice', 6001), 6001: passwd('alice', 6001) }

describe('the uid service', () => {
  it('tells the uid of a name, and the name that it leads back to, with two questions', async () => {
    const findUid = build(ALICE)
    expect(await findUid('alice')).toEqual({ uid: 6001, nameOfUid: 'alice' })
    expect(await findUid('alice')).toEqual({ uid: 6001, nameOfUid: 'alice' })
    expect(calls()).toEqual(['passwd alice', 'passwd 6001'])
  })

  it('knows root by the host’s own getent, and nobody whom it does not know', async () => {
    const findUid = createUidService({ clock: Date.now })
    expect(await findUid('root')).toEqual({ uid: 0, nameOfUid: 'root' })
    expect(await findUid('no-such-user-here')).toBeNull()
  })

  it('takes another spelling of the name for another user', async () => {
    expect(await build({ Alice: passwd('alice', 6001), ...ALICE })('Alice')).toBeNull()
  })

  it.each(['6001', '-s', '', 'a b', 'alice\n', '--help'])('never asks getent for %j', async (name) => {
    expect(await build(ALICE)(name)).toBeNull()
    expect(calls()).toEqual([])
  })

  it('is an outage where getent is: absent is what getent calls absent', async () => {
    const findUid = createUidService({ clock: () => 0, getent: join(directory, 'absent') })
    const failure: unknown = await findUid('alice').catch((error: unknown) => error)
    expect(failure instanceof Outage ? failure.rule : failure).toBe('names_unavailable')
  })
})

describe('the user of a token', () => {
  const row = { slurmUser: 'alice', uid: 6001 }

  it.each<[string, typeof row | { slurmUser: string; uid: null }, Readonly<Record<string, string>>, string | null]>([
    ['is the same where name and uid lead to each other', row, ALICE, null],
    ['is unknown where the row has no uid', { slurmUser: 'alice', uid: null }, ALICE, 'uid_unknown'],
    ['is gone where nobody has the name', row, { 6001: passwd('alice', 6001) }, 'user_is_gone'],
    ['is gone where somebody else has the uid, and nobody the name', row, { 6001: passwd('bob', 6001) }, 'user_is_gone'],
    [
      'is another where the name was given anew',
      row,
      { alice: passwd('alice', 7001), 7001: passwd('alice', 7001) },
      'name_has_other_uid',
    ],
    [
      'is another where the uid leads to another name',
      row,
      { alice: passwd('alice', 6001), 6001: passwd('alicia', 6001) },
      'uid_has_other_name',
    ],
    ['is another where the uid leads nowhere', row, { alice: passwd('alice', 6001) }, 'uid_has_other_name'],
    [
      'is another where the answer about the uid is about another one',
      row,
      { alice: passwd('alice', 6001), 6001: passwd('alice', 7001) },
      'uid_has_other_name',
    ],
  ])('%s', async (_, token, entries, drift) => {
    expect(await findIdentityDrift(token, build(entries))).toBe(drift)
  }) // prettier-ignore

  it('asks nobody about a row without a uid', async () => {
    await findIdentityDrift({ slurmUser: 'alice', uid: null }, build(ALICE))
    expect(calls()).toEqual([])
  })
})
