/**
 * What slurmrestd would do, at worst, with a request that reached it, told from the daemons' own route table and the
 * measured facts alone: the oracle of the decision run, independent of the code it judges.
 */

import { DAEMON_ROUTES, type DaemonRoute } from '../gateway/slurm-routes.ts'
import { parseOnce, type PlainJson } from './plain-json.ts'

export interface Suspect {
  readonly method: string
  readonly target: string
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: string
}

/** Whom the request was made for. */
export interface Leave {
  readonly slurmUser: string
  /** On the cluster: every operation, and documents as they came. */
  readonly isMunge: boolean
  readonly scopes: ReadonlySet<string>
  /** null: any. */
  readonly account: string | null
  readonly isOwn: (jobId: string) => boolean
}

/** @returns the harm in words; null: none. */
export function findHarm(suspect: Suspect, leave: Leave): string | null {
  const identityHarm = findIdentityHarm(suspect, leave)
  if (identityHarm !== null) return identityHarm
  const [path = '', query] = suspect.target.split('?', 2)
  if (query === undefined ? suspect.target.includes('?') : suspect.target.split('?').length > 2) {
    return 'a question mark without one query'
  }
  if (/%(2f|5c|00|0a|0d)/i.test(path)) return 'an escaped separator or control character in the path'
  const found = findRoute(suspect.method, path)
  if (found === null) return 'not a route of any Slurm, in canonical spelling'
  const { route, jobId } = found
  const harm = leave.isMunge ? null : findRouteHarm(route, jobId, leave)
  if (harm !== null) return harm
  if (suspect.method === 'POST' && query !== undefined) return 'a query on POST: read in place of the body'
  if (suspect.method === 'GET' && suspect.body !== '') return 'a body on GET: read in place of the query'
  return leave.isMunge ? null : findDocumentHarm(suspect, route, leave)
}

function findIdentityHarm({ headers }: Suspect, leave: Leave): string | null {
  const names = headers.get('x-slurm-user-name') ?? []
  const tokens = headers.get('x-slurm-user-token') ?? []
  if (headers.has('authorization')) return 'an Authorization header'
  if (names.length !== 1 || names[0] !== leave.slurmUser) return `acts as ${names.join(' and ')}`
  if (tokens.length !== 1 || readUser(tokens[0] ?? '') !== leave.slurmUser)
    return 'a Slurm token of somebody else'
  const types = headers.get('content-type') ?? []
  const known = ['application/json', ...(leave.isMunge ? ['application/x-yaml'] : [])]
  if (types.length > 1 || !known.includes(types[0] ?? 'application/json')) {
    return `a body that is read as ${types.join(' and ')}`
  }
  return null
}

function readUser(token: string): unknown {
  const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')
  return (JSON.parse(claims) as { sun?: unknown }).sun
}

interface FoundRoute {
  readonly route: DaemonRoute
  readonly jobId: string | null
}

function findRoute(method: string, path: string): FoundRoute | null {
  const [, area, versionText, ...parts] = path.split('/')
  const version = Number(/^v0\.0\.(\d\d)$/.exec(versionText ?? '')?.[1])
  for (const route of DAEMON_ROUTES) {
    const [, routeArea, ...routeParts] = route.template.split('/')
    if (route.method !== method || routeArea !== area || routeParts.length !== parts.length) continue
    if (!route.versions.includes(version)) continue
    if (!routeParts.every((part, index) => fits(part, parts[index] ?? ''))) continue
    const at = routeParts.indexOf('{job_id}')
    return { route, jobId: at < 0 ? null : (parts[at] ?? '') }
  }
  return null
}

function fits(part: string, segment: string): boolean {
  if (part === '{job_id}') return /^[1-9]\d*([_+]\d+|%2B\d+)?$/.test(segment)
  return part.startsWith('{') ? segment !== '' : part === segment
}

function findRouteHarm(route: DaemonRoute, jobId: string | null, leave: Leave): string | null {
  const [scope = '', ...words] = route.tokens.split(' ')
  if (route.tokens === 'closed') return 'a route that is closed to tokens'
  // The gate's own look at a job before a write needs no read scope.
  const isLook = route.method === 'GET' && route.template === '/slurm/job/{job_id}'
  const isMissing = scope !== 'any' && !leave.scopes.has(scope)
  if (isMissing && !(isLook && leave.scopes.has('slurm:jobs:manage'))) return `the scope ${scope} is missing`
  if (leave.account === null) return null
  if (words.includes('unrestricted')) return 'a configuration dump for a restricted token'
  if (route.kind.endsWith('-read') || route.kind === 'util') return null
  if (route.kind !== 'ctl-write-jobs') return 'an administrative write by a restricted token'
  return jobId === null || leave.isOwn(jobId) ? null : `a write to job ${jobId}`
}

