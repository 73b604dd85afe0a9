/**
 * What a token may be issued for. Reads a raw request and answers with an order or with every problem at once; writes
 * nothing and makes no token.
 */

import { foldAccount } from '../account-name.ts'
import { isDeniedUser, ADMIN_SCOPES, PUBLIC_SCOPES, type Scope } from '../principal.ts'
import { parseExpiry } from './expiry.ts'
import { isImportableSyntax, OPAQUE_PREFIX, readJwtKind } from './token-form.ts'

export const DEFAULT_EXPIRY = '90d'

/** What the operator asked for, unread. */
export interface RawIssueRequest {
  readonly name?: string | undefined
  readonly user?: string | undefined
  readonly account?: string | undefined
  readonly anyAccount: boolean
  /** Each may be a comma list. */
  readonly scopes: readonly string[]
  readonly expires?: string | undefined
  readonly format?: string | undefined
  /** A token made elsewhere, as it was read: one line end at its end is dropped. */
  readonly importedToken?: string | undefined
  readonly issuedBy?: string | undefined
}

export interface IssueRules {
  readonly deniedUsers: ReadonlySet<string>
  readonly areAdminScopesOpen: boolean
  /** Unix seconds. */
  readonly nowSeconds: number
}

/** A request that keeps all the rules. */
export interface IssueOrder {
  readonly kind: 'issue-order'
  readonly name: string
  readonly slurmUser: string
  readonly scopes: readonly Scope[]
  /** Lower case, as Slurm compares accounts; null: any. */
  readonly account: string | null
  /** Unix seconds; null: never. */
  readonly expiresAt: number | null
  readonly form:
    { readonly format: 'opaque' | 'jwt' } | { readonly format: 'imported'; readonly token: string }
  readonly issuedBy: string
}

/** `usage`: it was not understood. `refused`: it was, and the answer is no. Never repeats a token. */
export interface IssueProblem {
  readonly kind: 'usage' | 'refused'
  readonly text: string
}

export interface IssueProblems {
  readonly kind: 'issue-problems'
  readonly problems: readonly IssueProblem[]
}

const NAME_LENGTH_MAX = 100
/** Letters, marks, digits, punctuation, symbols, blank: nothing that moves a terminal's cursor or turns text around. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u
/** useradd(8) and what directories add: capitals and dots. Not a number, which Slurm would take for a uid. */
const USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/
const ACCOUNT = /^[a-z0-9_][a-z0-9_.@+-]{0,127}$/
const LIFE_SECONDS_MAX = 10 * 366 * 86_400
const FORMATS = ['opaque', 'jwt'] as const

type Report = (kind: IssueProblem['kind'], text: string) => void

export function checkIssueRequest(request: RawIssueRequest, rules: IssueRules): IssueOrder | IssueProblems {
  const problems: IssueProblem[] = []
  const report: Report = (kind, text) => problems.push({ kind, text })
  const account = readAccount(request, report)
  const order: IssueOrder = {
    kind: 'issue-order',
    name: readName('--name', request.name, report),
    slurmUser: readUser(request.user, rules, report),
    scopes: readScopes(request.scopes, account !== null, rules, report),
    account,
    expiresAt: readExpiry(request.expires ?? DEFAULT_EXPIRY, rules.nowSeconds, report),
    form: readForm(request, report),
    issuedBy: readName('--issued-by', request.issuedBy, report),
  }
  return problems.length === 0 ? order : { kind: 'issue-problems', problems }
}

function readName(option: string, raw: string | undefined, report: Report): string {
  const name = raw?.trim() ?? ''
  if (name === '') report('usage', `${option} is missing`)
  else if (Array.from(name).length > NAME_LENGTH_MAX || !PRINTABLE.test(name)) {
    report('usage', `${option} takes 1 to ${NAME_LENGTH_MAX} printable characters`)
  }
  return name
}

