/** `slurmgate token rotate`, against a real Postgres: a new token in an old one's place, whole or not at all. */

import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CommandFailure, UsageError } from '../../functions/cli/command.ts'
import { rotate } from '../../functions/cli/token-rotate.ts'
import { judgeTokenRecord } from '../../src/authenticate.ts'
import { isRefusal } from '../../src/refusal.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { checkIssueRequest } from '../../src/tokens/issue-rules.ts'
import { buildRotationRequest, rotateToken } from '../../src/tokens/rotate-token.ts'
import { digestToken } from '../../src/tokens/token-form.ts'
import { findToken } from '../../src/tokens/token-register.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { findAnyUid } from '../support/cli.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { buildTokenRow, createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const OLD = 'tok_aaaaaaaaaaaaaaaa'
const OLD_DIGEST = new Uint8Array(32).fill(7)
const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Of the rotation: the old token has lived for 60 of its 90 days. */
const NOW = Date.parse('2027-03-02T00:00:00.400Z')
const LIFE = { created_at: new Date('2027-01-01T00:00:00Z'), expires_at: new Date('2027-04-01T00:00:00Z') }

let store: TokenDatabase
beforeAll(async () => {
  store = await createTokenDatabase()
})
beforeEach(() => reset())
afterAll(async () => {
  await store.sql.end()
  await stopOwnPostgres()
})

async function reset(change: Readonly<Record<string, unknown>> = {}): Promise<void> {
  await store.sql`truncate api_tokens`
  await store.sql`insert into api_tokens ${store.sql(buildTokenRow({ ...LIFE, ...change }))}`
}

const dump = () => store.sql`select * from api_tokens order by id`

interface Run {
  readonly environment?: Readonly<Record<string, string>>
  readonly isTerminal?: boolean
  readonly random?: (length: number) => Uint8Array<ArrayBuffer>
}

async function run(parameters: readonly string[], { environment, isTerminal = false, random }: Run = {}) {
  const printed: string[] = []
  const notes: string[] = []
  const exitCode = await rotate(parameters, {
    env: { DATABASE_URL: store.url, USER: 'operator', ...environment },
    isTerminal,
    userName: 'ops',
    clock: () => NOW,
    randomBytes: random ?? ((length) => new Uint8Array(randomBytes(length))),
    findUid: findAnyUid,
    packageFolder: '',
    print: (text) => printed.push(text),
    note: (line) => notes.push(line),
    readStdin: () => Promise.resolve(new Uint8Array(0)),
  })
  return { exitCode, stdout: printed.join(''), notes }
}

interface Printed {
  readonly id: string
  readonly token: string
  readonly expires_at: string | null
  readonly replaces: { readonly id: string; readonly ends_at: string }
}

async function rotateOld(...parameters: readonly string[]): Promise<Printed> {
  const { exitCode, stdout } = await run([OLD, ...parameters, '--json'])
  expect(exitCode).toBe(0)
  return JSON.parse(stdout) as Printed
}

/** What the gate makes of a token at a time: the rule of its refusal, or `works`. */
async function findVerdict(digest: Uint8Array, at: number): Promise<string> {
  const { db, close } = openDatabase(store.url, { max: 1 })
  const record = await createTokenStore(db).findByDigest(digest)
  await close()
  if (record === null) return 'token_unknown'
  const options = { now: () => at, deniedUsers: new Set<string>(), areAdminScopesOn: false }
  const judged = judgeTokenRecord(record, options)
  return isRefusal(judged) ? judged.rule : 'works'
}

describe('the new token', () => {
  it('is like the old one, with a life of the same length from now on, by who rotated it', async () => {
    const { id, token, expires_at } = await rotateOld('--issued-by', 'on-call')
    expect(token).toMatch(/^slg_[A-Za-z0-9_-]{49}$/)
    expect(expires_at).toBe('2027-05-31T00:00:00.000Z')
    const [before, after] = [(await dump()).find((row) => row['id'] === OLD), (await dump()).find((row) => row['id'] === id)]
    const { name, slurm_user, scopes, account, format } = buildTokenRow()
    expect(after).toMatchObject({ name, slurm_user, scopes, account, format, replaced_by: null })
    expect(after).toMatchObject({
      issued_by: 'on-call',
      created_at: new Date('2027-03-02T00:00:00Z'),
      expires_at: new Date('2027-05-31T00:00:00Z'),
    })
    expect(before).toMatchObject({ replaced_by: id, issued_by: 'operator', revoked_at: null })
    expect(await findVerdict(await digestToken(token), NOW)).toBe('works')
  }) // prettier-ignore

  it.each([
    ['never', { expires_at: null }, null],
    ['opaque', { format: 'imported' }, '2027-05-31T00:00:00.000Z'],
  ])('is %s where the old one was %j', async (_, change, expiresAt) => {
    await reset(change)
    const { token, expires_at } = await rotateOld()
    expect([expires_at, token.slice(0, 4)]).toEqual([expiresAt, 'slg_'])
  })

  it('is a JWT for any account where the old one was, with the new dates', async () => {
    await reset({ format: 'jwt', account: null })
    const { id, token } = await rotateOld()
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object
    expect(claims).toMatchObject({ jti: id, sun: 'alice', exp: Date.parse('2027-05-31T00:00:00Z') / 1000 })
    expect((await dump()).map((row) => row['account'] as unknown)).toEqual([null, null])
  })

  it('is alone on a pipe, and shown once on a terminal', async () => {
    const piped = await run([OLD])
    expect(piped.stdout).toMatch(/^slg_[A-Za-z0-9_-]{49}\n$/)
    expect(piped.notes[0]).toMatch(/^issued tok_[a-z2-7]{16} \(nightly\)$/)
    expect(piped.notes[1]).toBe(`${OLD} ends 2027-03-03 00:00 UTC`)
    await reset()
    const shown = await run([OLD], { isTerminal: true })
    expect(shown.stdout).toMatch(/^id +tok_.*\n(.*\n)*account +phys\n/)
    expect(shown.stdout.match(/slg_[A-Za-z0-9_-]{49}/g)).toHaveLength(1)
    expect(shown.notes.join('\n')).not.toContain('slg_')
  })
})

describe('the old token', () => {
  it.each<[string, readonly string[], number]>([
    ['24 hours', [], NOW + DAY],
    ['what --grace says', ['--grace', '30m'], NOW + HOUR / 2],
    ['its own end where that comes first', ['--grace', '60d'], LIFE.expires_at.getTime()],
  ])('works for %s, and not after', async (_, parameters, end) => {
    const { replaces } = await rotateOld(...parameters)
    const endsAt = Date.parse(replaces.ends_at)
    expect(replaces.id).toBe(OLD)
    // Whole seconds count, rounded down.
    expect(Math.floor(endsAt / 1000)).toBe(Math.floor(end / 1000))
    const lastSecond = Math.floor(endsAt / 1000) * 1000
    expect(await findVerdict(OLD_DIGEST, lastSecond - 1)).toBe('works')
    expect(await findVerdict(OLD_DIGEST, lastSecond)).toBe('token_expired')
  })

  it('ends after the grace also where it had no end', async () => {
    await reset({ expires_at: null })
    await rotateOld()
    expect(await findVerdict(OLD_DIGEST, NOW + DAY - 1000)).toBe('works')
    expect(await findVerdict(OLD_DIGEST, NOW + DAY)).toBe('token_expired')
  })

  it('is revoked at once with --grace 0, and the new one works', async () => {
    const { token } = await rotateOld('--grace', '0')
    expect(await findVerdict(OLD_DIGEST, NOW)).toBe('token_revoked')
    expect(await findVerdict(await digestToken(token), NOW)).toBe('works')
  })

  it('can be revoked within the grace', async () => {
    await rotateOld()
    await store.sql`update api_tokens set revoked_at = now() where id = ${OLD}`
    expect(await findVerdict(OLD_DIGEST, NOW)).toBe('token_revoked')
  })
})

describe('nothing is issued and nothing changed', () => {
  it.each<[string, Readonly<Record<string, unknown>>, RegExp, Record<string, string>]>([
    ['is revoked', { revoked_at: new Date(NOW - 1) }, /^tok_a+ is revoked; issue a new token$/, {}],
    ['has expired', { expires_at: new Date(NOW) }, /^tok_a+ is expired; issue a new token$/, {}],
    ['was rotated', { replaced_by: 'tok_bbbbbbbbbbbbbbbb' }, /rotated before; .* tok_bbbbbbbbbbbbbbbb$/, {}],
    ['acts as a denied user', {}, /no token acts as alice/, { SLURM_DENIED_USERS: 'alice' }],
    ['has a scope that is closed', { account: null, scopes: ['slurm:reconfigure'] }, /ADMIN_SCOPES=on/, {}],
  ])('where the token %s', async (_, change, message, environment) => {
    await reset(change)
    const before = await dump()
    const failure = await run([OLD], { environment }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(CommandFailure)
    expect((failure as Error).message).toMatch(message)
    expect(await dump()).toEqual(before)
  }) // prettier-ignore

  it('where there is no such token', async () => {
    await expect(run(['tok_bbbbbbbbbbbbbbbb'])).rejects.toThrow(/^there is no token tok_bbbbbbbbbbbbbbbb$/)
    expect(await dump()).toHaveLength(1)
  })

  it.each([
    [[]],
    [[`slg_${'a'.repeat(49)}`]],
    [[OLD, '--grace']],
    [[OLD, '--grace', '24']],
    [[OLD, '--grace', '-1h']],
    [[OLD, '--grace', 'never']],
    [[OLD, '--grace', '91d']],
    [[OLD, '--grace', '999999999w']],
    [[OLD, '--issued-by', ' ']],
    [[OLD, '--expires', '1d']],
  ])('with %j, which is no usage', async (parameters) => {
    const before = await dump()
    const failure = await run(parameters).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(UsageError)
    expect(String(failure)).not.toContain('slg_')
    expect(await dump()).toEqual(before)
  })

  it('where the new row cannot be written: the old one keeps its end', async () => {
    const taken = buildTokenRow({ ...LIFE, id: 'tok_bbbbbbbbbbbbbbbb', digest: Buffer.alloc(32, 8) })
    await store.sql`insert into api_tokens ${store.sql(taken)}`
    const before = await dump()
    const random = (length: number) => new Uint8Array(length).fill(1)
    await expect(run([OLD], { random })).rejects.toThrow()
    expect(await dump()).toEqual(before)
  })
})

describe('two rotations at a time', () => {
  it('never both succeed: one issues, the others change nothing', async () => {
    const { db, close } = openDatabase(store.url, { max: 8 })
    const old = await findToken(db, OLD)
    const rules = { deniedUsers: new Set<string>(), areAdminScopesOpen: false, nowSeconds: NOW / 1000 }
    const order = old === null ? null : checkIssueRequest(buildRotationRequest(old, 'operator'), rules)
    if (order?.kind !== 'issue-order') throw new Error('no order')
    const ports = {
      clock: () => NOW,
      seals: null,
      randomBytes: (length: number) => new Uint8Array(randomBytes(length)),
    }
    // All of them have seen the token as it was.
    const plan = { graceSeconds: 60, buildOrder: () => order, foundUid: null }
    const rotations = Array.from({ length: 8 }, () => rotateToken(db, OLD, plan, ports))
    const won = (await Promise.all(rotations)).filter((outcome) => outcome?.kind === 'rotated')
    await close()
    expect(won).toHaveLength(1)
    const rows = await dump()
    expect(new Set(rows.map((row) => String(row['id'])))).toEqual(new Set([OLD, won[0]?.issued.id]))
    expect(rows).toHaveLength(2)
    expect(rows.find((row) => row['id'] === OLD)).toMatchObject({ replaced_by: won[0]?.issued.id })
  })

  it('of commands: one prints a token, the others say why they do not', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => run([OLD])))
    const printed = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.stdout] : []))
    const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : []))
    expect([printed.length, reasons.length, (await dump()).length]).toEqual([1, 3, 2])
    for (const reason of reasons) expect(reason).toMatch(/rotated before|changed meanwhile/)
    expect(await findVerdict(await digestToken(printed[0]?.trim() ?? ''), NOW)).toBe('works')
  }) // prettier-ignore
})
