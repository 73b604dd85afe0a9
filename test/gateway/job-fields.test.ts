/**
 * facts/slurm.md 10: which job fields are open is decided field by field, for every API version that a daemon documents.
 * `slurm-job-fields.tsv` is what the OpenAPI documents of Slurm 22.05, 24.11 and 26.05 say; where they are at hand, it
 * is held against them.
 */

import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  DENIED_JOB_FIELDS,
  DENIED_JOB_FLAGS,
  findJobFieldVersions,
  isJobField,
  JOB_FIELDS,
  JOB_FLAGS,
  KILL_WARNING_FLAGS,
} from '../../src/policy/job-fields.ts'
import { FIELDS as HOSTILE_FIELDS } from '../adversarial/job-fields-by-kind.ts'

const BODIES = ['submit', 'update'] as const
type Body = (typeof BODIES)[number]

/** Fields, or `flags=VALUE`, by body and version: `submit v0.0.40`. */
type Documented = Map<string, Set<string>>

const DOCUMENTED = readTable()
const VERSIONS = [36, 37, 38, 40, 41, 42, 43, 44, 45]

function readTable(): Documented {
  const documented: Documented = new Map()
  const text = readFileSync(new URL('slurm-job-fields.tsv', import.meta.url), 'utf8')
  for (const line of text.trim().split('\n').slice(1)) {
    const [field = '', ...ranges] = line.split('\t')
    for (const [index, body] of BODIES.entries()) {
      for (const version of expandRanges(ranges[index] ?? '-')) add(documented, body, version, field)
    }
  }
  return documented
}

/** `36-38,40` → 36, 37, 38, 40; `-`: none. */
function expandRanges(text: string): number[] {
  if (text === '-') return []
  return text.split(',').flatMap((range) => {
    const [since = NaN, until = since] = range.split('-').map(Number)
    return Array.from({ length: until - since + 1 }, (_, index) => since + index)
  })
}

function add(documented: Documented, body: Body, version: number, field: string): void {
  const key = `${body} v0.0.${version}`
  documented.set(key, (documented.get(key) ?? new Set()).add(field))
}

const fieldsOf = (body: Body, version: number) =>
  [...(DOCUMENTED.get(`${body} v0.0.${version}`) ?? [])].filter((field) => !field.includes('='))

const valuesOf = (field: string) =>
  new Set(
    [...DOCUMENTED.values()]
      .flatMap((names) => [...names])
      .filter((name) => name.startsWith(`${field}=`))
      .map((name) => name.slice(field.length + 1)),
  )

const without = (names: Iterable<string>, others: { has(name: string): boolean }) =>
  [...names].filter((name) => !others.has(name))

describe.each(VERSIONS)('v0.0.%i', (version) => {
  it.each(BODIES)('every field that a daemon takes in %s is open or deliberately closed', (body) => {
    const fields = fieldsOf(body, version)
    expect(fields.length).toBeGreaterThan(70)
    expect(fields.filter((field) => !isJobField(field, version) && !DENIED_JOB_FIELDS.has(field))).toEqual([])
  })

  it.each(BODIES)('every open field is one that a daemon takes in %s', (body) => {
    const open = [...JOB_FIELDS].filter((field) => isJobField(field, version))
    expect(open.length).toBeGreaterThan(60)
    expect(without(open, new Set(fieldsOf(body, version)))).toEqual([])
  })
})

describe('the table', () => {
  it('takes v0.0.39, of which there is no document, for v0.0.40', () => {
    for (const field of JOB_FIELDS)
      expect([field, isJobField(field, 39)]).toEqual([field, isJobField(field, 40)])
  })

  it.each([0, 35, 46, 100, NaN])('opens nothing in version %d', (version) => {
    expect([...JOB_FIELDS].filter((field) => isJobField(field, version))).toEqual([])
  })

  it('closes a field in every version or in none, and closes none that no daemon has', () => {
    expect([...DENIED_JOB_FIELDS.keys()].filter((field) => JOB_FIELDS.has(field))).toEqual([])
    const known = new Set([...DOCUMENTED.values()].flatMap((names) => [...names]))
    expect(without(DENIED_JOB_FIELDS.keys(), known)).toEqual([])
  })

  it('opens none that names a user, another job or another cluster, or a host to call', () => {
    const suspicious = /(^|_)(uid|gid)$|user_id|group_id|job_id|step_id|hetjob|cluster|x11|admin|selinux|spank|crontab|_port|node_list/
    expect([...JOB_FIELDS].filter((field) => suspicious.test(field))).toEqual([])
  }) // prettier-ignore

  it('tells the versions of a field', () => {
    expect(findJobFieldVersions('cores_per_socket')).toEqual([[36, 40], [45, 45]]) // prettier-ignore
    expect(findJobFieldVersions('user_id')).toEqual([])
    expect(findJobFieldVersions('__proto__')).toEqual([])
    expect(['constructor', '__proto__', '', 'Account', 'account '].some((name) => isJobField(name, 40))).toBe(false)
  }) // prettier-ignore
})

