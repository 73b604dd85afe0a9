import { describe, expect, it } from 'vitest'
import {
  findServiceUserWarnings,
  isProblem,
  readServiceUser,
  type Restriction,
  type ServiceUser,
} from '../../src/tokens/service-user.ts'

/** As slurmrestd 22.05.8, 24.11.5 and 26.05.5 answered `GET /slurmdb/{version}/user/{name}`, without the unread. */
type Row = readonly [account: string, partition?: string]
interface Shape {
  readonly level: string
  readonly rows: readonly Row[]
  readonly coordinates: readonly string[]
}

const OLD = {
  answer: (name: string, { level, rows, coordinates }: Shape) => ({
    meta: { plugin: { type: 'openapi/dbv0.0.38' }, Slurm: { release: '22.05.8' } },
    errors: [],
    users: [
      {
        administrator_level: level,
        associations: rows.map(([account, partition]) => ({
          ...{ account, cluster: 'u22', partition: partition ?? null, user: name },
        })),
        coordinators: coordinates.map((account) => ({ name: account, direct: 1 })),
        default: { account: rows[0]?.[0], wckey: '' },
        name,
      },
    ],
  }),
  // 400 in v0.0.36, 500 in v0.0.37 and v0.0.38.
  unknown: {
    errors: [{ description: 'Nothing found', error_number: 9003, error: 'Nothing found with query' }],
    users: [],
  },
}

const NEW = {
  answer: (name: string, { level, rows, coordinates }: Shape) => ({
    users: [
      {
        administrator_level: [level],
        associations: rows.map(([account, partition], id) => ({
          ...{ account, cluster: 'u24', partition: partition ?? '', user: name, id },
        })),
        coordinators: coordinates.map((account) => ({ name: account, direct: true })),
        default: { account: rows[0]?.[0], wckey: '' },
        flags: ['NONE'],
        name,
        wckeys: [],
      },
    ],
    meta: { slurm: { release: '24.11.5', cluster: 'u24' } },
    errors: [],
    warnings: [{ description: 'Expected OpenAPI type=boolean …', source: '#/with_assocs/' }],
  }),
  // 200.
  unknown: {
    users: [],
    meta: { slurm: { release: '26.05.5', cluster: 'u26' } },
    errors: [],
    warnings: [{ description: 'slurmdb_users_get() found nothing', source: '_dump_users' }],
  },
}

const PLAIN: Shape = { level: 'None', rows: [['own']], coordinates: [] }
const OWN: Restriction = { slurmUser: 'svc', account: 'own', scopes: ['slurm:jobs:manage'] }
const ANY: Restriction = { ...OWN, account: null }

function require(user: ServiceUser | null): ServiceUser {
  if (user === null) throw new Error('not understood')
  return user
}

