/**
 * The whole policy on one MUNGE credential, in order: its spelling, munged's own verdict, lifetime, purpose, host,
 * user. Writes one decision to the operator's log, with the signer's where one signs for it; the credential itself goes
 * nowhere but to munged.
 */

import type { ClientAddress, Log, MungeVerifier, UnclaimedIdentity } from '../ports.ts'
import { isDeniedUser } from '../principal.ts'
import { isRefusal, Outage, refuse, type Refusal } from '../refusal.ts'
import { parseBindingPayload } from './binding-payload.ts'
import { parseCredentialString } from './credential-string.ts'
import type { DecodeAnswer } from './frame.ts'
import { findBond, type Bond, type HostBinding } from './host-binding.ts'
import type { HostMap } from './host-map.ts'
import type { Munged } from './munged-client.ts'
import { judgeErrorNumber } from './munged-error.ts'
import type { Sha256 } from './sha256.ts'
import type { SealedIdentity } from './verdict.ts'

export interface CredentialPolicy {
  /** A credential that lives longer is refused: it could be used again after munged forgot it. */
  readonly maxTtlSeconds: number
  readonly minUid: number
  readonly deniedUsers: ReadonlySet<string>
  readonly hostBinding: HostBinding
}

/**
 * The user name of a uid whose name leads back to the same uid; null: there is none.
 * @throws Outage `names_unavailable`
 */
export type FindUserName = (uid: number) => Promise<string | null>

export interface MungeVerifierParts {
  readonly munged: Munged
  readonly findUserName: FindUserName
  readonly policy: CredentialPolicy
  /** The map in force at this moment, for `hostBinding` `map`; without it `map` is `strict`. */
  readonly findHostMap?: () => HostMap | null
  readonly log: Log
  /** Default: WebCrypto. */
  readonly sha256?: Sha256
}

/** The verifier that has the munged. */
export interface CredentialVerifier extends MungeVerifier {
  /** @param sign asked once the credential was accepted: its word is the outcome, and one line says both. Default: nobody signs. */
  verify(
    credential: string,
    client: ClientAddress,
    sign?: SignIdentity,
  ): Promise<UnclaimedIdentity | SealedIdentity | Refusal>
}

/** @returns the identity with a Slurm token. A refusal or an outage of its own has its own line already. */
export type SignIdentity = (identity: UnclaimedIdentity) => Promise<SealedIdentity | Refusal>

/** What is known of a credential so far, for the log. */
interface Evidence {
  digest: string | null
  answer: DecodeAnswer | null
  user: string | null
  bond: Bond
  /** null: no signer was asked. */
  isSigned: boolean | null
}

const SUPERUSER_UID = 0

export function createMungeVerifier(parts: MungeVerifierParts): CredentialVerifier {
  async function verify(
    raw: string,
    client: ClientAddress,
    sign?: SignIdentity,
  ): Promise<UnclaimedIdentity | SealedIdentity | Refusal> {
    const evidence: Evidence = { digest: null, answer: null, user: null, bond: null, isSigned: null }
    const verdict = await judgeOrLog(parts, raw, client, evidence)
    if (isRefusal(verdict) || sign === undefined) {
      logDecision(parts.log, client, evidence, isRefusal(verdict) ? verdict.rule : null)
      return verdict
    }
    evidence.isSigned = false
    try {
      const signed = await sign(verdict)
      evidence.isSigned = !isRefusal(signed)
      return signed
    } finally {
      logDecision(parts.log, client, evidence, null)
    }
  }

  async function check(): Promise<void> {
    await parts.munged.check()
    await parts.findUserName(SUPERUSER_UID)
  }

  return { verify, check }
}

/** @throws what `judge` throws, with its line in the log. */
async function judgeOrLog(
  parts: MungeVerifierParts,
  raw: string,
  client: ClientAddress,
  evidence: Evidence,
): Promise<UnclaimedIdentity | Refusal> {
  try {
    return await judge(parts, raw, client, evidence)
  } catch (error) {
    logOutage(parts.log, client, evidence, error)
    throw error
  }
}

