/**
 * What Slurm's accounting says about a token's user, and what an operator has to know of it before the token exists: a
 * job can call `sbatch -A` and sacctmgr itself, so an account restriction is only as tight as its user is. Asks nobody.
 */

import { foldAccount } from '../account-name.ts'
import { ADMIN_SCOPES } from '../principal.ts'
import { isObject, readSlurmErrors } from '../slurm-error.ts'
import type { IssueOrder } from './issue-rules.ts'

export interface ServiceUser {
  readonly name: string
  /** False: the accounting has no such user, and all of the rest is empty. */
  readonly exists: boolean
  /** Each once, lower case, sorted: an account may have several associations, one for each partition. */
  readonly accounts: readonly string[]
  /** Those of `accounts` that this cluster, or a cluster that was not named, has an association with. */
  readonly accountsHere: readonly string[]
  /** Partitions of the associations that are bound to one: the user has no others in that account. */
  readonly partitions: readonly string[]
  /** `Operator`, `Administrator`, or whatever a later Slurm adds; null: none. */
  readonly adminLevel: string | null
  readonly coordinatorOf: readonly string[]
}

export const SERVICE_USER_WARNING_CODES = [
  'several_accounts',
  'account_not_associated',
  'admin_level',
  'coordinator',
  'user_unknown',
  'look_up_failed',
  'partitions_only',
  'uid_unknown',
] as const
export type ServiceUserWarningCode = (typeof SERVICE_USER_WARNING_CODES)[number]

/** `text` says what is wrong and what to do about it. */
export interface ServiceUserWarning {
  readonly code: ServiceUserWarningCode
  readonly text: string
}

/** What of an order decides which of a user's properties matter. */
export type Restriction = Pick<IssueOrder, 'slurmUser' | 'account' | 'scopes'>

/** ESLURM_REST_EMPTY_RESULT: v0.0.36 answers an unknown user with 400, v0.0.37 and 38 with 500 (measured). */
const NOTHING_FOUND = 9003

/**
 * Reads the answer of `GET /slurmdb/{version}/user/{name}`; v0.0.36-38 have `administrator_level` as text and null for
 * no partition, v0.0.40+ a list and '' (measured).
 * @param answer untrusted.
 * @returns null where it does not say all of it: nothing is taken for harmless.
 */
export function readServiceUser(name: string, answer: unknown): ServiceUser | null {
  if (!isObject(answer) || !Array.isArray(answer['users'])) return null
  const users: readonly unknown[] = answer['users']
  const errors = readSlurmErrors(answer['errors'])
  if (errors.some(({ number }) => number !== NOTHING_FOUND)) return null
  // v0.0.40+ answers an unknown user with 200 and an empty list (measured); so does PrivateData=users for others' names.
  if (users.length === 0) return buildUnknownUser(name)
  // slurmdbd keeps names in lower case and finds them in any (measured).
  const user = users.find((user) => isObject(user) && readName(user['name']) === foldAccount(name))
  return isObject(user) ? readKnownUser(name, user, readClusterName(answer['meta'])) : null
}

function buildUnknownUser(name: string): ServiceUser {
  const nothing = { accounts: [], accountsHere: [], partitions: [], adminLevel: null, coordinatorOf: [] }
  return { name, exists: false, ...nothing }
}

function readKnownUser(
  name: string,
  user: Readonly<Record<string, unknown>>,
  cluster: string | null,
): ServiceUser | null {
  const level = readAdminLevel(user['administrator_level'])
  const coordinated = readEach(user['coordinators'], (entry) => readName(entry['name']))
  const associations = readEach(user['associations'], (entry) => {
    const account = readName(entry['account'])
    return account === null ? null : { account, ...readPlace(entry) }
  })
  if (level === undefined || coordinated === null || associations === null) return null
  const isHere = (at: { cluster: string | null }): boolean =>
    cluster === null || at.cluster === null || at.cluster === cluster
  return {
    name,
    exists: true,
    accounts: sortUnique(associations.map(({ account }) => account)),
    accountsHere: sortUnique(associations.filter(isHere).map(({ account }) => account)),
    partitions: sortUnique(associations.flatMap(({ partition }) => partition ?? [])),
    adminLevel: level,
    coordinatorOf: sortUnique(coordinated),
  }
}

/** Every problem of this user for this token, and what to do about it; [] where the restriction is a boundary. */
export function findServiceUserWarnings(
  user: ServiceUser,
  token: Restriction,
): readonly ServiceUserWarning[] {
  if (!user.exists) return [warnOfUnknownUser(user, token)]
  // Administrative scopes are for users who are allowed to do it: their level is what the token was made for.
  const isAdministrative = token.scopes.some((scope) => ADMIN_SCOPES.some((admin) => admin === scope))
  const { account } = token
  return [
    ...(isAdministrative ? [] : warnOfPower(user)),
    ...(account === null ? [] : warnOfAccounts(user, account)),
  ]
}

