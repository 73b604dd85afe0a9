/** What the verifier says about one request, as claims of its signed answer. Parsed strictly: unknown is no answer. */

import type { MungeIdentity } from '../ports.ts'
import { isRefusal, refuse, REFUSALS, type OutageRule, type Refusal } from '../refusal.ts'
import { isObject, type Claims } from './exchange-signature.ts'

export type Verdict =
  | { readonly kind: 'identity'; readonly identity: MungeIdentity }
  | { readonly kind: 'refusal'; readonly refusal: Refusal }
  | { readonly kind: 'outage'; readonly rule: OutageRule }
  /** To a question without a credential: the verifier and its munged work. */
  | { readonly kind: 'ready' }

const KINDS = ['identity', 'refusal', 'outage', 'ready'] as const
const DESCRIPTION_MAX_LENGTH = 300
const USER_MAX_LENGTH = 255

export function buildVerdict(outcome: MungeIdentity | Refusal): Verdict {
  return isRefusal(outcome) ? { kind: 'refusal', refusal: outcome } : { kind: 'identity', identity: outcome }
}

export function writeVerdict(verdict: Verdict): Claims {
  switch (verdict.kind) {
    case 'identity': {
      const { user, uid, credentialDigest, expiresAt, boundDigest } = verdict.identity
      return { identity: { user, uid, credentialDigest, expiresAt, boundDigest } }
    }
    case 'refusal': {
      const { rule, description } = verdict.refusal
      return { refusal: rule, ...(description !== undefined && { description }) }
    }
    case 'outage':
      return { outage: verdict.rule }
    case 'ready':
      return { ready: true }
  }
}

/** @returns null for claims that are not exactly one verdict of known words. */
export function parseVerdict(claims: Claims): Verdict | null {
  const [kind, ...others] = KINDS.filter((candidate) => Object.hasOwn(claims, candidate))
  if (kind === undefined || others.length > 0) return null
  switch (kind) {
    case 'identity':
      return parseIdentity(claims['identity'])
    case 'refusal':
      return parseRefusal(claims['refusal'], claims['description'])
    case 'outage':
      return parseOutage(claims['outage'])
    case 'ready':
      return claims['ready'] === true ? { kind: 'ready' } : null
  }
}

function parseIdentity(value: unknown): Verdict | null {
  if (!isObject(value)) return null
  const { user, uid, credentialDigest, expiresAt, boundDigest } = value
  if (typeof user !== 'string' || user === '' || user.length > USER_MAX_LENGTH) return null
  if (!isCount(uid) || !isCount(expiresAt)) return null
  if (!isDigest(credentialDigest)) return null
  // To leave it out is no "not bound": that would open the credential for every request.
  if (boundDigest !== null && !isDigest(boundDigest)) return null
  return { kind: 'identity', identity: { user, uid, credentialDigest, expiresAt, boundDigest } }
}

/** Only what a verifier may decide: the `munge_` rules. */
function parseRefusal(rule: unknown, description: unknown): Verdict | null {
  if (!isRuleOf(REFUSALS, rule) || !rule.startsWith('munge_')) return null
  if (description === undefined) return { kind: 'refusal', refusal: refuse(rule) }
  if (typeof description !== 'string' || description.length > DESCRIPTION_MAX_LENGTH) return null
  return { kind: 'refusal', refusal: refuse(rule, { description }) }
}

/** Anything but these two would be the gateway's own word. */
function parseOutage(rule: unknown): Verdict | null {
  return rule === 'munged_unavailable' || rule === 'names_unavailable' ? { kind: 'outage', rule } : null
}

function isRuleOf<Table extends object>(table: Table, rule: unknown): rule is keyof Table & string {
  return typeof rule === 'string' && Object.hasOwn(table, rule)
}

function isDigest(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
