/**
 * The policy table: every slurmrestd route that the gate knows, since and until which API version it exists, what it
 * does, what it asks of an API token, where accounts can hide in it, and what its query and body may be. A route that
 * is not listed here is closed to everybody.
 * Source: the OpenAPI documents of Slurm 22.05, 24.11 and 26.05. v0.0.39 is in none of them: it is taken to be as v0.0.40,
 * without what that added.
 */

import {
  ACCOUNTING_JOBS_QUERY,
  ACCOUNTS_QUERY,
  ASSOCIATIONS_QUERY,
  ASSOCIATION_FILTERS,
  CLUSTERS_QUERY,
  INSTANCES_QUERY,
  QOS_QUERY,
  USERS_QUERY,
  WCKEYS_QUERY,
} from './query-names.ts'
import type { Scope } from '../principal.ts'

export type Method = 'GET' | 'POST' | 'DELETE'

/**
 * What an API token needs. `any`: no scope. `closed`: never open to a token.
 * Not derived from the method: `GET reconfigure` and `GET requeue` change state.
 */
export type Access = Scope | 'any' | 'closed'

/**
 * Where a call can reach jobs of an account, and so what is judged before a restricted token's call is let through.
 * `nothing`: it changes nothing; reads show what Slurm shows the token's user. `anywhere`: closed to restricted tokens.
 */
export type AccountsIn =
  'nothing' | 'submitted-jobs' | 'named-job' | 'named-job-and-document' | 'listed-jobs' | 'anywhere'

/** What a body may be. An API token's is read strictly and written anew; `object`: no rule of the gate's beyond that. */
export type BodyShape = 'submission' | 'job-update' | 'kill-list' | 'requeue-list' | 'object'

export interface Route {
  readonly method: Method
  /** Without version: `/slurm/job/{job_id}`. Also the operation's name in logs. */
  readonly template: string
  /** The NN of v0.0.NN, both inclusive. */
  readonly since: number
  readonly until: number
  readonly effect: 'read' | 'write'
  readonly access: Access
  readonly accountsIn: AccountsIn
  /** Names slurmrestd documents for any version. A POST takes none: it would read them in place of its body. */
  readonly query: readonly string[]
  /** null: takes no body. */
  readonly body: BodyShape | null
  /** Of these query names one has to be there; null: none has to. */
  readonly oneOf: readonly string[] | null
  /** The NN of the newest version in which the operation ends slurmrestd, whoever asks: closed to everybody; null: none. */
  readonly deadlyUntil: number | null
}

interface RouteOptions {
  readonly query?: readonly string[]
  readonly accountsIn?: AccountsIn
  readonly body?: BodyShape
  readonly oneOf?: readonly string[]
  readonly deadlyUntil?: number
}

function route(
  method: Method,
  template: string,
  since: number,
  until: number,
  effect: 'read' | 'write',
  access: Access,
  options: RouteOptions = {},
): Route {
  return {
    method,
    template,
    since,
    until,
    effect,
    access,
    accountsIn: options.accountsIn ?? (effect === 'read' ? 'nothing' : 'anywhere'),
    query: options.query ?? [],
    body: options.body ?? (method === 'POST' ? 'object' : null),
    oneOf: options.oneOf ?? null,
    deadlyUntil: options.deadlyUntil ?? null,
  }
}

