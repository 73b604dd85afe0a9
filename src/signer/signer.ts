/**
 * Signs Slurm tokens on the cluster, where the key stays. Only for whom a credential proved somebody to be: a MUNGE
 * credential that this verifier has decoded, or an API token that was presented. A gateway's word alone signs nothing.
 */

import { judgeTokenRecord } from '../authenticate.ts'
import { SIGNER_LOOK_UPS_PER_SECOND } from '../limits.ts'
import { webSha256 } from '../munge/sha256.ts'
import type { SealedIdentity, SignedForToken } from '../munge/verdict.ts'
import type { Clock, Log, ReplayGuard, TokenRecord, UnclaimedIdentity } from '../ports.ts'
import { isDeniedUser } from '../principal.ts'
import { buildFullBucket, takeRequest } from '../rate-bucket.ts'
import { isRefusal, Outage, refuse, type Refusal } from '../refusal.ts'
import type { SealedSlurmToken, SlurmTokenMinter } from '../slurm-token.ts'
import { digestToken, parsePresentedToken } from '../tokens/token-form.ts'
import { createAnswerKeyOpener, type OpenAnswerKey, type SealAnswer } from './answer-key.ts'
import type { DecryptionKey } from './encryption-key.ts'
import { decryptToken, type CallBinding } from './encrypted-token.ts'

/** A token's row as the signer reads it itself. */
export interface SignerRow extends TokenRecord {
  readonly policyVersion: number
}

export interface SignerTokenStore<Row extends SignerRow> {
  /** @throws Outage `token_store_unavailable` */
  findByDigest(digest: Uint8Array): Promise<Row | null>
  /** @throws Outage `token_store_unavailable` */
  check(): Promise<void>
}

export interface SignerParts<Row extends SignerRow> {
  readonly decryptionKeys: readonly DecryptionKey[]
  readonly minter: Pick<SlurmTokenMinter, 'mint'>
  readonly tokens: SignerTokenStore<Row>
  readonly replays: ReplayGuard
  /** Of calls about API tokens: each is answered once by this process. */
  readonly calls: ReplayGuard
  readonly deniedUsers: ReadonlySet<string>
  /** Whether the row is what the issuer wrote, and its user still who it was. @throws Outage `names_unavailable` */
  readonly checkRow: (row: Row) => Promise<Refusal | null>
  /** Bounds how often one user is signed for. null: there is room. */
  readonly limitRate: (slurmUser: string) => Refusal | null
  readonly now: Clock
  readonly log: Log
}

export interface Signer {
  /** Without it nothing can be answered. */
  readonly openAnswerKey: OpenAnswerKey
  /**
   * Claims the credential and signs for its user: no second verifier will. What was signed stands in the line of who verified it.
   * @param identity of a credential that was verified here, just now. @param seal of who asks.
   * @throws Outage `replay_guard_unavailable`
   */
  signForMunge(identity: UnclaimedIdentity, seal: SealAnswer): Promise<SealedIdentity | Refusal>
  /**
   * @param encrypted untrusted. @param call of the genuine request that carried it. @param seal of its answer key.
   * @throws Outage `token_store_unavailable`, `names_unavailable`, `signer_unavailable`
   */
  signForToken(encrypted: string, call: Call, seal: SealAnswer): Promise<SignedForToken | Refusal>
  /** @throws Outage where it could not sign. */
  check(): Promise<void>
}

type Call = Omit<CallBinding, 'madeAt'>

