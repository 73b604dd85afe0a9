/** Opens what of a verdict comes encrypted: Slurm tokens, and the proof that they would. */

import type { AnswerKey } from '../signer/answer-key.ts'
import type { SlurmToken } from '../slurm-token.ts'
import { addSlurmToken, type Verdict } from './verdict.ts'

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
    const slurmToken = await openSlurmToken(verdict.signed.slurmToken, answerKey)
    return slurmToken && { kind: 'signed', signed: { ...verdict.signed, slurmToken } }
  }
  if (verdict.kind !== 'identity' || verdict.identity.slurmToken === undefined) return verdict
  const slurmToken = await openSlurmToken(verdict.identity.slurmToken, answerKey)
  return slurmToken && { kind: 'identity', identity: addSlurmToken(verdict.identity, slurmToken) }
}

/** RFC 7515 section 7.1: fit for a header. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/

async function openSlurmToken(
  { token: encrypted, issuedAt, useUntil }: SlurmToken,
  answerKey: AnswerKey | null,
): Promise<SlurmToken | null> {
  const token = (await answerKey?.open(encrypted)) ?? ''
  return COMPACT_JWS.test(token) ? { token, issuedAt, useUntil } : null
}
