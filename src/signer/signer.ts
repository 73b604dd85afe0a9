/**
 * Signs Slurm tokens on the cluster, where the key stays. Only for whom a credential proved somebody to be: a MUNGE
 * credential that this verifier has decoded, or an API token that was presented. A gateway's word alone signs nothing.
 */

import { judgeTokenRecord } from '../authenticate.ts'
import { webSha256 } from '../munge/sha256.ts'
import type { SignedForToken } from '../munge/verdict.ts'
import type { Clock, Log, MungeIdentity, ReplayGuard, TokenRecord } from '../ports.ts'
import { isDeniedUser } from '../principal.ts'
import { isRefusal, Outage, refuse, type Refusal } from '../refusal.ts'
import type { SlurmTokenMinter } from '../slurm-token.ts'
import { digestToken, parsePresentedToken } from '../tokens/token-form.ts'
import type { DecryptionKey } from './encryption-key.ts'
import { decryptToken } from './encrypted-token.ts'

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
  readonly minter: SlurmTokenMinter
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
  /**
   * Claims the credential and signs for its user: no second verifier will.
   * @param identity of a credential that was verified here, just now.
   * @throws Outage `replay_guard_unavailable`
   */
  signForMunge(identity: MungeIdentity): Promise<MungeIdentity | Refusal>
  /**
   * @param encrypted untrusted. @param nonce of the genuine request that carried it.
   * @throws Outage `token_store_unavailable`, `names_unavailable`
   */
  signForToken(encrypted: string, nonce: string): Promise<SignedForToken | Refusal>
  /** @throws Outage where it could not sign. */
  check(): Promise<void>
}

export function createSigner<Row extends SignerRow>(parts: SignerParts<Row>): Signer {
  const { minter, replays, log } = parts

  async function judgeMunge(identity: MungeIdentity): Promise<MungeIdentity | Refusal> {
    const { user, credentialDigest, expiresAt } = identity
    if (isDeniedUser(parts.deniedUsers, user)) return refuse('munge_user_denied')
    const excess = parts.limitRate(user)
    if (excess !== null) return excess
    if (!(await replays.claim(credentialDigest, expiresAt))) return refuse('munge_replayed')
    return { ...identity, slurmToken: await minter.mint(user) }
  }

  async function judgeToken(
    encrypted: string,
    nonce: string,
    seen: SeenToken,
  ): Promise<SignedForToken | Refusal> {
    const nowSeconds = parts.now() / 1000
    const presented = await decryptToken(encrypted, { nonce, nowSeconds }, parts.decryptionKeys)
    if (presented === null)
      throw new Outage('signer_unavailable', 'an API token that is not encrypted for this signer and call')
    if (!(await parts.calls.claim(await webSha256.hashToHex(nonce), nowSeconds)))
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
    const slurmToken = await minter.mint(slurmUser)
    return { tokenId, slurmUser, scopes, account, expiresAt, policyVersion, slurmToken }
  }

  return {
    signForMunge(identity) {
      const { user, uid, credentialDigest } = identity
      const credential = credentialDigest.slice(0, 16)
      return withDecision(log, judgeMunge(identity), () => ({ method: 'munge', user, uid, credential }))
    },
    signForToken(encrypted, nonce) {
      const seen: SeenToken = { row: null }
      return withDecision(log, judgeToken(encrypted, nonce, seen), () => describeToken(seen))
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

/** One line for each decision, and for each that could not be made. */
async function withDecision<T extends object>(
  log: Log,
  decision: Promise<T | Refusal>,
  describe: () => Readonly<Record<string, unknown>>,
): Promise<T | Refusal> {
  try {
    const outcome = await decision
    const rule = isRefusal(outcome) ? outcome.rule : null
    log.write('audit', 'signer_decision', {
      outcome: rule === null ? 'signed' : 'refused',
      rule,
      ...describe(),
    })
    return outcome
  } catch (error) {
    const rule = error instanceof Outage ? error.rule : 'internal_error'
    const detail = error instanceof Error ? error.message : 'unknown'
    log.write('error', 'signer_decision', { outcome: 'outage', rule, detail, ...describe() })
    throw error
  }
}