function findDocumentHarm(suspect: Suspect, route: DaemonRoute, leave: Leave): string | null {
  if (suspect.body === '') {
    const needsBody = suspect.method === 'POST' || route.template === '/slurm/jobs'
    return needsBody && route.kind === 'ctl-write-jobs' ? 'a write without its document' : null
  }
  const document = parseOnce(suspect.body)
  if (document === undefined) return 'a document that parsers read differently'
  if (leave.account === null || route.kind !== 'ctl-write-jobs') return null
  if (!isObject(document)) return 'a document that is no object'
  switch (`${route.method} ${route.template}`) {
    case 'POST /slurm/job/submit':
      return findSubmissionHarm(document, leave.account)
    case 'POST /slurm/job/{job_id}':
      return findDescriptionHarm(document, leave.account, 'may be left out')
    case 'DELETE /slurm/jobs':
      return document['account'] === leave.account
        ? findListHarm(document, leave)
        : 'a bulk write without its account'
    case 'POST /slurm/jobs/requeue':
      return findListHarm(document, leave)
    default:
      return 'a document where none belongs'
  }
}

type PlainObject = Readonly<Record<string, PlainJson>>

function isObject(value: PlainJson | undefined): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function findSubmissionHarm(document: PlainObject, account: string): string | null {
  for (const key of Object.keys(document)) {
    if (!['script', 'job', 'jobs'].includes(key)) return `"${key}" beside the job`
  }
  const { job, jobs } = document
  if ((job === undefined) === (jobs === undefined)) return 'not exactly one of job and jobs'
  const components = jobs === undefined ? [job] : jobs
  if (!Array.isArray(components) || components.length === 0) return 'no list of components'
  for (const component of components) {
    if (!isObject(component)) return 'a component that is no object'
    const harm = findDescriptionHarm(component, account, 'has to stand there')
    if (harm !== null) return harm
  }
  return null
}

function findDescriptionHarm(
  description: PlainObject,
  account: string,
  whenLeftOut: 'may be left out' | 'has to stand there',
): string | null {
  for (const [key, value] of Object.entries(description)) {
    if (DANGEROUS_FIELDS.has(key.toLowerCase()) || /^x11/i.test(key)) return `the field ${key}`
    if (key.toLowerCase() === 'account' && key !== 'account') return `the field ${key}`
    if (key === 'dependency' && /expand/i.test(JSON.stringify(value)))
      return 'a dependency that expands a job'
  }
  const given = description['account']
  if (given === account) return null
  return given === undefined && whenLeftOut === 'may be left out'
    ? null
    : `the account ${JSON.stringify(given)}`
}

/** facts/slurm.md 10: what acts as another user, names another job or cluster, or speaks as an administrator. */
const DANGEROUS_FIELDS: ReadonlySet<string> = new Set([
  'user_id',
  'group_id',
  'clusters',
  'cluster_constraint',
  'crontab',
  'admin_comment',
  'site_factor',
  'spank_environment',
  'allocation_node_list',
  'allocation_node_port',
  'reserve_ports',
  'selinux_context',
  'job_id',
  'job_id_str',
  'step_id',
  'sluid',
  'hetjob_group',
  'het_job_id',
  'het_job_offset',
  'array_job_id',
  'array_task_id',
  'jobs',
  'job',
])

function findListHarm(document: PlainObject, leave: Leave): string | null {
  const { jobs } = document
  if (!Array.isArray(jobs) || jobs.length === 0) return 'a bulk write without a list of jobs'
  const stranger = jobs.find((id) => typeof id !== 'string' || !/^[1-9]\d*$/.test(id) || !leave.isOwn(id))
  if (stranger !== undefined) return `a bulk write to ${JSON.stringify(stranger)}`
  const extra = Object.keys(document).find((key) => !['jobs', 'account', 'signal', 'flags'].includes(key))
  return extra === undefined ? null : `"${extra}" in a bulk write`
}
