/**
 * Slurm tokens of a gateway that has no key: the signer makes them, each for what was presented to this gateway. Kept for
 * half their life, so that most requests ask nobody.
 */

import { foldAccount } from '../account-name.ts'
import { SLURM_TOKENS_KEPT } from '../limits.ts'
import type { SignedForToken } from '../munge/verdict.ts'
import { buildMisfit, type VerifierChannel } from '../munge/verifier-channel.ts'
import type { Clock } from '../ports.ts'
import type { Principal, TokenPrincipal } from '../principal.ts'
import { isRefusal, Outage, refuse, type Refusal } from '../refusal.ts'
import { isUsable, type SlurmToken, type SlurmTokenSource } from '../slurm-token.ts'
import type { EncryptionKey } from './encryption-key.ts'
import { encryptToken } from './encrypted-token.ts'

export interface RemoteSlurmTokenOptions {
  readonly channel: VerifierChannel
  readonly encryptionKey: EncryptionKey
  /** Whether one request may wait for what another one asked: not on workerd. */
  readonly maySharePromises: boolean
  readonly now: Clock
}

export function createRemoteSlurmTokenSource(options: RemoteSlurmTokenOptions): SlurmTokenSource {
  const { channel, encryptionKey, maySharePromises, now } = options
  const kept = new Map<string, SlurmToken>()
  const asked = new Map<string, Promise<SlurmToken | Refusal>>()

  async function ask(principal: TokenPrincipal, key: string): Promise<SlurmToken | Refusal> {
    const { presented } = principal
    if (presented === null) throw new TypeError('a token that nobody presented is not signed for')
    const pending = await channel.end.signTokenRequest((nonce) =>
      encryptToken(presented.reveal(), nonce, encryptionKey),
    )
    const verdict = await channel.ask(pending, { encrypted: pending.encrypted })
    if (verdict.kind === 'refusal') return verdict.refusal
    if (verdict.kind !== 'signed') throw buildMisfit()
    if (!isAbout(verdict.signed, principal)) return refuse('token_unknown')
    const { slurmToken } = verdict.signed
    if (kept.size >= SLURM_TOKENS_KEPT) kept.clear()
    kept.set(key, slurmToken)
    return slurmToken
  }

  function find(principal: TokenPrincipal): Promise<SlurmToken | Refusal> {
    const key = buildKey(principal)
    const found = kept.get(key)
    if (found !== undefined && isUsable(found, now() / 1000)) return Promise.resolve(found)
    if (!maySharePromises) return ask(principal, key)
    const running = asked.get(key) ?? ask(principal, key).finally(() => asked.delete(key))
    asked.set(key, running)
    return running
  }

  return {
    async confirm(principal) {
      if (principal.method === 'munge') return null
      const found = await find(principal)
      return isRefusal(found) ? found : null
    },
    async findToken(principal) {
      const found = principal.method === 'munge' ? principal.slurmToken : await find(principal)
      if (found === null || isRefusal(found) || !isUsable(found, now() / 1000)) {
        throw new Outage('signer_unavailable', describeLack(principal, found))
      }
      return found.token
    },
  }
}

/**
 * Everything that a decision on this token rests on: where a row says something else than when it was signed for, the
 * signer is asked again, and compares it with what the issuer wrote.
 */
function buildKey({ tokenId, slurmUser, account, scopes, expiresAt }: TokenPrincipal): string {
  return JSON.stringify([tokenId, slurmUser, account, [...scopes], expiresAt])
}

/** A row that says something else to the gateway than to the signer was written to in between: it counts for nothing. */
function isAbout(signed: SignedForToken, principal: TokenPrincipal): boolean {
  const account = signed.account === null ? null : foldAccount(signed.account)
  return (
    signed.tokenId === principal.tokenId &&
    signed.slurmUser === principal.slurmUser &&
    signed.expiresAt === principal.expiresAt &&
    account === principal.account &&
    [...principal.scopes].every((scope) => signed.scopes.includes(scope))
  )
}

function describeLack(principal: Principal, found: SlurmToken | Refusal | null): string {
  if (isRefusal(found)) return `refused meanwhile: ${found.rule}`
  return found === null
    ? `nothing was signed for ${principal.method}`
    : 'the Slurm token of this request has aged'
}
