/** The seal of a row, without a database: what it covers, and that no two rows have one encoding. */

import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { encodeRow, findSealProblem, sealRow, type SealableRow } from '../../src/tokens/row-seal.ts'
import { parseRowKeys, readSealRules } from '../../src/tokens/row-seal-settings.ts'

const KEY = new Uint8Array(32).fill(1)
const OTHER_KEY = new Uint8Array(40).fill(2)
const RULES = { keys: [KEY], notBefore: null }

const ROW = {
  id: 'tok_aaaaaaaaaaaaaaaa',
  digest: new Uint8Array(32).fill(7),
  slurmUser: 'alice',
  uid: 6001,
  account: 'phys',
  scopes: ['slurm:read', 'slurm:jobs:manage'],
  format: 'opaque',
  createdAt: 1_800_000_000,
  expiresAt: 1_900_000_000,
  revokedAt: null,
  replacedBy: null,
  policyVersion: 1,
  sealedAt: 1_800_000_001,
} as const satisfies SealableRow

const seal = (row: SealableRow = ROW, key = KEY) => sealRow(row, [key])

describe('a sealed row', () => {
  it('is intact as it was sealed', async () => {
    expect(await findSealProblem({ ...ROW, seal: await seal() }, RULES)).toBeNull()
  })

  it('is sealed and looked at with keys that were imported once', async () => {
    const importKey = vi.spyOn(crypto.subtle, 'importKey')
    const keys = [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)]
    for (let index = 0; index < 5; index += 1) {
      const sealed = { ...ROW, seal: await sealRow(ROW, keys) }
      expect(await findSealProblem(sealed, { keys: keys.toReversed(), notBefore: null })).toBeNull()
    }
    expect(importKey).toHaveBeenCalledTimes(2)
    importKey.mockRestore()
  })

  it('has the HMAC-SHA256 of this text, in this form for good', async () => {
    const text = `["slurmgate token row 1","tok_aaaaaaaaaaaaaaaa",[${Array(32).fill(7).join()}],"alice",6001,"phys",["slurm:read","slurm:jobs:manage"],"opaque",1800000000,1900000000,null,null,1,1800000001]`
    expect(Buffer.from(await seal())).toEqual(createHmac('sha256', KEY).update(text).digest())
  })

  it.each<[keyof SealableRow, Partial<SealableRow>]>([
    ['id', { id: 'tok_bbbbbbbbbbbbbbbb' }],
    ['digest', { digest: new Uint8Array(32).fill(8) }],
    ['digest', { digest: new Uint8Array(31).fill(7) }],
    ['slurmUser', { slurmUser: 'bob' }],
    ['uid', { uid: 6002 }],
    ['uid', { uid: null }],
    ['account', { account: 'chem' }],
    ['account', { account: '' }],
    ['account', { account: null }],
    ['account', { account: 'null' }],
    ['scopes', { scopes: ['slurm:read'] }],
    ['scopes', { scopes: ['slurm:jobs:manage', 'slurm:read'] }],
    ['scopes', { scopes: ['slurm:read', 'slurm:jobs:manage', 'slurm:jobs:manage'] }],
    ['scopes', { scopes: ['slurm:read,slurm:jobs:manage'] }],
    ['format', { format: 'jwt' }],
    ['createdAt', { createdAt: ROW.createdAt - 1 }],
    ['expiresAt', { expiresAt: ROW.expiresAt + 1 }],
    ['expiresAt', { expiresAt: null }],
    ['revokedAt', { revokedAt: 1_850_000_000 }],
    ['replacedBy', { replacedBy: 'tok_bbbbbbbbbbbbbbbb' }],
    ['policyVersion', { policyVersion: 2 }],
    ['sealedAt', { sealedAt: ROW.sealedAt + 1 }],
    ['sealedAt', { sealedAt: null }],
  ])('is altered once its %s is another: %j', async (_, change) => {
    expect(await findSealProblem({ ...ROW, ...change, seal: await seal() }, RULES)).toBe('altered')
  })

  it('is altered once its seal is: by a bit, by its length, by the seal of another row', async () => {
    const right = await seal()
    const bit = right.map((byte, index) => (index === 31 ? byte ^ 1 : byte))
    const others = [bit, right.slice(1), new Uint8Array(0), new Uint8Array(32), new Uint8Array([...right, 0])]
    others.push(await seal({ ...ROW, id: 'tok_bbbbbbbbbbbbbbbb' }))
    for (const wrong of others) expect(await findSealProblem({ ...ROW, seal: wrong }, RULES)).toBe('altered')
  })

  it('is unsealed without a seal, whatever it says of when it was sealed', async () => {
    expect(await findSealProblem({ ...ROW, seal: null, sealedAt: null }, RULES)).toBe('unsealed')
    expect(await findSealProblem({ ...ROW, seal: null }, RULES)).toBe('unsealed')
  })

  it('is too old once it was sealed before the date; an altered one is altered first', async () => {
    const sealed = { ...ROW, seal: await seal() }
    const at = (notBefore: number) => findSealProblem(sealed, { keys: [KEY], notBefore })
    expect([await at(ROW.sealedAt), await at(ROW.sealedAt + 1)]).toEqual([null, 'too_old'])
    const newer = { ...sealed, sealedAt: ROW.sealedAt + 1 }
    expect(await findSealProblem(newer, { keys: [KEY], notBefore: newer.sealedAt })).toBe('altered')
  })
})