function readUser(raw: string | undefined, rules: IssueRules, report: Report): string {
  if (raw === undefined) report('usage', '--user is missing: the Slurm user the token acts as')
  else if (!USER.test(raw)) report('usage', '--user is not a user name')
  else if (isDeniedUser(rules.deniedUsers, raw))
    report('refused', `no token acts as ${raw} (SLURM_DENIED_USERS)`)
  return raw ?? ''
}

function readAccount(request: RawIssueRequest, report: Report): string | null {
  const { account, anyAccount } = request
  if ((account !== undefined) === anyAccount) {
    report('usage', 'say either --account A or --any-account')
  }
  if (account === undefined) return null
  const lower = foldAccount(account)
  if (!ACCOUNT.test(lower)) report('usage', '--account is not the name of one Slurm account')
  return lower
}

function readScopes(
  raw: readonly string[],
  hasAccount: boolean,
  rules: IssueRules,
  report: Report,
): readonly Scope[] {
  const names = [...new Set(raw.flatMap((list) => list.split(',')).map((name) => name.trim()))]
  const known = names.map((name) => findScope(name)).filter((scope) => scope !== null)
  const admin = known.filter((scope) => isAdminScope(scope))
  if (names.length === 0) report('usage', `--scope is missing; scopes: ${PUBLIC_SCOPES.join(', ')}`)
  if (known.length < names.length) {
    report('usage', `--scope takes a comma list of: ${[...PUBLIC_SCOPES, ...ADMIN_SCOPES].join(', ')}`)
  }
  if (admin.length > 0 && !rules.areAdminScopesOpen) {
    report('refused', `${admin.join(', ')}: closed; ADMIN_SCOPES=on opens it, here and on the gateway`)
  }
  if (admin.length > 0 && hasAccount) {
    report('refused', `${admin.join(', ')}: never with an account; use --any-account`)
  }
  return known
}

function findScope(name: string): Scope | null {
  return [...PUBLIC_SCOPES, ...ADMIN_SCOPES].find((scope) => scope === name) ?? null
}

function isAdminScope(scope: Scope): boolean {
  return ADMIN_SCOPES.some((admin) => admin === scope)
}

function readExpiry(raw: string, nowSeconds: number, report: Report): number | null {
  const expiresAt = parseExpiry(raw, nowSeconds)
  if (expiresAt === 'malformed') {
    report('usage', '--expires takes 90d, 12h, 30m, a date such as 2030-01-31T12:00:00Z, or never')
    return null
  }
  if (expiresAt !== null && expiresAt <= nowSeconds) report('refused', '--expires is in the past')
  if (expiresAt !== null && expiresAt > nowSeconds + LIFE_SECONDS_MAX) {
    report('refused', '--expires is more than ten years away; say never if you mean it')
  }
  return expiresAt
}

function readForm(request: RawIssueRequest, report: Report): IssueOrder['form'] {
  const { importedToken, format } = request
  if (importedToken !== undefined) {
    if (format !== undefined) report('usage', '--format is for new tokens, not with --token-from-stdin')
    return { format: 'imported', token: readImported(importedToken, report) }
  }
  const known = FORMATS.find((candidate) => candidate === (format ?? 'opaque'))
  if (known === undefined) report('usage', `--format takes ${FORMATS.join(' or ')}`)
  return { format: known ?? 'opaque' }
}

function readImported(raw: string, report: Report): string {
  const token = raw.replace(/\r?\n$/, '')
  const kind = readJwtKind(token)
  if (token.startsWith(OPAQUE_PREFIX) || kind === 'ours' || kind === 'ours-malformed') {
    report('refused', 'the token on stdin is in a form that only slurmgate makes; issue a new one')
  } else if (kind === 'slurm') {
    report('refused', 'the token on stdin is a Slurm JWT (scontrol token); the gate never takes one')
  } else if (!isImportableSyntax(token)) {
    report(
      'refused',
      'the token on stdin is not 32 to 4096 characters of A-Z a-z 0-9 - . _ ~ + / with = at the end',
    )
  }
  return token
}
