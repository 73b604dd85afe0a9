/** README "Answers from memory": one variable for all kinds, and for one of them. */

import { expect, it } from 'vitest'
import { readCacheSettings } from '../../src/cache-settings.ts'
import { findReadKind } from '../../src/policy/read-kind.ts'
import { ROUTES } from '../../src/policy/route-table.ts'

const read = (CACHE_TTL_SECONDS?: string) => {
  const problems: string[] = []
  const { ttlSeconds } = readCacheSettings({ CACHE_TTL_SECONDS }, 'node', problems)
  expect(problems).toEqual([])
  return Object.values(ttlSeconds)
}

it.each<[string | undefined, readonly number[]]>([
  [undefined, [2, 10, 30]],
  ['0', [0, 0, 0]],
  ['5', [5, 5, 5]],
  ['jobs=1', [1, 10, 30]],
  ['accounting=60,jobs=0', [0, 10, 60]],
  ['0, nodes=30', [0, 30, 0]],
])('CACHE_TTL_SECONDS=%s is %j for jobs, nodes and accounting', (value, expected) => {
  expect(read(value)).toEqual(expected)
})

it('a smaller room bounds an entry, without a word about it', () => {
  const problems: string[] = []
  expect(readCacheSettings({ CACHE_MAX_BYTES: '1000' }, 'node', problems).entryMaxBytes).toBe(1000)
  expect(problems).toEqual([])
})

it('only reads by GET have a kind, and each of them one or none on purpose', () => {
  for (const route of ROUTES) {
    if (route.effect === 'write' || route.method !== 'GET')
      expect(findReadKind(route), route.template).toBeNull()
  }
  const none = ROUTES.filter(
    (route) => route.effect === 'read' && route.method === 'GET' && findReadKind(route) === null,
  )
  expect(none.map(({ template }) => template)).toEqual([
    '/slurm/conf', '/slurm/diag', '/slurm/ping', '/slurmdb/conf', '/slurmdb/config', '/slurmdb/diag', '/slurmdb/ping',
  ]) // prettier-ignore
})