describe('keys', () => {
  it('seal with the first and believe all, so that one can follow the other', async () => {
    const [before, after] = [await seal(ROW, KEY), await sealRow(ROW, [OTHER_KEY, KEY])]
    expect(after).toEqual(await seal(ROW, OTHER_KEY))
    const judge = (theSeal: Uint8Array, ...keys: Uint8Array<ArrayBuffer>[]) =>
      findSealProblem({ ...ROW, seal: theSeal }, { keys, notBefore: null })
    expect(await judge(before, OTHER_KEY, KEY)).toBeNull()
    expect(await judge(after, KEY, OTHER_KEY)).toBeNull()
    expect(await judge(before, OTHER_KEY)).toBe('altered')
    expect(await judge(before)).toBe('altered')
  })

  it('are one a line, in base64 of 32 bytes at least', () => {
    const [one, two] = [KEY, OTHER_KEY].map((key) => Buffer.from(key).toString('base64'))
    const parse = (text: string) => parseRowKeys(new TextEncoder().encode(text))
    expect(parse(`${one ?? ''}\n`)).toEqual([KEY])
    expect(parse(`\n${two ?? ''}\r\n\n${one ?? ''}`)).toEqual([OTHER_KEY, KEY])
    for (const bad of [
      '',
      '\n',
      Buffer.alloc(31).toString('base64'),
      '*'.repeat(44),
      `# key\n${one ?? ''}`,
    ]) {
      expect(parse(bad)).toMatch(/^must have /)
    }
    expect(parse(`${one ?? ''}\n`.repeat(9))).toBe('must have 1 to 8 keys, one a line')
  })

  it.each([
    ['2030-01-31T12:00:00Z', 1_896_091_200],
    ['2030-01-31T13:00:00+01:00', 1_896_091_200],
    ['2030-01-31T12:00:00.5Z', null],
    ['2030-02-30T12:00:00Z', null],
    ['90d', null],
    ['never', null],
  ])('TOKENS_NOT_BEFORE=%s is %j', (text, seconds) => {
    const problems: string[] = []
    const readKeyFile = () => new TextEncoder().encode(Buffer.from(KEY).toString('base64'))
    const env = { TOKEN_KEY_FILE: '/key', TOKENS_NOT_BEFORE: text }
    const rules = readSealRules({ env, readKeyFile }, problems)
    expect([rules?.notBefore, problems.length]).toEqual([seconds, seconds === null ? 1 : 0])
  })

  it('are none without TOKEN_KEY_FILE, and a problem by name where the file is no good', () => {
    const problems: string[] = []
    expect(readSealRules({ env: {}, readKeyFile: () => 'unread' }, problems)).toBeNull()
    expect(problems).toEqual([])
    const alone = { TOKENS_NOT_BEFORE: '2030-01-31T12:00:00Z' }
    expect(readSealRules({ env: alone, readKeyFile: () => 'unread' }, problems)).toBeNull()
    expect(problems.splice(0)).toEqual([expect.stringContaining('read only with TOKEN_KEY_FILE')])
    const env = { TOKEN_KEY_FILE: '/secret/path' }
    expect(readSealRules({ env, readKeyFile: () => 'cannot be read (ENOENT)' }, problems)).toBeNull()
    expect(problems).toEqual(['TOKEN_KEY_FILE cannot be read (ENOENT)'])
  })
})