export const ROUTES: readonly Route[] = [
  route('GET', '/slurm/conf', 45, 45, 'read', 'slurm:read', {
    query: ['update_time'],
    accountsIn: 'anywhere',
  }),
  route('GET', '/slurm/diag', 36, 45, 'read', 'slurm:read'),
  route('POST', '/slurm/job/allocate', 41, 45, 'write', 'closed'),
  route('POST', '/slurm/job/submit', 36, 45, 'write', 'slurm:jobs:manage', {
    accountsIn: 'submitted-jobs',
    body: 'submission',
  }),
  route('DELETE', '/slurm/job/{job_id}', 36, 45, 'write', 'slurm:jobs:manage', {
    accountsIn: 'named-job',
    query: ['flags', 'signal'],
  }),
  route('GET', '/slurm/job/{job_id}', 36, 45, 'read', 'slurm:read', { query: ['flags', 'update_time'] }),
  route('POST', '/slurm/job/{job_id}', 36, 45, 'write', 'slurm:jobs:manage', {
    accountsIn: 'named-job-and-document',
    body: 'job-update',
  }),
  route('GET', '/slurm/job/{job_id}/requeue', 45, 45, 'write', 'slurm:jobs:manage', {
    accountsIn: 'named-job',
    query: ['Hold', 'Incomplete', 'SpecialExit'],
  }),
  route('DELETE', '/slurm/jobs', 40, 45, 'write', 'slurm:jobs:manage', {
    accountsIn: 'listed-jobs',
    body: 'kill-list',
  }),
  route('GET', '/slurm/jobs', 36, 45, 'read', 'slurm:read', { query: ['flags', 'update_time'] }),
  route('POST', '/slurm/jobs/requeue', 45, 45, 'write', 'slurm:jobs:manage', {
    accountsIn: 'listed-jobs',
    body: 'requeue-list',
  }),
  route('GET', '/slurm/jobs/state', 40, 45, 'read', 'slurm:read', { query: ['job_id'] }),
  route('GET', '/slurm/licenses', 38, 45, 'read', 'slurm:read'),
  route('POST', '/slurm/new/node', 44, 45, 'write', 'slurm:nodes:manage'),
  route('DELETE', '/slurm/node/{name}', 39, 45, 'write', 'slurm:nodes:manage'),
  route('GET', '/slurm/node/{name}', 36, 45, 'read', 'slurm:read', { query: ['flags', 'update_time'] }),
  route('POST', '/slurm/node/{name}', 39, 45, 'write', 'slurm:nodes:manage'),
  route('GET', '/slurm/nodes', 36, 45, 'read', 'slurm:read', { query: ['flags', 'update_time'] }),
  route('POST', '/slurm/nodes', 40, 45, 'write', 'slurm:nodes:manage'),
  route('DELETE', '/slurm/partition/{name}', 45, 45, 'write', 'slurm:partitions:manage'),
  route('GET', '/slurm/partition/{name}', 36, 45, 'read', 'slurm:read', { query: ['flags', 'update_time'] }),
  route('GET', '/slurm/partitions', 36, 45, 'read', 'slurm:read', { query: ['flags', 'update_time'] }),
  route('POST', '/slurm/partitions', 45, 45, 'write', 'slurm:partitions:manage'),
  route('GET', '/slurm/ping', 36, 45, 'read', 'slurm:read'),
  route('GET', '/slurm/reconfigure', 40, 45, 'write', 'slurm:reconfigure'),
  route('POST', '/slurm/reservation', 43, 45, 'write', 'slurm:reservations:manage'),
  route('DELETE', '/slurm/reservation/{name}', 42, 45, 'write', 'slurm:reservations:manage'),
  route('GET', '/slurm/reservation/{name}', 37, 45, 'read', 'slurm:read', { query: ['update_time'] }),
  route('GET', '/slurm/reservations', 37, 45, 'read', 'slurm:read', { query: ['update_time'] }),
  route('POST', '/slurm/reservations', 43, 45, 'write', 'slurm:reservations:manage'),
  route('GET', '/slurm/resources/{job_id}', 44, 45, 'read', 'slurm:read'),
  route('GET', '/slurm/shares', 40, 45, 'read', 'slurm:read', { query: ['accounts', 'users'] }),
  route('DELETE', '/slurmdb/account/{name}', 36, 45, 'write', 'slurmdb:manage'),
  route('GET', '/slurmdb/account/{name}', 36, 45, 'read', 'slurmdb:read', {
    query: ['with_assocs', 'with_coords', 'with_deleted'],
  }),
  route('GET', '/slurmdb/accounts', 36, 45, 'read', 'slurmdb:read', { query: ACCOUNTS_QUERY }),
  route('POST', '/slurmdb/accounts', 36, 45, 'write', 'slurmdb:manage'),
  route('POST', '/slurmdb/accounts_association', 40, 45, 'write', 'slurmdb:manage'),
  route('DELETE', '/slurmdb/association', 36, 45, 'write', 'slurmdb:manage', {
    query: ASSOCIATIONS_QUERY,
    oneOf: ASSOCIATION_FILTERS,
  }),
  route('GET', '/slurmdb/association', 36, 45, 'read', 'slurmdb:read', { query: ASSOCIATIONS_QUERY }),
  route('DELETE', '/slurmdb/associations', 38, 45, 'write', 'slurmdb:manage', {
    query: ASSOCIATIONS_QUERY,
    oneOf: ASSOCIATION_FILTERS,
  }),
  route('GET', '/slurmdb/associations', 36, 45, 'read', 'slurmdb:read', { query: ASSOCIATIONS_QUERY }),
  route('POST', '/slurmdb/associations', 37, 45, 'write', 'slurmdb:manage'),
  route('DELETE', '/slurmdb/cluster/{name}', 36, 45, 'write', 'slurmdb:manage', { query: CLUSTERS_QUERY }),
  route('GET', '/slurmdb/cluster/{name}', 36, 45, 'read', 'slurmdb:read', { query: CLUSTERS_QUERY }),
  route('GET', '/slurmdb/clusters', 36, 45, 'read', 'slurmdb:read', { query: ['update_time'] }),
  route('POST', '/slurmdb/clusters', 36, 45, 'write', 'slurmdb:manage'),
  route('GET', '/slurmdb/conf', 45, 45, 'read', 'slurmdb:read', { accountsIn: 'anywhere' }),
  route('GET', '/slurmdb/config', 36, 45, 'read', 'slurmdb:read', { accountsIn: 'anywhere' }),
  route('POST', '/slurmdb/config', 36, 45, 'write', 'slurmdb:manage'),
  route('GET', '/slurmdb/diag', 36, 45, 'read', 'slurmdb:read'),
  route('GET', '/slurmdb/instance', 40, 45, 'read', 'slurmdb:read', { query: INSTANCES_QUERY }),
  route('GET', '/slurmdb/instances', 40, 45, 'read', 'slurmdb:read', { query: INSTANCES_QUERY }),
  route('GET', '/slurmdb/job/{job_id}', 36, 45, 'read', 'slurmdb:read'),
  route('POST', '/slurmdb/job/{job_id}', 44, 45, 'write', 'closed'),
  route('GET', '/slurmdb/jobs', 36, 45, 'read', 'slurmdb:read', { query: ACCOUNTING_JOBS_QUERY }),
  route('POST', '/slurmdb/jobs', 44, 45, 'write', 'closed'),
  route('GET', '/slurmdb/ping', 42, 45, 'read', 'slurmdb:read'),
  route('GET', '/slurmdb/qos', 36, 45, 'read', 'slurmdb:read', { query: QOS_QUERY }),
  route('POST', '/slurmdb/qos', 38, 45, 'write', 'slurmdb:manage'),
  // 22.05 dies of it in v0.0.36 and v0.0.37, whatever is named and whoever asks (measured).
  route('DELETE', '/slurmdb/qos/{name}', 36, 45, 'write', 'slurmdb:manage', { deadlyUntil: 37 }),
  route('GET', '/slurmdb/qos/{name}', 36, 45, 'read', 'slurmdb:read', { query: ['with_deleted'] }),
  route('GET', '/slurmdb/tres', 36, 45, 'read', 'slurmdb:read'),
  route('POST', '/slurmdb/tres', 36, 45, 'write', 'slurmdb:manage'),
  route('DELETE', '/slurmdb/user/{name}', 36, 45, 'write', 'slurmdb:manage'),
  route('GET', '/slurmdb/user/{name}', 36, 45, 'read', 'slurmdb:read', {
    query: ['with_assocs', 'with_coords', 'with_deleted', 'with_wckeys'],
  }),
  route('GET', '/slurmdb/users', 36, 45, 'read', 'slurmdb:read', { query: USERS_QUERY }),
  route('POST', '/slurmdb/users', 36, 45, 'write', 'slurmdb:manage'),
  route('POST', '/slurmdb/users_association', 40, 45, 'write', 'slurmdb:manage'),
  route('DELETE', '/slurmdb/wckey/{name}', 36, 45, 'write', 'slurmdb:manage'),
  route('GET', '/slurmdb/wckey/{name}', 36, 45, 'read', 'slurmdb:read'),
  route('GET', '/slurmdb/wckeys', 36, 45, 'read', 'slurmdb:read', { query: WCKEYS_QUERY }),
  route('POST', '/slurmdb/wckeys', 36, 45, 'write', 'slurmdb:manage'),
  route('POST', '/util/hostlist', 44, 45, 'read', 'any'),
  route('POST', '/util/hostnames', 44, 45, 'read', 'any'),
]

/** The NN of the oldest and newest v0.0.NN in the table. Other versions of a daemon are not served. */
export const OLDEST_VERSION = 36
export const NEWEST_VERSION = 45