export function createSigner<Row extends SignerRow>(parts: SignerParts<Row>): Signer {
  const { minter, replays, log } = parts
  const lookUps = buildFullBucket()

  async function mint(user: string, seal: SealAnswer): Promise<SealedSlurmToken> {
    const { token, issuedAt, useUntil } = await minter.mint(user)
    const { jwe, digest } = await seal(token)
    return { token: jwe, digest, issuedAt, useUntil }
  }

  async function judgeMunge(
    identity: UnclaimedIdentity,
    seal: SealAnswer,
  ): Promise<SealedIdentity | Refusal> {
    const { user, uid, credentialDigest, expiresAt, boundDigest } = identity
    if (isDeniedUser(parts.deniedUsers, user)) return refuse('munge_user_denied')
    const excess = parts.limitRate(user)
    if (excess !== null) return excess
    if (!(await replays.claim(credentialDigest, expiresAt))) return refuse('munge_replayed')
    return { user, uid, boundDigest, slurmToken: await mint(user, seal) }
  }

  async function judgeToken(
    encrypted: string,
    call: Call,
    seal: SealAnswer,
    seen: SeenToken,
  ): Promise<SignedForToken | Refusal> {
    // Whoever asks, the store that everybody waits for has to keep up: nobody is known yet who could be counted by name.
    if (!takeRequest(lookUps, SIGNER_LOOK_UPS_PER_SECOND, parts.now()))
      throw new Outage('signer_unavailable', `more than ${SIGNER_LOOK_UPS_PER_SECOND} API tokens in a second`)
    const nowSeconds = parts.now() / 1000
    const presented = await decryptToken(encrypted, { ...call, nowSeconds }, parts.decryptionKeys)
    if (presented === null)
      throw new Outage('signer_unavailable', 'an API token that is not encrypted for this signer and call')
    if (!(await parts.calls.claim(await webSha256.hashToHex(call.nonce), nowSeconds)))
      throw new Outage('signer_unavailable', 'a call that was made before')
    const parsed = parsePresentedToken(presented)
    if (parsed.kind === 'refusal') return parsed
    const row = await parts.tokens.findByDigest(await digestToken(parsed.digestInput))
    if (row === null) return refuse('token_unknown')
    seen.row = row
    const principal = judgeTokenRecord(row, { ...parts, areAdminScopesOn: true })
    if (isRefusal(principal)) return principal
    const problem = (await parts.checkRow(row)) ?? parts.limitRate(row.slurmUser)
    if (problem !== null) return problem
    const { id: tokenId, slurmUser, scopes, account, expiresAt, policyVersion } = row
    const { token, issuedAt, useUntil } = await mint(slurmUser, seal)
    const slurmToken = { token, issuedAt, useUntil }
    return { tokenId, slurmUser, scopes, account, expiresAt, policyVersion, slurmToken }
  }

  return {
    openAnswerKey: createAnswerKeyOpener(parts.decryptionKeys),
    signForMunge(identity, seal) {
      const { user, uid, credentialDigest } = identity
      const credential = credentialDigest.slice(0, 16)
      const describe = (): Record<string, unknown> => ({ method: 'munge', user, uid, credential })
      return withTrouble(log, judgeMunge(identity, seal), describe)
    },
    signForToken(encrypted, call, seal) {
      const seen: SeenToken = { row: null }
      return withDecision(log, judgeToken(encrypted, call, seal, seen), () => describeToken(seen))
    },
    check: () => parts.tokens.check(),
  }
}

/** What is known of a presented token so far, for the log. */
interface SeenToken {
  row: SignerRow | null
}

function describeToken({ row }: SeenToken): Record<string, unknown> {
  const [user, token_id] = [row?.slurmUser ?? null, row?.id ?? null]
  return { method: 'token', user, token_id, policy_version: row?.policyVersion ?? null }
}

type Describe = () => Readonly<Record<string, unknown>>

/** One line for each decision, and for each that could not be made. */
async function withDecision<T extends object>(
  log: Log,
  decision: Promise<T | Refusal>,
  describe: Describe,
): Promise<T | Refusal> {
  const outcome = await withTrouble(log, decision, describe)
  if (!isRefusal(outcome)) writeDecision(log, 'signed', null, describe)
  return outcome
}

/** One line for each refusal, and for each decision that could not be made. */
async function withTrouble<T extends object>(
  log: Log,
  decision: Promise<T | Refusal>,
  describe: Describe,
): Promise<T | Refusal> {
  try {
    const outcome = await decision
    if (isRefusal(outcome)) writeDecision(log, 'refused', outcome.rule, describe)
    return outcome
  } catch (error) {
    const rule = error instanceof Outage ? error.rule : 'internal_error'
    const detail = error instanceof Error ? error.message : 'unknown'
    log.write('error', 'signer_decision', { outcome: 'outage', rule, detail, ...describe() })
    throw error
  }
}

function writeDecision(log: Log, outcome: string, rule: string | null, describe: Describe): void {
  log.write('audit', 'signer_decision', { outcome, rule, ...describe() })
}
