/**
 * The policy table against the OpenAPI documents of Slurm 22.05, 24.11 and 26.05, in both directions. The documents are
 * not part of this repository; the integration tests ask running daemons the same.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ROUTES } from '../../src/policy/route-table.ts'
import {
  compareWithTable,
  describeVersions,
  readDocumentedQuery,
  type OpenApiDocument,
} from '../support/openapi-routes.ts'

const FOLDER = new URL('../../../shared/slurm-openapi/', import.meta.url)
const FILES = existsSync(FOLDER)
  ? readdirSync(FOLDER).filter((name) => /^slurmrestd-.*\.json\.gz$/.test(name))
  : []

/** 26.05 serves it under v0.0.42, 24.11 does not. */
const LATER_IN_THE_SAME_VERSION = ['DELETE /slurm/reservation/{}']

function readDocument(name: string): OpenApiDocument {
  return JSON.parse(gunzipSync(readFileSync(new URL(name, FOLDER))).toString('utf8')) as OpenApiDocument
}

if (FILES.length === 0) {
  it('no OpenAPI documents beside the repository: nothing to hold the table against', (context) => {
    context.skip('no OpenAPI documents beside the repository (../shared/slurm-openapi)')
  })
}

describe.each(FILES)('%s', (name) => {
  const document = readDocument(name)

  it('has no route that the table does not list, and the table none that it does not have', () => {
    console.log(`${name}\n${describeVersions(document)}`)
    for (const { version, unlisted, absent } of compareWithTable(document)) {
      expect(unlisted, `v0.0.${String(version)}`).toEqual([])
      const expected = version === 42 && name.includes('24.11') ? LATER_IN_THE_SAME_VERSION : []
      expect(absent, `v0.0.${String(version)}`).toEqual(expected)
    }
  })

  it('has no query parameter that the table does not list', () => {
    for (const { version, unlistedQuery } of compareWithTable(document)) {
      expect(unlistedQuery, `v0.0.${String(version)}`).toEqual([])
    }
  })
})

it.runIf(FILES.length > 0)('the table lists no query parameter that no document knows', () => {
  const documented = readDocumentedQuery(FILES.map(readDocument))
  const listed = ROUTES.flatMap(({ method, template, query }) =>
    query.map((name) => `${method} ${template.replaceAll(/\{[^}]*\}/g, '{}')} ${name}`),
  )
  expect(listed.filter((key) => !documented.has(key))).toEqual([])
})