it('generated requests try every field that a daemon takes, and no other', () => {
  const documented = VERSIONS.flatMap((version) => BODIES.flatMap((body) => fieldsOf(body, version)))
  expect(new Set(HOSTILE_FIELDS.map(([name]) => name))).toEqual(new Set(documented))
})

describe('flags', () => {
  it('each that a daemon takes is open or deliberately closed, never both, and no other is named', () => {
    const named = [...JOB_FLAGS, ...DENIED_JOB_FLAGS.keys()]
    expect(new Set(named)).toEqual(valuesOf('flags'))
    expect(named).toHaveLength(valuesOf('flags').size)
  })

  it('of the warning signal are what sbatch --signal can say', () => {
    expect(without(KILL_WARNING_FLAGS, valuesOf('kill_warning_flags'))).toEqual([])
  })
})

// --- against the documents -------------------------------------------------------------------------------------------

const DOCUMENTS = new URL('../../../shared/slurm-openapi/', import.meta.url)
const DAEMONS: readonly (readonly [name: string, versions: readonly number[]])[] = [
  ['22.05.8', [36, 37, 38]],
  ['24.11.5', [40, 41, 42]],
  ['26.05.5', [42, 43, 44, 45]],
]

interface Schema {
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly enum?: readonly string[]
}
interface OpenApi {
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
  readonly paths: Readonly<
    Record<
      string,
      { post?: { requestBody?: { content: Record<string, { schema: Schema } | undefined> } } } | undefined
    >
  >
}

function readDocument(file: URL): OpenApi {
  return JSON.parse(gunzipSync(readFileSync(file)).toString('utf8')) as OpenApi
}

function resolve(document: OpenApi, schema: Schema | undefined): Schema {
  if (schema?.$ref === undefined) return schema ?? {}
  return resolve(document, document.components.schemas[schema.$ref.replace('#/components/schemas/', '')])
}

/** The body of `POST path`; its fields are those of the job itself, and of the components of `jobs`. */
function readBody(document: OpenApi, path: string): Schema[] {
  const content = document.paths[path]?.post?.requestBody?.content
  const body = resolve(document, content?.['application/json']?.schema)
  if (!path.endsWith('/submit')) return [body]
  expect(Object.keys(body.properties ?? {}).sort()).toEqual(['job', 'jobs', 'script'])
  const jobs = resolve(document, body.properties?.['jobs'])
  return [resolve(document, body.properties?.['job']), resolve(document, jobs.items)]
}

function readDocuments(daemon: string, versions: readonly number[], into: Documented): void {
  const document = readDocument(new URL(`slurmrestd-${daemon}.json.gz`, DOCUMENTS))
  for (const version of versions) {
    for (const body of BODIES) {
      const path = `/slurm/v0.0.${version}/job/${body === 'submit' ? 'submit' : '{job_id}'}`
      for (const schema of readBody(document, path)) {
        for (const [field, fieldSchema] of Object.entries(schema.properties ?? {})) {
          add(into, body, version, field)
          if (field !== 'flags' && field !== 'kill_warning_flags') continue
          const values = resolve(document, resolve(document, fieldSchema).items).enum ?? []
          for (const value of values) add(into, body, version, `${field}=${value}`)
        }
      }
    }
  }
}

it('slurm-job-fields.tsv is what the three daemons document', ({ skip }) => {
  skip(!existsSync(DOCUMENTS), 'the OpenAPI documents of the three daemons are not in ../shared/slurm-openapi, so only the table derived from them was used') // prettier-ignore
  const documents: Documented = new Map()
  for (const [daemon, versions] of DAEMONS) readDocuments(daemon, versions, documents)
  const differences = [...new Set([...documents.keys(), ...DOCUMENTED.keys()])].flatMap((key) => {
    const [theirs, ours] = [documents.get(key) ?? new Set<string>(), DOCUMENTED.get(key) ?? new Set<string>()]
    const [missing, surplus] = [without(theirs, ours), without(ours, theirs)]
    return missing.length + surplus.length > 0 ? [{ where: key, missing, surplus }] : []
  })
  expect(differences).toEqual([])
})
