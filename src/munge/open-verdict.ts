/** Opens what of a verdict comes encrypted: Slurm tokens, and the proof that they would. */

import type { AnswerKey } from '../signer/answer-key.ts'
import type { SlurmToken } from '../slurm-token.ts'
import type { Verdict } from './verdict.ts'

/**
 * @param verdict parsed, and not yet believed.
 * @returns null unless all of it was encrypted for this very request, with its key.
 */
export async function openVerdict(
  verdict: Verdict,
  { answerKey, nonce }: { readonly answerKey: AnswerKey | null; readonly nonce: string },
): Promise<Verdict | null> {
  if (verdict.kind === 'signs') return (await answerKey?.open(verdict.proof)) === nonce ? verdict : null
  if (verdict.kind === 'signed') {
    const { slurmToken: encrypted } = verdict.signed
    const slurmToken = buildSlurmToken(encrypted, await answerKey?.open(encrypted.token))
    return slurmToken && { kind: 'signed', signed: { ...verdict.signed, slurmToken } }
  }
  if (verdict.kind !== 'claimed') return verdict
  const { user, uid, boundDigest, slurmToken: sealed } = verdict.identity
  const opened = buildSlurmToken(sealed, await answerKey?.openOnce(sealed))
  if (opened === null) return null
  const { token, issuedAt, useUntil } = opened
  const slurmToken = { token, issuedAt, useUntil, digest: sealed.digest }
  return { kind: 'claimed', identity: { user, uid, boundDigest, slurmToken } }
}

/** RFC 7515 section 7.1: fit for a header. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/

function buildSlurmToken({ issuedAt, useUntil }: SlurmToken, token: string | null = null): SlurmToken | null {
  return token !== null && COMPACT_JWS.test(token) ? { token, issuedAt, useUntil } : null
}
