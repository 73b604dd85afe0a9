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
import type { Principal, Scope, TokenPrincipal } from '../principal.ts'
import { isRefusal, Outage, type Refusal } from '../refusal.ts'
import type { Secret } from '../secret.ts'
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

/** What was signed, or refused, and all of the principal that this rests on. By the digest of what was presented. */
interface Signed {
  readonly row: SignedRow
  readonly slurmToken: SlurmToken
}
interface Refused {
  readonly row: SignedRow
  readonly refusal: Refusal
  readonly at: number
}
interface Asked {
  readonly row: SignedRow
  readonly answer: Promise<SlurmToken | Refusal>
}

/**
 * Everything that a decision on a token rests on, as the gateway read it. Not what was presented: no token is kept longer than
 * the call that needs it.
 */
type SignedRow = Omit<TokenPrincipal, 'method' | 'presented' | 'tokenName'>

export function createRemoteSlurmTokenSource(options: RemoteSlurmTokenOptions): SlurmTokenSource {
  const { channel, encryptionKey, maySharePromises, now } = options
  const kept = createBoundedMap<string, Signed>(SLURM_TOKENS_KEPT)
  const refused = createBoundedMap<string, Refused>(SLURM_TOKENS_KEPT)
  const asked = new Map<string, Asked>()

  /** Signed by the signer's clock, which may be ahead by what the exchange bears. */
  const isUsableHere = ({ token, issuedAt, useUntil }: SlurmToken): boolean =>
    isUsable({ token, issuedAt: issuedAt - IAT_TOLERANCE_SECONDS, useUntil }, now() / 1000)

  async function ask(principal: TokenPrincipal, presented: Secret): Promise<SlurmToken | Refusal> {
    const pending = await channel.end.signTokenRequest((binding) =>
      encryptToken(presented.reveal(), binding, encryptionKey),
    )
    const verdict = await channel.ask(pending, { encrypted: pending.encrypted })
    const row = takeRow(principal)
    // The gateway has just read its row: a signer that finds none reads another table, or an older one.
    if (verdict.kind === 'refusal' && verdict.refusal.rule !== 'token_unknown') {
      refused.set(presented.digest, { row, refusal: verdict.refusal, at: now() })
      return verdict.refusal
    }
    if (verdict.kind !== 'signed' || !isAbout(verdict.signed, principal)) {
      throw new Outage('signer_unavailable', 'the signer reads another row than the gateway')
    }
    const { slurmToken } = verdict.signed
    kept.set(presented.digest, { row, slurmToken })
    return slurmToken
  }

  function share(principal: TokenPrincipal, presented: Secret): Promise<SlurmToken | Refusal> {
    const { digest } = presented
    const running = asked.get(digest)
    if (running !== undefined && isSameRow(running.row, principal)) return running.answer
    const answer = ask(principal, presented).finally(() => {
      if (asked.get(digest)?.answer === answer) asked.delete(digest)
    })
    asked.set(digest, { row: takeRow(principal), answer })
    return answer
  }

  /** At once where it is kept, as for most requests: a promise would cost each of them more than the look-up. */
  function find(principal: TokenPrincipal): SlurmToken | Refusal | Promise<SlurmToken | Refusal> {
    const { presented } = principal
    if (presented === null) throw new TypeError('a token that nobody presented is not signed for')
    const found = kept.get(presented.digest)
    if (found !== undefined && isSameRow(found.row, principal) && isUsableHere(found.slurmToken))
      return found.slurmToken
    const no = refused.get(presented.digest)
    // A clock that was set back ends it too.
    const isFresh = no !== undefined && Math.abs(now() - no.at) < SIGNER_REFUSAL_FRESH_MILLISECONDS
    if (isFresh && isSameRow(no.row, principal)) return no.refusal
    return maySharePromises ? share(principal, presented) : ask(principal, presented)
  }

  function requireToken(principal: Principal, found: SlurmToken | Refusal | null): string {
    if (found === null || isRefusal(found) || !isUsableHere(found)) {
      throw new Outage('signer_unavailable', describeLack(principal, found))
    }
    return found.token
  }

  return {
    confirm(principal) {
      if (principal.method === 'munge') return null
      const found = find(principal)
      return found instanceof Promise ? found.then(findRefusal) : findRefusal(found)
    },
    async findToken(principal) {
      return requireToken(
        principal,
        principal.method === 'munge' ? principal.slurmToken : await find(principal),
      )
    },
  }
}

function findRefusal(found: SlurmToken | Refusal): Refusal | null {
  return isRefusal(found) ? found : null
}

function takeRow(principal: TokenPrincipal): SignedRow {
  const { tokenId, slurmUser, uid, account, scopes, expiresAt, policyVersion } = principal
  return { tokenId, slurmUser, uid, account, scopes, expiresAt, policyVersion }
}

/**
 * Where a row says something else than when it was signed for, the signer is asked again, and compares it with what the issuer
 * wrote.
 */
function isSameRow(row: SignedRow, principal: TokenPrincipal): boolean {
  return (
    row.tokenId === principal.tokenId &&
    row.slurmUser === principal.slurmUser &&
    row.uid === principal.uid &&
    row.account === principal.account &&
    row.expiresAt === principal.expiresAt &&
    row.policyVersion === principal.policyVersion &&
    areSameScopes(row.scopes, principal.scopes)
  )
}

function areSameScopes(left: ReadonlySet<Scope>, right: ReadonlySet<Scope>): boolean {
  if (left.size !== right.size) return false
  for (const scope of left) if (!right.has(scope)) return false
  return true
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
