/** The routes and query parameters that a daemon's OpenAPI document describes, held against the policy table both ways. */

import { ROUTES } from '../../src/policy/route-table.ts'

export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>
}

interface OpenApiOperation {
  readonly parameters?: readonly { readonly in: string; readonly name: string }[]
}

export interface RouteDifference {
  readonly version: number
  /** The daemon has it, the table does not: closed to everybody until it is listed. */
  readonly unlisted: readonly string[]
  /** The table has it, the daemon does not. */
  readonly absent: readonly string[]
  /** `METHOD template name`: a query parameter that the gate would refuse, or would forward though nobody knows it. */
  readonly unlistedQuery: readonly string[]
}

/** One entry for each API version of the document, ascending. */
export function compareWithTable(document: OpenApiDocument): RouteDifference[] {
  const daemon = readDaemonRoutes(document)
  return [...daemon.keys()]
    .sort((one, other) => one - other)
    .map((version) => {
      const routes = daemon.get(version) ?? new Map<string, readonly string[]>()
      const listed = ROUTES.filter(({ since, until }) => since <= version && version <= until)
      const byKey = new Map(listed.map((route) => [keyOf(route.method, route.template), route]))
      return {
        version,
        unlisted: [...routes.keys()].filter((key) => !byKey.has(key)),
        absent: [...byKey.keys()].filter((key) => !routes.has(key)),
        unlistedQuery: [...routes].flatMap(([key, names]) =>
          names
            .filter((name) => byKey.has(key) && byKey.get(key)?.query.includes(name) !== true)
            .map((name) => `${key} ${name}`),
        ),
      }
    })
}

/** Every `METHOD template name` that the documents know at any version. */
export function readDocumentedQuery(documents: readonly OpenApiDocument[]): Set<string> {
  return new Set(
    documents.flatMap((document) =>
      [...readDaemonRoutes(document).values()].flatMap((routes) =>
        [...routes].flatMap(([key, names]) => names.map((name) => `${key} ${name}`)),
      ),
    ),
  )
}

/** What each version has that the one before it has not, and the other way round: for the reader of a test's output. */
export function describeVersions(document: OpenApiDocument): string {
  const daemon = readDaemonRoutes(document)
  const versions = [...daemon.keys()].sort((one, other) => one - other)
  let before: ReadonlySet<string> | null = null
  const lines: string[] = []
  for (const version of versions) {
    const keys: ReadonlySet<string> = new Set(daemon.get(version)?.keys() ?? [])
    lines.push(`v0.0.${String(version)}: ${String(keys.size)} routes`)
    if (before !== null) {
      const earlier = before
      lines.push(...[...keys].filter((key) => !earlier.has(key)).map((key) => `  + ${key}`))
      lines.push(...[...earlier].filter((key) => !keys.has(key)).map((key) => `  - ${key}`))
    }
    before = keys
  }
  return lines.join('\n')
}

/** By version: `METHOD template` with anonymous parameters, and the names of its query parameters. */
function readDaemonRoutes({ paths }: OpenApiDocument): Map<number, Map<string, readonly string[]>> {
  const versions = new Map<number, Map<string, readonly string[]>>()
  for (const [path, methods] of Object.entries(paths)) {
    const match = /^\/(slurm|slurmdb|util)\/v0\.0\.(\d+)\/(.*?)\/?$/.exec(path)
    if (match === null) continue
    const [, area = '', version = '', rest = ''] = match
    const routes = versions.get(Number(version)) ?? new Map<string, readonly string[]>()
    versions.set(Number(version), routes)
    for (const [method, { parameters = [] }] of Object.entries(methods)) {
      // 22.05 describes one operation under a name of its own source code.
      if (!/^[a-z]+$/.test(method)) continue
      // A POST takes none, whatever is documented (slurm.md 3): it would be read in place of its body.
      const isOpen = method !== 'post'
      const names = parameters
        .filter((parameter) => isOpen && parameter.in === 'query')
        .map(({ name }) => name)
      routes.set(keyOf(method.toUpperCase(), `/${area}/${rest}`), names)
    }
  }
  return versions
}

function keyOf(method: string, template: string): string {
  return `${method} ${template.replaceAll(/\{[^}]*\}/g, '{}')}`
}