/** Of any UTF-16, lone surrogates, quotes and separators among it. */
const text = fc.oneof(
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
  fc.constantFrom('', 'null', ',', '","', '\\', '\\"', '\ud800', '\\ud800', '[]', '0'),
)
const integer = fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -2, max: 2 })).map((value) => value + 0)
const rows: fc.Arbitrary<SealableRow> = fc.record({
  id: text,
  digest: fc.uint8Array({ maxLength: 4 }),
  slurmUser: text,
  uid: fc.option(integer),
  account: fc.option(text),
  scopes: fc.array(text, { maxLength: 4 }),
  format: text,
  createdAt: integer,
  expiresAt: fc.option(integer),
  revokedAt: fc.option(integer),
  replacedBy: fc.option(text),
  policyVersion: integer,
  sealedAt: integer,
})

/** Reads what was encoded back: where that is possible, no two rows have one encoding. */
function decodeRow(bytes: Uint8Array | null): SealableRow {
  const decoded = new TextDecoder('utf-8', { fatal: true }).decode(bytes ?? new Uint8Array())
  const [, id, digest, slurmUser, uid, account, scopes, format, createdAt, expiresAt, revokedAt, replacedBy, policyVersion, sealedAt] =
    JSON.parse(decoded) as [string, string, number[], string, number | null, string | null, string[], string, number, number | null, number | null, string | null, number, number]
  return { id, digest: Uint8Array.from(digest), slurmUser, uid, account, scopes, format, createdAt, expiresAt, revokedAt, replacedBy, policyVersion, sealedAt }
} // prettier-ignore

describe('the encoding', () => {
  it('can be read back, so that no two rows have one', () => {
    fc.assert(
      fc.property(rows, (row) => {
        expect(decodeRow(encodeRow(row))).toEqual(row)
      }),
    )
  })

  it('differs wherever two rows do, also where one field of them alone does', () => {
    const pairs = fc.tuple(rows, rows, fc.constantFrom(...(Object.keys(ROW) as (keyof SealableRow)[])))
    fc.assert(
      fc.property(pairs, ([left, right, field]) => {
        const near = { ...left, [field]: right[field] }
        const isSame = JSON.stringify(near) === JSON.stringify(left)
        const encodings = [left, near].map((row) => Buffer.from(encodeRow(row) ?? []).toString('hex'))
        expect(encodings[0] === encodings[1]).toBe(isSame)
      }),
    )
  })

  it.each<[string, object]>([
    ['a time that is none', { expiresAt: Number.NaN }],
    ['a time without end', { expiresAt: Number.POSITIVE_INFINITY }],
    ['a part of a second', { createdAt: 0.5 }],
    ['a uid in words', { uid: '6001' }],
    ['an account that is a list', { account: ['phys'] }],
    ['scopes that are a text', { scopes: 'slurm:read' }],
    ['scopes within scopes', { scopes: [['slurm:read']] }],
    ['no scopes', { scopes: null }],
  ])('has no place for %s: such a row is altered, and is not sealed', async (_, change) => {
    const row = { ...ROW, ...change } as SealableRow
    expect(encodeRow(row)).toBeNull()
    await expect(seal(row)).rejects.toThrow(TypeError)
    expect(await findSealProblem({ ...row, seal: new Uint8Array(32) }, RULES)).toBe('altered')
  })
})