async function judge(
  { munged, findUserName, policy, sha256, findHostMap = () => null }: MungeVerifierParts,
  raw: string,
  client: ClientAddress,
  evidence: Evidence,
): Promise<UnclaimedIdentity | Refusal> {
  const credential = await parseCredentialString(raw, sha256)
  if (credential === null) return refuse('munge_malformed')
  evidence.digest = credential.digest
  // Origins are addresses on the cluster, and Cloudflare names those of the internet: only a map leads from one to the
  // other. Refused before munged is asked, so that the credential is not used up.
  if (client.isNamedByEdge === true && policy.hostBinding !== 'map') return refuse('munge_edge_needs_map')

  const answer = await munged.decode(credential.text)
  evidence.answer = answer
  evidence.bond = findBond(policy.hostBinding, answer.originAddress, client, findHostMap())
  const refusal =
    judgeErrorNumber(answer) ??
    judgeLifetime(answer, policy.maxTtlSeconds) ??
    judgePurpose(answer) ??
    judgeOrigin(evidence.bond, client) ??
    (answer.uid < policy.minUid ? refuse('munge_uid_too_low') : null)
  if (refusal !== null) return refusal

  const user = await findUserName(answer.uid)
  evidence.user = user
  if (user === null) return refuse('munge_user_unknown')
  if (isDeniedUser(policy.deniedUsers, user)) return refuse('munge_user_denied')
  const expiresAt = answer.encodedAt + answer.ttlSeconds
  const boundDigest = parseBindingPayload(answer.payload)
  return { user, uid: answer.uid, credentialDigest: credential.digest, expiresAt, boundDigest }
}

/** munged judges age by the credential's own TTL, which it caps; ours is compared with what was accepted. */
function judgeLifetime(answer: DecodeAnswer, maxTtlSeconds: number): Refusal | null {
  if (answer.ttlSeconds < 1 || answer.ttlSeconds > maxTtlSeconds) {
    const description = `this credential lives ${answer.ttlSeconds} s; create it with: munge -n -t ${maxTtlSeconds}`
    return refuse('munge_ttl_too_long', { description })
  }
  const ageSeconds = answer.decodedAt - answer.encodedAt
  if (ageSeconds > maxTtlSeconds) return refuse('munge_expired')
  return ageSeconds < -maxTtlSeconds ? refuse('munge_rewound') : null
}

/** A payload but ours, or a restriction, means it was made for another service (Slurm's own RPCs): confused deputy. */
function judgePurpose(answer: DecodeAnswer): Refusal | null {
  const isOurs = answer.payload.length === 0 || parseBindingPayload(answer.payload) !== null
  if (!isOurs) return refuse('munge_payload')
  const isRestricted = answer.restrictedUid !== null || answer.restrictedGid !== null
  return isRestricted ? refuse('munge_restricted') : null
}

/** The text names the address the client already knows, not the origin. */
function judgeOrigin(bond: Bond, client: ClientAddress): Refusal | null {
  if (bond !== null) return null
  const description = `this credential was made on another host than ${client.address}, which sends it; create it where the request is sent from`
  return refuse('munge_wrong_host', { description })
}

type LineFields = Record<string, unknown>

function logDecision(log: Log, client: ClientAddress, evidence: Evidence, rule: string | null): void {
  const line: LineFields = { outcome: rule === null ? 'accepted' : 'refused', rule }
  describe(line, client, evidence)
  log.write('audit', 'munge_decision', line)
}

function logOutage(log: Log, client: ClientAddress, evidence: Evidence, error: unknown): void {
  const rule = error instanceof Outage ? error.rule : 'internal_error'
  const detail = error instanceof Error ? error.message : String(error)
  const line: LineFields = { outcome: 'outage', rule, detail }
  describe(line, client, evidence)
  log.write('error', 'munge_decision', line)
}

/** A uid stands in answers to refused credentials too: who was turned away. What only the map allows is told. */
function describe(
  line: LineFields,
  client: ClientAddress,
  { digest, answer, user, bond, isSigned }: Evidence,
): void {
  line['credential'] = digest?.slice(0, 16) ?? null
  line['uid'] = answer?.uid ?? null
  line['user'] = user
  line['client'] = client.address
  line['origin'] = answer?.originAddress ?? null
  if (bond === 'map') line['hostBinding'] = bond
  if (answer !== null && answer.errorNumber !== 0) line['munged'] = answer.errorText
  if (isSigned !== null) line['signed'] = isSigned
}
