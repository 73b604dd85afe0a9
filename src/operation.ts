/**
 * Turns a request's method and path into one operation of the route table, with the version resolved and every id in
 * canonical form. Nothing of the client's path survives but these parts, so no later parser can read it differently.
 */

import { JOB_ID_MAX, JOB_PART_MAX, PATH_NAME_MAX_CHARACTERS } from './limits.ts'
import { isRestricted, type Principal } from './principal.ts'
import { refuse, refuseMethod, type Refusal } from './refusal.ts'
import { ROUTES, type Route } from './policy/route-table.ts'

/** A parsed slurmrestd call: which route, which version, which ids. Its query and body are not read yet. */
export interface Operation {
  readonly kind: 'operation'
  readonly route: Route
  /** The NN of v0.0.NN. */
  readonly version: number
  /** Values of the template's `{…}` parts, canonical. */
  readonly ids: Readonly<Record<string, string>>
}

/**
 * Path segments after decoding each once; repeated and trailing slashes are ignored, as slurmrestd does (measured).
 * @param pathname of a parsed URL, base path removed.
 * @returns null where a segment is not decodable text or hides a separator.
 */
export function parseSegments(pathname: string): readonly string[] | null {
  const segments: string[] = []
  for (const rawSegment of pathname.split('/')) {
    if (rawSegment === '') continue
    const segment = decodeSegment(rawSegment)
    if (segment === null) return null
    segments.push(segment)
  }
  return segments
}

/** @param versions served, ascending; `latest` is the last of them. */
export function findOperation(
  request: { readonly method: string; readonly segments: readonly string[] | null },
  principal: Principal,
  versions: readonly number[],
): Operation | Refusal {
  const { method } = request
  const [area, versionText, ...rest] = request.segments ?? []
  if (area === undefined || !AREAS.has(area) || versionText === undefined) return refuse('path_unknown')
  const version = parseVersion(versionText, versions)
  if (version === null) return refuse('version_not_served')

  const routes = (ROUTES_BY_SHAPE.get(`${area}/${rest.length}`) ?? []).filter(
    ({ route, parts }) => route.since <= version && version <= route.until && matches(parts, rest),
  )
  if (routes.length === 0) return refuse('path_unknown')
  const found = routes.find(({ route }) => route.method === method)
  if (found === undefined) {
    return refuseMethod(routes.map(({ route }) => route.method))
  }
  // What a token that is restricted to one account changes are whole jobs, never a task or component.
  const areWholeJobs = isRestricted(principal) && found.route.effect === 'write'
  const ids = readIds(found, rest, areWholeJobs)
  if (ids === null)
    return areWholeJobs && readIds(found, rest, false) !== null ? refusePart() : refuse('path_id_malformed')
  return { kind: 'operation', route: found.route, version, ids }
}

function refusePart(): Refusal {
  return refuse('path_id_malformed', {
    description:
      'a token that is restricted to one account changes whole jobs; single tasks (N_T) and components (N+C) need a MUNGE credential or a token without an account',
  })
}

/** @throws TypeError for an operation whose path names no job. */
export function readJobId({ route, ids }: Operation): string {
  const jobId = ids['{job_id}']
  if (jobId === undefined) throw new TypeError(`${route.template} names no job`)
  return jobId
}

/** The upstream path, rebuilt from parsed parts. */
export function buildPath({ route, version, ids }: Operation): string {
  const { area, parts, fixed } = TEMPLATES.get(route) ?? readTemplate(route)
  const rest =
    fixed ?? parts.map((part) => (isPlaceholder(part) ? encodeText(ids[part] ?? '') : part)).join('/')
  return `/${area}/${formatVersion(version)}/${rest}`
}

