import { describe, expect, it } from 'vitest'
import { checkIssueRequest, type RawIssueRequest } from '../../src/tokens/issue-rules.ts'
import { parseExpiry } from '../../src/tokens/expiry.ts'
import { buildJwtToken, buildOpaqueToken } from '../../src/tokens/token-form.ts'

const NOW = 1_800_000_000 // 2027-01-15T08:00:00Z
const zeros = (length: number) => new Uint8Array(length)
const RULES = {
  deniedUsers: new Set(['root', 'slurm', 'nobody']),
  areAdminScopesOpen: false,
  nowSeconds: NOW,
}
const GOOD: RawIssueRequest = {
  name: 'nightly',
  user: 'alice',
  account: 'phys',
  anyAccount: false,
  scopes: ['slurm:read,slurm:jobs:manage'],
  issuedBy: 'operator',
}

const check = (change: Partial<RawIssueRequest>, rules: Partial<typeof RULES> = {}) =>
  checkIssueRequest({ ...GOOD, ...change }, { ...RULES, ...rules })
const order = (...parameters: Parameters<typeof check>) => {
  const result = check(...parameters)
  if (result.kind !== 'issue-order') throw new Error(JSON.stringify(result.problems))
  return result
}
const problems = (...parameters: Parameters<typeof check>) => {
  const result = check(...parameters)
  return result.kind === 'issue-order' ? [] : result.problems.map(({ kind, text }) => `${kind}: ${text}`)
}

describe('an issue order', () => {
  it('holds what was asked for, with 90 days by default', () => {
    expect(order({})).toEqual({
      kind: 'issue-order',
      name: 'nightly',
      slurmUser: 'alice',
      scopes: ['slurm:read', 'slurm:jobs:manage'],
      account: 'phys',
      expiresAt: NOW + 90 * 86_400,
      form: { format: 'opaque' },
      issuedBy: 'operator',
    })
  })

  it('has its account in lower case, as Slurm compares accounts', () => {
    expect(order({ account: 'PhysX' }).account).toBe('physx')
  })

  it('has each scope once', () => {
    expect(order({ scopes: ['slurm:read', 'slurm:read, slurmdb:read'] }).scopes).toEqual([
      'slurm:read',
      'slurmdb:read',
    ])
  })

  it('has no account only when told so', () => {
    expect(order({ account: undefined, anyAccount: true }).account).toBeNull()
  })
})

describe('an issue request is turned down', () => {
  it.each<[string, Partial<RawIssueRequest>, RegExp]>([
    ['without a name', { name: undefined }, /^usage: --name/],
    ['with a blank name', { name: '  ' }, /^usage: --name/],
    ['with a name of 101 characters', { name: 'n'.repeat(101) }, /^usage: --name/],
    ['with a terminal escape in the name', { name: 'a\u001b[2Jb' }, /^usage: --name/],
    ['with a name that turns text around', { name: 'a\u202eb' }, /^usage: --name/],
    ['without a user', { user: undefined }, /^usage: --user/],
    ['with a uid for a user', { user: '1000' }, /^usage: --user/],
    ['with an option for a user', { user: '-alice' }, /^usage: --user/],
    ['with two users', { user: 'alice,bob' }, /^usage: --user/],
    ['for a denied user', { user: 'root' }, /^refused: no token acts as root/],
    ['for a denied user in capitals', { user: 'Root' }, /^refused: no token acts as Root/],
    ['with neither account nor --any-account', { account: undefined }, /^usage: say either/],
    ['with account and --any-account', { anyAccount: true }, /^usage: say either/],
    ['with an empty account', { account: '' }, /^usage: --account/],
    ['with two accounts', { account: 'a,b' }, /^usage: --account/],
    ['without a scope', { scopes: [] }, /^usage: --scope/],
    ['with an empty scope', { scopes: ['slurm:read,'] }, /^usage: --scope/],
    ['with an unknown scope', { scopes: ['slurm:write'] }, /^usage: --scope/],
    ['with an unknown format', { format: 'jws' }, /^usage: --format/],
    ['with an expiry nobody understands', { expires: 'tomorrow' }, /^usage: --expires/],
    ['with an expiry in the past', { expires: '2027-01-15T07:59:59Z' }, /^refused: --expires is in the past/],
    ['with an expiry now', { expires: '2027-01-15T08:00:00Z' }, /^refused: --expires is in the past/],
    ['with an expiry in eleven years', { expires: '4015d' }, /^refused: --expires is more than ten years/],
    ['without anybody who issues it', { issuedBy: undefined }, /^usage: --issued-by/],
  ])('%s', (_, change, expected) => {
    expect(problems(change)).toEqual([expect.stringMatching(expected)])
  })

  it('with all its problems at once', () => {
    expect(
      problems({ name: '', user: 'root', scopes: ['x'], account: undefined, expires: 'x' }),
    ).toHaveLength(5)
  })
})

