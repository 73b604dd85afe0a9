/** facts/slurm.md "What the gate has to be built on", 9: exact templates, canonical ids, rebuilt from parsed parts. */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { buildPath, findOperation, formatVersion, parseSegments } from '../../src/operation.ts'
import type { Principal } from '../../src/principal.ts'
import { ROUTES } from '../../src/policy/route-table.ts'
import {
  ALL_VERSIONS,
  buildToken,
  MUNGE_ALICE,
  parsePath,
  requireOperation,
  ruleOf,
} from './in-memory-ports.ts'
import { fillTemplate } from './slurm-routes.ts'

type Versions = readonly number[]

function find(
  method: string,
  path: string,
  principal: Principal = MUNGE_ALICE,
  versions: Versions = ALL_VERSIONS,
) {
  return findOperation({ method, segments: parsePath(path) }, principal, versions)
}
const ruleFor = (...given: Parameters<typeof find>) => ruleOf(find(...given))

describe('a version', () => {
  it('latest is the numerically highest served', () => {
    expect(find('GET', '/slurm/latest/jobs', MUNGE_ALICE, [9, 40, 41])).toMatchObject({ version: 41 })
    expect(ruleFor('GET', '/slurm/latest/jobs', MUNGE_ALICE, [])).toBe('version_not_served')
  })

  it.each(['v0.0.39', 'v0.0.4', 'v0.0.410', 'v0.0.041', 'V0.0.41', 'LATEST', 'v0.0.41 ', '0.0.41', 'v0.0.4e1', 'v0.0.0x29', 'v0.0.-41', 'v0.0.４１', 'v0.0.41.0', 'jobs'])(
    '%j is not served where v0.0.40 and v0.0.41 are, before anything is said about the path', (version) => {
      for (const rest of ['jobs', 'nope']) {
        const path = `/slurm/${encodeURIComponent(version)}/${rest}`
        expect(ruleFor('PUT', path, MUNGE_ALICE, [40, 41])).toBe('version_not_served')
      }
    },
  ) // prettier-ignore
})

describe('a job id', () => {
  const free = buildToken(['slurm:read'])
  const bound = buildToken(['slurm:read'], 'own')

  it.each(['1', '10', '4711', '67108865', '4294967293'])('%s is canonical', (id) => {
    for (const principal of [MUNGE_ALICE, free, bound]) {
      expect(find('GET', `/slurm/v0.0.42/job/${id}`, principal)).toMatchObject({ ids: { '{job_id}': id } })
    }
  })

  it.each([
    '0', '01', '0x1', '1e1', '+1', '-1', '1.0', '1.batch', '1_', '1__2', '1_02', '1+2_3', '1_[1-3]', 's1', '%201', '1%20', '1%0a', '1%00', '１',
    '4294967294', '4294967295', '4294967296', '99999999999999999999', '1,2', '1;2', 'NaN', 'null', '*', '1%25', '~1',
  ])('%s is refused for every caller and method: daemons read it as some job, not always the same one', (id) => {
    for (const principal of [MUNGE_ALICE, free, bound]) {
      for (const method of ['GET', 'POST', 'DELETE']) {
        expect(find(method, `/slurm/v0.0.42/job/${id}`, principal).kind, method).toBe('refusal')
      }
    }
  }) // prettier-ignore

  it.each([['1_2', '1_2'], ['1+1', '1+1'], ['1%2B1', '1+1']])('%s is a task or component for everybody who reads, and no target for the writes of a token with an account', (raw, id) => {
    const ids = { '{job_id}': id }
    for (const principal of [MUNGE_ALICE, free]) {
      expect(find('DELETE', `/slurm/v0.0.42/job/${raw}`, principal)).toMatchObject({ ids })
    }
    expect(find('GET', `/slurm/v0.0.42/job/${raw}`, bound)).toMatchObject({ ids })
    for (const [method, end] of [['POST', ''], ['DELETE', ''], ['GET', '/requeue']] as const) {
      const refusal = find(method, `/slurm/v0.0.45/job/${raw}${end}`, bound)
      expect(refusal).toMatchObject({ rule: 'path_id_malformed', description: expect.stringContaining('whole jobs') as string })
    }
    const other = find('DELETE', '/slurm/v0.0.42/job/007', bound)
    expect(other).toMatchObject({ rule: 'path_id_malformed' })
    expect(other).not.toHaveProperty('description')
  }) // prettier-ignore
})

describe('a name', () => {
  it.each(['n1', 'node-01.cluster', '_x', 'a@b', 'a+b', 'a:b', 'Ab9', 'x'.repeat(255), '%6e1'])('%s is taken', (name) => {
    expect(find('GET', `/slurm/v0.0.42/node/${name}`).kind).toBe('operation')
  }) // prettier-ignore

  it.each(['submit', 'allocate', 'requeue', 'state', 'ping'])('%s is a name like any other where no route is called so', (name) => {
    for (const path of ['/slurm/v0.0.42/partition/', '/slurmdb/v0.0.42/user/', '/slurmdb/v0.0.42/account/']) {
      expect(find('GET', path + name)).toMatchObject({ kind: 'operation', ids: { '{name}': name } })
    }
  }) // prettier-ignore

  it.each([
    'n[1-3]', 'n1,n2', '-x', '.', '..', '.x', 'a b', 'a%2fb', 'a%2Fb', 'a%5cb', 'a%00', 'a%0d%0ab', 'a%7f', 'a%3fb', 'a%23b', 'a%25b', 'a%252fb',
    'a;b', 'a*', 'a"', "a'", 'a=b', 'a&b', 'é', '%ff', '%', '%zz', '%c0%af', 'x'.repeat(256), '~', '$x', '%e2%80%ae',
  ])('%s is refused', (name) => {
    expect(find('GET', `/slurm/v0.0.42/node/${name}`).kind).toBe('refusal')
    expect(find('DELETE', `/slurm/v0.0.42/partition/${name}`).kind).toBe('refusal')
  }) // prettier-ignore

  it.each(['submit', 'allocate'])('the literal job/%s is never a job id', (literal) => {
    expect(ruleFor('POST', `/slurm/v0.0.42/job/${literal}`)).toBe('operation')
    expect(ruleFor('GET', `/slurm/v0.0.42/job/${literal}`)).toBe('method_not_allowed')
  })
})