/** For a path or query: `! ' ( ) *` too, which slurmrestd does not take as they are (measured). */
export function encodeText(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

export function formatVersion(version: number): string {
  return `v0.0.${version}`
}

const LATEST = 'latest'

/** Whether the path leaves the choice of its version to what is served. */
export function isLatestPath(segments: readonly string[] | null): boolean {
  return segments?.[1] === LATEST
}

const AREAS: ReadonlySet<string> = new Set(['slurm', 'slurmdb', 'util'])

interface RouteParts {
  readonly route: Route
  readonly parts: readonly string[]
}

/** What stands in a route's template. */
interface Template {
  readonly area: string
  /** Behind the version. */
  readonly parts: readonly string[]
  /** The same as text; null: ids belong into it. */
  readonly fixed: string | null
}

function readTemplate({ template }: Route): Template {
  const [area = '', ...parts] = template.slice(1).split('/')
  return { area, parts, fixed: parts.some(isPlaceholder) ? null : parts.join('/') }
}

const TEMPLATES: ReadonlyMap<Route, Template> = new Map(ROUTES.map((route) => [route, readTemplate(route)]))

/** By area and number of segments, such as `slurm/2`. */
const ROUTES_BY_SHAPE: ReadonlyMap<string, readonly RouteParts[]> = groupRoutes()

function groupRoutes(): Map<string, RouteParts[]> {
  const groups = new Map<string, RouteParts[]>()
  for (const route of ROUTES) {
    const { area, parts } = readTemplate(route)
    const shape = `${area}/${parts.length}`
    groups.set(shape, [...(groups.get(shape) ?? []), { route, parts }])
  }
  return groups
}

function matches(parts: readonly string[], segments: readonly string[]): boolean {
  return parts.every((part, index) => {
    const segment = segments[index]
    if (part === '{job_id}') return segment !== undefined && !JOB_LITERALS.has(segment)
    return isPlaceholder(part) || part === segment
  })
}

/** Siblings of `job/{job_id}`: `GET job/submit` is a wrong method, not a wrong id. */
const JOB_LITERALS: ReadonlySet<string> = new Set(['submit', 'allocate'])

function isPlaceholder(part: string): boolean {
  return part.startsWith('{')
}

function readIds(
  { route, parts }: RouteParts,
  segments: readonly string[],
  areWholeJobs: boolean,
): Record<string, string> | null {
  const ids: Record<string, string> = {}
  for (const [index, part] of parts.entries()) {
    if (!isPlaceholder(part)) continue
    const segment = segments[index] ?? ''
    const isGood = part === '{job_id}' ? isJobId(segment, areWholeJobs) : isName(segment, route.template)
    if (!isGood) return null
    ids[part] = segment
  }
  return ids
}

/**
 * Decimal, no leading zero. slurmrestd reads `01`, `0x1`, `1e1`, `+1`, `1.batch` as some job too, not the same one in
 * every version and for every method (measured): parser differential.
 * @param isWholeJob no task `N_T` and no component `N+C`.
 */
export function isJobId(text: string, isWholeJob: boolean): boolean {
  const match = /^([1-9]\d{0,9})(?:[_+](0|[1-9]\d{0,9}))?$/.exec(text)
  if (match === null || Number(match[1]) > JOB_ID_MAX) return false
  return match[2] === undefined || (!isWholeJob && Number(match[2]) <= JOB_PART_MAX)
}

/**
 * Nodes, partitions, accounts, users, … as Slurm names them. 24.11 and 26.05 die of a QOS `null`, and take a number for
 * the id of one: `DELETE qos/1` removes `normal` (measured).
 */
function isName(text: string, template: string): boolean {
  if (/^null$/i.test(text)) return false
  if (template === '/slurmdb/qos/{name}' && /^(\d+$|0x)/i.test(text)) return false
  return text.length <= PATH_NAME_MAX_CHARACTERS && /^[A-Za-z0-9_][A-Za-z0-9_.:@+-]*$/.test(text)
}

function parseVersion(text: string, versions: readonly number[]): number | null {
  if (text === LATEST) return versions.at(-1) ?? null
  const match = /^v0\.0\.([1-9]\d{0,2})$/.exec(text)
  const version = match === null ? Number.NaN : Number(match[1])
  return versions.includes(version) ? version : null
}

/** Without an escape, and with nothing that could be read differently. */
const PLAIN_SEGMENT = /^[\w.-]+$/

function decodeSegment(rawSegment: string): string | null {
  if (PLAIN_SEGMENT.test(rawSegment)) return rawSegment
  try {
    const segment = decodeURIComponent(rawSegment)
    // A decoded separator or control character would be read differently by the next parser.
    return /[/\\\u0000-\u001f\u007f]/.test(segment) ? null : segment
  } catch {
    return null
  }
}
