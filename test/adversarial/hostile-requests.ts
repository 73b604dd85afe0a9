/**
 * A generator of requests: an honest one of any operation and version, then up to three changes of its path, ids,
 * query, headers, document, text, encoding or type. What it makes depends on the seed alone.
 */

import fc from 'fast-check'
import { DAEMON_ROUTES, type DaemonRoute } from '../gateway/slurm-routes.ts'
import { JSON_TYPE } from './attacks/attack.ts'
import { render } from './attacks/job-documents.ts'
import { buildDescription, buildSubmission } from './daemon-versions.ts'
import type { Caller, HostileRequest } from './hostile-request.ts'
import { JOB_KINDS, OWN_KINDS, type JobKind } from './hostile-request.ts'
import { hostileChanges } from './changes/all.ts'

/** A request that is not written out yet: its parts can still be changed one by one. */
export interface Draft {
  readonly caller: Caller
  readonly method: string
  readonly path: string
  /** Without its question mark; undefined: none. */
  readonly query: string | undefined
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** A JSON value; undefined: no body, or `text` in place of it. */
  readonly document?: unknown
  readonly text?: string
  readonly encoding: HostileRequest['encoding']
  readonly isChunked: boolean
  readonly isHonest: boolean
}

export interface GeneratorOptions {
  readonly versions: readonly number[]
  readonly callers: readonly { readonly caller: Caller; readonly weight: number }[]
  /** Operations that are not to be asked for, as `METHOD template`: those that hold a worker of slurmrestd for good. */
  readonly without?: readonly string[]
  readonly changesMax?: number
}

export function generateHostileRequests(options: GeneratorOptions): fc.Arbitrary<HostileRequest> {
  const caller = fc.oneof(
    ...options.callers.map(({ caller: name, weight }) => ({ arbitrary: fc.constant(name), weight })),
  )
  const changes = fc.array(hostileChanges, { maxLength: options.changesMax ?? 3, size: 'max' })
  return fc.tuple(generateDrafts(options), caller, changes).map(([draft, name, list]) =>
    finish(
      list.reduce<Draft>((changed, change) => ({ ...change(changed), isHonest: false }), {
        ...draft,
        caller: name,
      }),
    ),
  )
}

function finish(draft: Draft): HostileRequest {
  const body = draft.text ?? (draft.document === undefined ? null : render(draft.document))
  return {
    caller: draft.caller,
    method: draft.method,
    target: draft.query === undefined ? draft.path : `${draft.path}?${draft.query}`,
    headers: draft.headers,
    body,
    encoding: draft.encoding,
    isChunked: draft.isChunked,
    isHonest: draft.isHonest && draft.caller === 'bound',
  }
}

const anyKind = fc.oneof(
  { arbitrary: fc.constantFrom<JobKind>(...OWN_KINDS), weight: 3 },
  { arbitrary: fc.constantFrom<JobKind>(...JOB_KINDS), weight: 1 },
)

function generateDrafts({ versions, without = [] }: GeneratorOptions): fc.Arbitrary<Draft> {
  return fc.constantFrom(...versions).chain((version) => {
    const routes = DAEMON_ROUTES.filter(
      (route) => route.versions.includes(version) && !without.includes(`${route.method} ${route.template}`),
    )
    const reads = routes.filter((route) => route.kind.endsWith('-read') || route.kind === 'util')
    const others = routes.filter((route) => !reads.includes(route))
    const has = (method: string, template: string): boolean =>
      routes.some((route) => route.method === method && route.template === template)
    return fc.oneof(
      { arbitrary: submissions(version), weight: 6 },
      { arbitrary: updates(version), weight: 4 },
      { arbitrary: cancels(version), weight: 4 },
      { arbitrary: looks(version), weight: 3 },
      { arbitrary: plainCalls(version, reads), weight: 2 },
      { arbitrary: plainCalls(version, others), weight: 1 },
      { arbitrary: bulkCancels(version), weight: has('DELETE', '/slurm/jobs') ? 3 : 0 },
      { arbitrary: requeues(version), weight: has('GET', '/slurm/job/{job_id}/requeue') ? 2 : 0 },
      { arbitrary: bulkRequeues(version), weight: has('POST', '/slurm/jobs/requeue') ? 2 : 0 },
    )
  })
}

