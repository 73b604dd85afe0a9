/** What the verifier says about one request, as claims of its signed answer and what they name beside them. Parsed strictly: unknown is no answer. */

import type { SignedIdentity, UnclaimedIdentity } from '../ports.ts'
import { isRefusal, refuse, REFUSALS, type OutageRule, type Refusal } from '../refusal.ts'
import type { SealedSlurmToken, SlurmToken } from '../slurm-token.ts'
import { isObject, type Claims } from './exchange-signature.ts'

export type Verdict =
  | { readonly kind: 'identity'; readonly identity: UnclaimedIdentity }
  /** To a credential that the verifier has claimed, and signed for its user. */
  | { readonly kind: 'claimed'; readonly identity: SealedIdentity }
  | { readonly kind: 'refusal'; readonly refusal: Refusal }
  | { readonly kind: 'outage'; readonly rule: OutageRule }
  /** To a credential whose answer key came by its name: it has to come whole. Nothing was decoded, claimed or signed. */
  | { readonly kind: 'keyUnknown' }
  /** To an encrypted API token. */
  | { readonly kind: 'signed'; readonly signed: SignedForToken }
  /** To a question without a credential: the verifier and its munged work. */
  | { readonly kind: 'ready' }
  /** The same where it also signs: the question's nonce, encrypted as a Slurm token would be. */
  | { readonly kind: 'signs'; readonly proof: string }

/** As it is on the way. */
export type SealedIdentity = SignedIdentity & { readonly slurmToken: SealedSlurmToken }

/** A Slurm token for the user of an API token that was presented. On the way it is encrypted. */
export interface SignedForToken {
  readonly tokenId: string
  /** From here on: of the token's row, as the signer read it. */
  readonly slurmUser: string
  readonly scopes: readonly string[]
  readonly account: string | null
  readonly expiresAt: number | null
  readonly policyVersion: number
  readonly slurmToken: SlurmToken
}

/** What was asked about. */
export type About = 'credential' | 'token' | 'signer'

/** An answer of the other sort is none. */
const KINDS = {
  credential: ['identity', 'claimed', 'refusal', 'outage', 'ready', 'keyUnknown'],
  token: ['signed', 'refusal', 'outage'],
  signer: ['signs', 'outage'],
} as const satisfies Record<About, readonly Verdict['kind'][]>
const DESCRIPTION_MAX_LENGTH = 300
const USER_MAX_LENGTH = 255
const SLURM_TOKEN_MAX_LENGTH = 4_096
const TOKEN_ID = /^tok_[a-z2-7]{16}$/

export function buildVerdict(outcome: UnclaimedIdentity | SealedIdentity | Refusal): Verdict {
  if (isRefusal(outcome)) return { kind: 'refusal', refusal: outcome }
  return 'slurmToken' in outcome
    ? { kind: 'claimed', identity: outcome }
    : { kind: 'identity', identity: outcome }
}

/** What of a verdict goes beside its claims; null: nothing. A Slurm token of a MUNGE call, encrypted. */
export function findSealed(verdict: Verdict): string | null {
  return verdict.kind === 'claimed' ? verdict.identity.slurmToken.token : null
}

/** @returns a new object, to which others may add. */
export function writeVerdict(verdict: Verdict): Record<string, unknown> {
  switch (verdict.kind) {
    case 'identity': {
      const { user, uid, credentialDigest, expiresAt, boundDigest } = verdict.identity
      return { identity: { user, uid, credentialDigest, expiresAt, boundDigest } }
    }
    case 'claimed': {
      const { user, uid, boundDigest, slurmToken } = verdict.identity
      const { digest, issuedAt, useUntil } = slurmToken
      return { claimed: { user, uid, boundDigest, slurmToken: { digest, issuedAt, useUntil } } }
    }
    case 'refusal': {
      const { rule, description } = verdict.refusal
      return { refusal: rule, ...(description !== undefined && { description }) }
    }
    case 'outage':
      return { outage: verdict.rule }
    case 'ready':
      return { ready: true }
    case 'keyUnknown':
      return { keyUnknown: true }
    case 'signs':
      return { signs: verdict.proof }
    case 'signed':
      return { signed: verdict.signed }
  }
}

/**
 * @param sealed what came beside the claims.
 * @returns null for claims that are not exactly one verdict of known words, with something beside them where that belongs there.
 */