describe('a path', () => {
  it.each(['/slurm/v0.0.42/jobs', '/slurm/v0.0.42/jobs/', '//slurm///v0.0.42//jobs//', '/slurm/v0.0.42/jo%62s', '/slurm/./v0.0.42/x/../jobs'])(
    '%s is the canonical one', (path) => {
      expect(buildPath(requireOperation('GET', path))).toBe('/slurm/v0.0.42/jobs')
    },
  ) // prettier-ignore

  it.each([
    '/', '/slurm', '/slurm/v0.0.42', '/slurm/v0.0.42/', '/slurm/v0.0.42/Jobs', '/SLURM/v0.0.42/jobs', '/slurm/v0.0.42/jobs/x', '/slurm/v0.0.42/job',
    '/slurm/v0.0.42/accounts', '/slurm%2fv0.0.42%2fjobs', '/slurm/v0.0.42%2fjobs', '/slurm/v0.0.42/jobs%00', '/slurm/v0.0.42/jobs%3fx', '/slurm/v0.0.42/jobs;x',
    '/slurm/v0.0.42/%2e%2e%2fv0.0.42/jobs', '/slurm/v0.0.42/jobs%', '/__proto__/v0.0.42/jobs', '/slurm/v0.0.42/constructor', '/slurm/v0.0.42/{job_id}',
    '/slurm/v0.0.42/job/{job_id}', '/slurm/v0.0.42/node/{name}', '/metrics/v0.0.42/jobs', '/x/slurm/v0.0.42/jobs', '/slurm/v0.0.42/jobs%2f',
  ])('%s is no operation', (path) => {
    expect(find('GET', path).kind).toBe('refusal')
  }) // prettier-ignore

  it('hides a separator or control character in no segment', () => {
    for (const hidden of ['%2f', '%2F', '%5c', '%00', '%0a', '%0d', '%09', '%1f', '%7f', '\\']) {
      expect(parseSegments(`/slurm/a${hidden}b`), hidden).toBeNull()
    }
  })
})

describe('whatever path is given', () => {
  const piece = fc.constantFrom(
    'slurm', 'slurmdb', 'util', 'v0.0.42', 'v0.0.36', 'v0.0.45', 'latest', 'job', 'jobs', '1', '4711', '1_2', 'submit', 'node', 'n1', 'a@b', 'a+b',
    '%2e%2e', '..', '.', '%2f', '%31', '%', '%00', '?', '#', '\\', '//', 'user', 'account', 'requeue', 'new', 'é', ';', 'hostnames', 'resources',
  ) // prettier-ignore
  const shaped = fc.constantFrom(...ROUTES.map(({ template }) => fillTemplate(template, 'v0.0.45')))
  const path = fc.oneof(
    fc.array(fc.oneof(piece, fc.string()), { maxLength: 8 }).map((pieces) => `/${pieces.join('/')}`),
    fc.tuple(shaped, fc.oneof(piece, fc.string())).map(([start, end]) => start.replace(/4711|n1/, end)),
    shaped,
  )

  it('the upstream path has parsed parts only, and is read as the same operation again', () => {
    fc.assert(
      fc.property(path, fc.constantFrom('GET', 'POST', 'DELETE'), (raw, method) => {
        const text = `http://gate.invalid${raw}`
        if (!URL.canParse(text)) return
        const url = new URL(text)
        const found = findOperation(
          { method, segments: parseSegments(url.pathname) },
          MUNGE_ALICE,
          ALL_VERSIONS,
        )
        if (found.kind === 'refusal') return
        const built = buildPath(found)
        expect(built).toMatch(/^\/(slurm|slurmdb|util)\/v0\.0\.\d\d(\/[A-Za-z0-9_][A-Za-z0-9_.%-]*)+$/)
        expect(built.replace(/%(2B|3A|40)/g, '')).not.toContain('%')
        const expected = found.route.template
          .replace(/^\/\w+/, (area) => `${area}/${formatVersion(found.version)}`)
          .replace(/\{\w+\}/, (part) => encodeURIComponent(found.ids[part] ?? ''))
        expect(built).toBe(expected)
        const again = findOperation({ method, segments: parsePath(built) }, MUNGE_ALICE, ALL_VERSIONS)
        expect(again).toEqual(found)
      }),
      { numRuns: 5000 },
    )
  })
})

it.each(['account/null', 'user/NULL', 'qos/null', 'qos/1', 'qos/042', 'qos/0x1'])(
  'DELETE slurmdb/%s names what a daemon dies of or takes for an id (measured)',
  (path) => {
    expect(ruleOf(find('DELETE', `/slurmdb/v0.0.42/${path}`))).toBe('path_id_malformed')
  },
)