function draft(method: string, path: string, more: Partial<Draft> = {}): Draft {
  return {
    caller: 'bound',
    method,
    path,
    query: undefined,
    headers: more.document === undefined ? [] : [JSON_TYPE],
    encoding: 'utf-8',
    isChunked: false,
    isHonest: false,
    ...more,
  }
}

function submissions(version: number): fc.Arbitrary<Draft> {
  const component = fc.constantFrom<Record<string, unknown>>(
    {},
    { account: 'ownerlab' },
    { account: null },
    { account: 'OwnerLab' },
  )
  const array = fc.constantFrom<Record<string, unknown>>({ array: '1-3' }, { array: '0,5' })
  return fc
    .oneof(
      { arbitrary: component.map((fields) => [fields]), weight: 4 },
      { arbitrary: array.map((fields) => [fields]), weight: 1 },
      { arbitrary: fc.array(component, { minLength: 2, maxLength: 3 }), weight: 2 },
    )
    .map((components) =>
      draft('POST', at(version, '/slurm/job/submit'), {
        document: buildSubmission(
          version,
          components.map((fields) => buildDescription(version, fields)),
        ),
        isHonest: true,
      }),
    )
}

function updates(version: number): fc.Arbitrary<Draft> {
  const fields = fc.constantFrom<Record<string, unknown>>(
    { comment: 'ours' },
    { name: 'ours' },
    { nice: 5 },
    { account: 'ownerlab', comment: 'ours' },
    { hold: true },
  )
  return fc.tuple(anyKind, fields).map(([kind, document]) =>
    draft('POST', at(version, `/slurm/job/{{${kind}}}`), {
      document,
      isHonest: kind.startsWith('own.'),
    }),
  )
}

function cancels(version: number): fc.Arbitrary<Draft> {
  const query = fc.constantFrom(
    undefined,
    undefined,
    'signal=USR1',
    'signal=KILL',
    'signal=10',
    'signal=TERM',
  )
  return fc.tuple(anyKind, query).map(([kind, text]) =>
    draft('DELETE', at(version, `/slurm/job/{{${kind}}}`), {
      query: text,
      isHonest: kind.startsWith('own.'),
    }),
  )
}

function looks(version: number): fc.Arbitrary<Draft> {
  return fc
    .tuple(fc.constantFrom<JobKind>(...JOB_KINDS), fc.constantFrom('/slurm/job/', '/slurmdb/job/'))
    .map(([kind, path]) => draft('GET', at(version, `${path}{{${kind}}}`), { isHonest: true }))
}

function bulkCancels(version: number): fc.Arbitrary<Draft> {
  const more = fc.constantFrom<Record<string, unknown>>(
    {},
    { signal: 'USR1' },
    { flags: ['FULL_JOB'] },
    { user_name: 'alice' },
  )
  return fc.tuple(fc.array(anyKind, { minLength: 1, maxLength: 3 }), more).map(([kinds, fields]) =>
    draft('DELETE', at(version, '/slurm/jobs/'), {
      document: { account: 'ownerlab', jobs: kinds.map((kind) => `{{${kind}}}`), ...fields },
    }),
  )
}

function requeues(version: number): fc.Arbitrary<Draft> {
  return anyKind.map((kind) =>
    draft('GET', at(version, `/slurm/job/{{${kind}}}/requeue`), { isHonest: kind.startsWith('own.') }),
  )
}

function bulkRequeues(version: number): fc.Arbitrary<Draft> {
  return fc.array(anyKind, { minLength: 1, maxLength: 3 }).map((kinds) =>
    draft('POST', at(version, '/slurm/jobs/requeue'), {
      document: { jobs: kinds.map((kind) => `{{${kind}}}`) },
    }),
  )
}

/** Bare calls of the route table; those with a document get an empty one. */
function plainCalls(version: number, routes: readonly DaemonRoute[]): fc.Arbitrary<Draft> {
  const document = fc.constantFrom<unknown>(
    {},
    { hostnames: ['n1'] },
    { hostlist: 'n[1-2]' },
    { job: buildDescription(version) },
  )
  return fc.tuple(fc.constantFrom(...routes), anyKind, document).map(([route, kind, value]) =>
    draft(
      route.method,
      at(version, route.template.replace('{job_id}', `{{${kind}}}`).replace('{name}', 'main')),
      {
        ...(route.method === 'POST' ? { document: value } : {}),
      },
    ),
  )
}

function at(version: number, template: string): string {
  const [, area = '', ...rest] = template.split('/')
  return `/${area}/v0.0.${version}/${rest.join('/')}`
}