export function parseVerdict(claims: Claims, about: About, sealed: string | null): Verdict | null {
  const [kind, ...others] = KINDS[about].filter((candidate) => Object.hasOwn(claims, candidate))
  if (kind === undefined || others.length > 0) return null
  if (kind === 'claimed') return parseClaimed(claims[kind], sealed)
  if (sealed !== null) return null
  switch (kind) {
    case 'identity':
      return parseIdentity(claims['identity'])
    case 'refusal':
      return parseRefusal(claims['refusal'], claims['description'], about)
    case 'outage':
      return parseOutage(claims['outage'])
    case 'ready':
      return claims['ready'] === true ? { kind: 'ready' } : null
    case 'keyUnknown':
      return claims['keyUnknown'] === true ? { kind: 'keyUnknown' } : null
    case 'signs':
      return isEncrypted(claims['signs']) ? { kind: 'signs', proof: claims['signs'] } : null
    case 'signed':
      return parseSigned(claims['signed'])
  }
}

function parseIdentity(value: unknown): Verdict | null {
  if (!isObject(value)) return null
  const { user, uid, credentialDigest, expiresAt, boundDigest } = value
  if (!isUser(user)) return null
  if (!isCount(uid) || !isCount(expiresAt)) return null
  if (!isDigest(credentialDigest) || !isBoundDigest(boundDigest)) return null
  return { kind: 'identity', identity: { user, uid, credentialDigest, expiresAt, boundDigest } }
}

/** What is sealed is not looked at here: its digest says whether it was opened before. */
function parseClaimed(value: unknown, sealed: string | null): Verdict | null {
  if (!isObject(value) || sealed === null || sealed.length > SLURM_TOKEN_MAX_LENGTH) return null
  const { user, uid, boundDigest, slurmToken } = value
  if (!isUser(user) || !isCount(uid) || !isBoundDigest(boundDigest) || !isObject(slurmToken)) return null
  const { digest, issuedAt, useUntil } = slurmToken
  if (!isDigest(digest) || !isCount(issuedAt) || !isCount(useUntil)) return null
  const identity = { user, uid, boundDigest, slurmToken: { token: sealed, digest, issuedAt, useUntil } }
  return { kind: 'claimed', identity }
}

function parseSigned(value: unknown): Verdict | null {
  if (!isObject(value)) return null
  const { tokenId, slurmUser, scopes, account, expiresAt, policyVersion } = value
  if (typeof tokenId !== 'string' || !TOKEN_ID.test(tokenId)) return null
  if (!isUser(slurmUser) || !isCount(policyVersion)) return null
  if (!isTextList(scopes) || !(account === null || typeof account === 'string')) return null
  if (!(expiresAt === null || isCount(expiresAt))) return null
  const slurmToken = parseSlurmToken(value['slurmToken'])
  if (slurmToken === null) return null
  const row = { slurmUser, scopes, account, expiresAt, policyVersion }
  return { kind: 'signed', signed: { tokenId, ...row, slurmToken } }
}

function parseSlurmToken(value: unknown): SlurmToken | null {
  if (!isObject(value)) return null
  const { token, issuedAt, useUntil } = value
  if (!isEncrypted(token) || !isCount(issuedAt) || !isCount(useUntil)) return null
  return { token, issuedAt, useUntil }
}

/** RFC 7516 section 7.1, without an encrypted key: both ends have it. */
const COMPACT_JWE = /^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/

function isEncrypted(value: unknown): value is string {
  return typeof value === 'string' && value.length <= SLURM_TOKEN_MAX_LENGTH && COMPACT_JWE.test(value)
}

/** Only what a verifier may decide: the `munge_` rules, and as the signer those of API tokens. */
function parseRefusal(rule: unknown, description: unknown, about: About): Verdict | null {
  const prefix = about === 'token' ? 'token_' : 'munge_'
  if (!isRuleOf(REFUSALS, rule)) return null
  if (!rule.startsWith(prefix) && rule !== 'rate_limited') return null
  if (description === undefined) return { kind: 'refusal', refusal: refuse(rule) }
  if (typeof description !== 'string' || description.length > DESCRIPTION_MAX_LENGTH) return null
  return { kind: 'refusal', refusal: refuse(rule, { description }) }
}

/** Anything but these would be the gateway's own word. */
const OUTAGES: readonly OutageRule[] = [
  'munged_unavailable',
  'names_unavailable',
  'signer_unavailable',
  'replay_guard_unavailable',
  'token_store_unavailable',
]

function parseOutage(value: unknown): Verdict | null {
  const rule = OUTAGES.find((known) => known === value)
  return rule === undefined ? null : { kind: 'outage', rule }
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function isUser(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= USER_MAX_LENGTH
}

function isRuleOf<Table extends object>(table: Table, rule: unknown): rule is keyof Table & string {
  return typeof rule === 'string' && Object.hasOwn(table, rule)
}

/** To leave it out is no "not bound": that would open the credential for every request. */
function isBoundDigest(value: unknown): value is string | null {
  return value === null || isDigest(value)
}

function isDigest(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