describe("administrator's scopes", () => {
  const admin = { scopes: ['slurm:nodes:manage'], account: undefined, anyAccount: true }
  it('are closed unless ADMIN_SCOPES is on', () => {
    expect(problems(admin)).toEqual([expect.stringMatching(/^refused: slurm:nodes:manage: closed/)])
    expect(order(admin, { areAdminScopesOpen: true }).scopes).toEqual(['slurm:nodes:manage'])
  })
  it('never go with an account', () => {
    const confined = { ...admin, account: 'phys', anyAccount: false }
    expect(problems(confined, { areAdminScopesOpen: true })).toEqual([
      expect.stringMatching(/^refused: slurm:nodes:manage: never with an account/),
    ])
  })
})

describe('an imported token', () => {
  const importing = (importedToken: string) => ({ importedToken })
  const jwt = { id: 'tok_aaaaaaaaaaaaaaaa', slurmUser: 'alice', issuedAt: NOW, expiresAt: null }

  it('loses one line end and nothing else', () => {
    const token = 'a'.repeat(32)
    for (const raw of [token, `${token}\n`, `${token}\r\n`]) {
      expect(order(importing(raw)).form).toEqual({ format: 'imported', token })
    }
  })

  it.each([
    ['two line ends', `${'a'.repeat(32)}\n\n`],
    ['a blank before it', ` ${'a'.repeat(32)}`],
    ['31 characters', 'a'.repeat(31)],
    ['4097 characters', 'a'.repeat(4097)],
    ['nothing in it', ''],
    ['our own form', buildOpaqueToken(zeros)],
    ['our own form with a wrong checksum', 'slg_' + 'a'.repeat(49)],
    ['our own JWT form', buildJwtToken(jwt, zeros)],
    ['a Slurm JWT', buildJwtToken(jwt, zeros).replace(/^[^.]+/, btoa('{"alg":"HS256"}').replace(/=/g, ''))],
  ])('with %s is refused, and is not repeated', (_, raw) => {
    const [problem = '', ...more] = problems(importing(raw))
    expect(problem).toMatch(/^refused: the token on stdin/)
    expect(more).toEqual([])
    if (raw !== '') expect(problem).not.toContain(raw.trim())
  })

  it('takes no --format', () => {
    expect(problems({ importedToken: 'a'.repeat(32), format: 'jwt' })).toEqual([
      expect.stringMatching(/^usage: --format/),
    ])
  })
})

describe('an expiry', () => {
  it.each([
    ['90d', NOW + 90 * 86_400],
    ['12h', NOW + 12 * 3_600],
    ['30m', NOW + 1_800],
    ['2w', NOW + 14 * 86_400],
    ['never', null],
    ['2030-01-31T12:00:00Z', 1_896_091_200],
    ['2030-01-31t12:00:00z', 1_896_091_200],
    ['2030-01-31T14:00:00.999+02:00', 1_896_091_200],
    ['2028-02-29T00:00:00Z', 1_835_395_200],
  ])('of %s is understood', (raw, expected) => {
    expect(parseExpiry(raw, NOW)).toBe(expected)
  })

  it.each([
    '',
    '0d',
    '-1d',
    '90',
    'd',
    '1.5d',
    '90 d',
    '90d ',
    'Never',
    '1y',
    '99999999999d',
    '2030-01-31',
    'NaN',
    '2030-01-31T12:00:00',
    '2030-01-31 12:00:00Z',
    '2030-02-30T12:00:00Z',
    '2030-13-01T12:00:00Z',
    '2030-01-31T25:00:00Z',
    '2027-02-29T00:00:00Z',
  ])('of "%s" is not', (raw) => {
    expect(parseExpiry(raw, NOW)).toBe('malformed')
  })
})
