/** The policy table against the daemons' own (slurm-routes.tsv): every route at each of its versions, and no other. */

import { describe, expect, it } from 'vitest'
import { buildPath, findOperation } from '../../src/operation.ts'
import { isRefusal } from '../../src/refusal.ts'
import { ROUTES } from '../../src/policy/route-table.ts'
import { ALL_VERSIONS, MUNGE_ALICE, parsePath, ruleOf } from './in-memory-ports.ts'
import { DAEMON_ROUTES, fillTemplate } from './slurm-routes.ts'

const METHODS = ['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS', 'get', 'TRACE']
const UNKNOWN_VERSIONS = [33, 34, 35, 46, 47, 100, 999]

function find(method: string, path: string, versions: readonly number[] = ALL_VERSIONS) {
  return findOperation({ method, segments: parsePath(path) }, MUNGE_ALICE, versions)
}

describe(`the route table (slurm-routes.tsv)`, () => {
  const served = new Set(
    DAEMON_ROUTES.flatMap(({ method, template, versions }) =>
      versions.map((version) => `${method} ${template} ${version}`),
    ),
  )

  it('lists every route of the daemons and no other', () => {
    const ours = ROUTES.map(({ method, template }) => `${method} ${template}`).sort()
    expect(ours).toEqual(DAEMON_ROUTES.map(({ method, template }) => `${method} ${template}`).sort())
    expect(new Set(ours).size).toBe(ours.length)
  })

  it('reaches every route at each of its versions and nowhere else', () => {
    for (const { template } of DAEMON_ROUTES) {
      for (const version of ALL_VERSIONS) {
        for (const method of METHODS) {
          const path = fillTemplate(template, version)
          const found = find(method, path)
          const isServed = served.has(`${method} ${template} ${version}`)
          expect(found.kind, `${method} ${path}`).toBe(isServed ? 'operation' : 'refusal')
          if (!isRefusal(found)) expect(buildPath(found)).toBe(path)
        }
      }
    }
  })

  it('answers a wrong method with the methods that the version has', () => {
    for (const { template } of DAEMON_ROUTES) {
      for (const version of ALL_VERSIONS) {
        const methods = ['GET', 'POST', 'DELETE'].filter((method) =>
          served.has(`${method} ${template} ${version}`),
        )
        const found = find('PUT', fillTemplate(template, version))
        if (methods.length === 0) expect(ruleOf(found), template).toBe('path_unknown')
        else expect(isRefusal(found) && [...(found.allow ?? [])].sort(), template).toEqual(methods.sort())
      }
    }
  })

  it('serves no version that the table does not know, even if told so', () => {
    for (const { method, template } of ROUTES) {
      for (const version of UNKNOWN_VERSIONS) {
        expect(ruleOf(find(method, fillTemplate(template, version)))).toBe('version_not_served')
        expect(find(method, fillTemplate(template, version), UNKNOWN_VERSIONS).kind).toBe('refusal')
      }
    }
  })
})