describe.each([
  ['v0.0.36 to 38', OLD],
  ['v0.0.40 to 45', NEW],
] as const)('an answer of %s', (_, form) => {
  const find = (shape: Partial<Shape>, token = OWN) =>
    findServiceUserWarnings(
      require(readServiceUser('svc', form.answer('svc', { ...PLAIN, ...shape }))),
      token,
    )
  const findCodes = (shape: Partial<Shape>, token = OWN) => find(shape, token).map(({ code }) => code)

  it('about a user with one association is nothing to warn of', () => {
    expect(find({})).toEqual([])
  })

  it('about two accounts names them, and the way out', () => {
    const [warning, ...more] = find({ rows: [['oth'], ['own']] })
    expect(more).toEqual([])
    expect(warning?.code).toBe('several_accounts')
    expect(warning?.text).toContain('2 accounts (oth, own)')
    expect(warning?.text).toContain('sbatch -A oth')
    expect(warning?.text).toContain('sacctmgr add user NEWUSER account=own')
  })

  it('about one account in several partitions says so, which --strict takes', () => {
    const warnings = find({ rows: [['own', 'main'], ['own', 'dbg']] }) // prettier-ignore
    expect(warnings.map((warning) => [warning.code, isProblem(warning)])).toEqual([
      ['partitions_only', false],
    ])
    expect(warnings[0]?.text).toContain('dbg, main')
  })

  it.each(['Operator', 'Administrator', 'Something new'])('about an admin level (%s) names it', (level) => {
    expect(findCodes({ level })).toEqual(['admin_level'])
    expect(findCodes({ level }, ANY)).toEqual(['admin_level'])
    expect(find({ level })[0]?.text).toContain(level)
  })

  it('about a coordinator names the accounts', () => {
    const warnings = find({ coordinates: ['own', 'oth'] }, ANY)
    expect(warnings.map(({ code }) => code)).toEqual(['coordinator'])
    expect(warnings[0]?.text).toContain('sacctmgr delete coordinator account=oth,own names=svc')
  })

  it('about an unknown user says that there is none, whatever the token', () => {
    const user = require(readServiceUser('svc', form.unknown))
    expect(user.exists).toBe(false)
    for (const token of [OWN, ANY]) {
      expect(findServiceUserWarnings(user, token).map(({ code }) => code)).toEqual(['user_unknown'])
    }
  })

  it('about a user outside the token’s account says that the token can never submit', () => {
    expect(findCodes({ rows: [['oth']] })).toEqual(['account_not_associated'])
    expect(findCodes({ rows: [] })).toEqual(['account_not_associated'])
    expect(findCodes({ rows: [['oth'], ['third']] })).toEqual(['several_accounts', 'account_not_associated'])
  })

  it('about accounts says nothing of a token for any account', () => {
    expect(findCodes({ rows: [['oth'], ['own', 'main']] }, ANY)).toEqual([])
    expect(findCodes({ rows: [] }, ANY)).toEqual([])
  })

  it('about power says nothing of a token with administrative scopes, which need it', () => {
    const token: Restriction = { ...ANY, scopes: ['slurm:read', 'slurm:nodes:manage'] }
    expect(findCodes({ level: 'Operator', coordinates: ['own'] }, token)).toEqual([])
  })

  it('is about the user whatever the case of its name: slurmdbd folds it (measured)', () => {
    expect(readServiceUser('Svc', form.answer('svc', PLAIN))?.exists).toBe(true)
    expect(readServiceUser('svc', form.answer('svc', { ...PLAIN, rows: [['OWN']] }))?.accounts).toEqual([
      'own',
    ])
  })

  it('that leaves something out is not taken for harmless', () => {
    const whole = form.answer('svc', PLAIN)
    for (const field of ['administrator_level', 'associations', 'coordinators', 'name']) {
      const users = whole.users.map((user) => ({ ...user, [field]: undefined }))
      expect([field, readServiceUser('svc', { ...whole, users })]).toEqual([field, null])
    }
    const nameless = whole.users.map((user) => ({ ...user, associations: [{ cluster: 'u24' }] }))
    expect(readServiceUser('svc', { ...whole, users: nameless })).toBeNull()
  })
})

describe('an answer', () => {
  it.each([
    ['about somebody else', NEW.answer('other', PLAIN)],
    ['without users', { meta: {}, errors: [], warnings: [] }],
    ['that is no object', []],
    // 24.11 502 for a wrong key, 22.05 500 for one, 22.05 400/500 without slurmdbd.
    ['that failed', { errors: [{ description: 'Failed to open slurmdbd connection', error_number: 7000 }] }],
    ['of a refused Slurm token', { errors: [{ error_number: 1007 }], users: [] }],
    ['with another error', { errors: [{ error_number: 9003 }, { error_number: 7000 }], users: [] }],
  ])('%s says nothing about the user', (_, answer) => {
    expect(readServiceUser('svc', answer)).toBeNull()
  })

  it('names its cluster: an association elsewhere lets nobody submit here, but jobs can go there', () => {
    const whole = NEW.answer('svc', PLAIN)
    const build = (...places: (readonly [account: string, cluster: string])[]) => {
      const associations = places.map(([account, cluster]) => ({ account, cluster, partition: '' }))
      const users = whole.users.map((user) => ({ ...user, associations }))
      return require(readServiceUser('svc', { ...whole, users }))
    }
    const codes = (user: ServiceUser) => findServiceUserWarnings(user, OWN).map(({ code }) => code)
    expect(codes(build(['own', 'u24'], ['own', 'other']))).toEqual([])
    expect(codes(build(['own', 'other']))).toEqual(['account_not_associated'])
    expect(codes(build(['own', 'u24'], ['oth', 'other']))).toEqual(['several_accounts'])
  })
})
