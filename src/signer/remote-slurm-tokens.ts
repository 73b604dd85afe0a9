/**
 * Slurm tokens of a gateway that has no key: the signer makes them, each for what was presented to this gateway. Kept for
 * half their life, and a refusal for a moment, so that most requests ask nobody.
 */

import { foldAccount } from '../account-name.ts'
import { createBoundedMap } from '../bounded-map.ts'
import { SIGNER_REFUSAL_FRESH_MILLISECONDS, SLURM_TOKENS_KEPT } from '../limits.ts'
import { IAT_TOLERANCE_SECONDS } from '../munge/exchange-signature.ts'
import type { SignedForToken } from '../munge/verdict.ts'
import type { VerifierChannel } from '../munge/verifier-channel.ts'
import type { Clock } from '../ports.ts'
import type { Principal, TokenPrincipal } from '../principal.ts'
import { isRefusal, Outage, type Refusal } from '../refusal.ts'
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
  const kept = createBoundedMap<string, SlurmToken>(SLURM_TOKENS_KEPT)
  const refused = createBoundedMap<string, { readonly refusal: Refusal; readonly at: number }>(
    SLURM_TOKENS_KEPT,
  )
  const asked = new Map<string, Promise<SlurmToken | Refusal>>()

  /** Signed by the signer's clock, which may be ahead by what the exchange bears. */
  const isUsableHere = ({ token, issuedAt, useUntil }: SlurmToken): boolean =>
    isUsable({ token, issuedAt: issuedAt - IAT_TOLERANCE_SECONDS, useUntil }, now() / 1000)

  async function ask(principal: TokenPrincipal, key: string): Promise<SlurmToken | Refusal> {
    const { presented } = principal
    if (presented === null) throw new TypeError('a token that nobody presented is not signed for')
    const pending = await channel.end.signTokenRequest((binding) =>
      encryptToken(presented.reveal(), binding, encryptionKey),
    )
    const verdict = await channel.ask(pending, { encrypted: pending.encrypted })
    // The gateway has just read its row: a signer that finds none reads another table, or an older one.
    if (verdict.kind === 'refusal' && verdict.refusal.rule !== 'token_unknown') {
      refused.set(key, { refusal: verdict.refusal, at: now() })
      return verdict.refusal
    }
    if (verdict.kind !== 'signed' || !isAbout(verdict.signed, principal)) {
      throw new Outage('signer_unavailable', 'the signer reads another row than the gateway')
    }
    const { slurmToken } = verdict.signed
    kept.set(key, slurmToken)
    return slurmToken
  }

  function find(principal: TokenPrincipal): Promise<SlurmToken | Refusal> {
    const key = buildKey(principal)
    const found = kept.get(key)
    if (found !== undefined && isUsableHere(found)) return Promise.resolve(found)
    const no = refused.get(key)
    // A clock that was set back ends it too.
    if (no !== undefined && Math.abs(now() - no.at) < SIGNER_REFUSAL_FRESH_MILLISECONDS)
      return Promise.resolve(no.refusal)
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
      if (found === null || isRefusal(found) || !isUsableHere(found)) {
        throw new Outage('signer_unavailable', describeLack(principal, found))
      }
      return found.token
    },
  }
}

/**
 * What was presented, and everything that a decision on it rests on: where a row says something else than when it was signed for, the
 * signer is asked again, and compares it with what the issuer wrote.
 */
function buildKey(principal: TokenPrincipal): string {
  const { presented, tokenId, slurmUser, account, scopes, expiresAt } = principal
  return JSON.stringify([presented?.digest, tokenId, slurmUser, account, [...scopes], expiresAt])
}

/** A row that says something else to the gateway than to the signer was written to in between: nobody decides by it. */
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