/** Whether `--strict` refuses because of it. */
export function isProblem({ code }: ServiceUserWarning): boolean {
  return code !== 'partitions_only'
}

function warnOfUnknownUser({ name }: ServiceUser, { account }: Restriction): ServiceUserWarning {
  const command = `sacctmgr add user ${name} account=${account ?? 'ACCOUNT'}`
  return {
    code: 'user_unknown',
    text: `Slurm's accounting has no user ${name}: jobs of this token are refused where Slurm enforces associations. Is the name right? Then: ${command}`,
  }
}

function warnOfPower({ name, adminLevel, coordinatorOf }: ServiceUser): ServiceUserWarning[] {
  const accounts = coordinatorOf.join(',')
  const warnings: ServiceUserWarning[] = []
  if (adminLevel !== null) {
    const text = `${name} has the admin level ${adminLevel} in Slurm: the token sees and changes other users' jobs, and a job of it can give itself any account. Take a service user without one, or: sacctmgr modify user ${name} set adminlevel=None`
    warnings.push({ code: 'admin_level', text })
  }
  if (coordinatorOf.length > 0) {
    // Also by a parent account or the flag UsersAreCoords: `direct` is false then (24.11, measured).
    const text = `${name} is a coordinator of ${accounts} (itself, by a parent account, or by the flag UsersAreCoords): the token changes other users' jobs there, and a job of it can change who belongs to it. Take a service user that coordinates nothing, or: sacctmgr delete coordinator account=${accounts} names=${name}`
    warnings.push({ code: 'coordinator', text })
  }
  return warnings
}

function warnOfAccounts(user: ServiceUser, account: string): ServiceUserWarning[] {
  const { name, accounts, accountsHere, partitions } = user
  const others = accounts.filter((candidate) => candidate !== account)
  const warnings: ServiceUserWarning[] = []
  if (accounts.length > 1) {
    const text = `${name} has associations with ${accounts.length} accounts (${accounts.join(', ')}): the gate keeps calls to ${account}, but a job of this token can itself call sbatch -A ${others[0] ?? ''}. Give the integration a service user of its own with one association: sacctmgr add user NEWUSER account=${account}`
    warnings.push({ code: 'several_accounts', text })
  }
  if (!accountsHere.includes(account)) {
    const elsewhere = accounts.length === 0 ? 'it has none at all' : 'only on another cluster'
    const has = accountsHere.length === 0 ? elsewhere : `only with ${accountsHere.join(', ')}`
    const text = `${name} has no association with ${account} here (${has}): the token can never submit. Is the account right? Then: sacctmgr add user ${name} account=${account}`
    warnings.push({ code: 'account_not_associated', text })
  }
  if (warnings.length === 0 && partitions.length > 0) {
    const text = `${name} has one account, ${account}, with associations for single partitions: ${partitions.join(', ')}`
    warnings.push({ code: 'partitions_only', text })
  }
  return warnings
}

/** @returns null for none, undefined where it is not said. */
function readAdminLevel(value: unknown): string | null | undefined {
  const level: unknown = Array.isArray(value) ? value[0] : value
  if (typeof level !== 'string' || level === '') return undefined
  return /^(none|not set)$/i.test(level) ? null : level
}

function readPlace(association: Readonly<Record<string, unknown>>) {
  const partition = association['partition']
  return {
    cluster: readName(association['cluster']),
    partition: typeof partition === 'string' && partition !== '' ? partition : null,
  }
}

/** v0.0.40+ names the cluster that slurmrestd belongs to. */
function readClusterName(meta: unknown): string | null {
  const slurm = isObject(meta) ? meta['slurm'] : null
  return isObject(slurm) ? readName(slurm['cluster']) : null
}

/** Slurm compares accounts, users and clusters in lower case. @returns null where there is no name. */
function readName(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? foldAccount(value) : null
}

/** @returns null where it is no list, or where one entry cannot be read. */
function readEach<T>(
  list: unknown,
  read: (entry: Readonly<Record<string, unknown>>) => T | null,
): readonly T[] | null {
  if (!Array.isArray(list)) return null
  const found = list.map((entry: unknown) => (isObject(entry) ? read(entry) : null))
  return found.some((entry) => entry === null) ? null : found.filter((entry) => entry !== null)
}

function sortUnique(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort()
}
