/** Opens what of a verdict comes encrypted: Slurm tokens, and the proof that they would. */

import type { SignedIdentity } from '../ports.ts'
import { readSlurmToken, type AnswerKey } from '../signer/answer-key.ts'
import type { Verdict } from './verdict.ts'

/** What a gateway goes by: nothing of it is encrypted any more, and none of it can be sent on as a verdict. */
export type OpenedVerdict =
  Exclude<Verdict, { kind: 'claimed' }> | { readonly kind: 'claimed'; readonly identity: SignedIdentity }

/**
 * @param verdict parsed, and not yet believed.
 * @returns null unless what it needs was encrypted with this request's key, and is for whom the verdict names.
 */
export async function openVerdict(
  verdict: Verdict,
  { answerKey, nonce }: { readonly answerKey: AnswerKey | null; readonly nonce: string },
): Promise<OpenedVerdict | null> {
  if (verdict.kind === 'signs') return (await answerKey?.open(verdict.proof)) === nonce ? verdict : null
  if (verdict.kind === 'signed') {
    const { slurmToken: encrypted, slurmUser } = verdict.signed
    const opened = readSlurmToken((await answerKey?.open(encrypted.token)) ?? null)
    if (opened?.user !== slurmUser) return null
    const { issuedAt, useUntil } = encrypted
    return {
      kind: 'signed',
      signed: { ...verdict.signed, slurmToken: { token: opened.token, issuedAt, useUntil } },
    }
  }
  if (verdict.kind !== 'claimed') return verdict
  const { user, uid, boundDigest, slurmToken: sealed } = verdict.identity
  const opened = await answerKey?.openSlurmToken(sealed)
  if (opened?.user !== user) return null
  const { issuedAt, useUntil } = sealed
  const slurmToken = { token: opened.token, issuedAt, useUntil }
  return { kind: 'claimed', identity: { user, uid, boundDigest, slurmToken } }
}
