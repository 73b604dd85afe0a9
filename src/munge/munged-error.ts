/** munged's error numbers (munge.h, measured on the socket) as our refusals and outages. */

import { Outage, refuse, type Refusal, type RefusalRule } from '../refusal.ts'
import type { DecodeAnswer } from './frame.ts'

const REFUSED: Readonly<Record<number, RefusalRule>> = {
  2: 'munge_malformed', // bad argument
  3: 'munge_malformed', // bad length
  8: 'munge_invalid', // bad credential
  9: 'munge_invalid', // bad version
  10: 'munge_invalid', // bad cipher
  11: 'munge_invalid', // bad MAC
  12: 'munge_invalid', // bad compression
  13: 'munge_invalid', // bad realm
  14: 'munge_invalid', // does not verify: another cluster's key, or changed on the way
  15: 'munge_expired',
  16: 'munge_rewound',
  17: 'munge_replayed',
  18: 'munge_restricted', // to another uid or gid than the verifier's
}

/**
 * To be asked before any other field is believed: answers 15, 16 and 17 still carry a uid (measured).
 * @returns null: munged accepts the credential.
 * @throws Outage `munged_unavailable` for munged's own troubles (1, 4 to 7) and for numbers it does not have.
 */
export function judgeErrorNumber(answer: DecodeAnswer): Refusal | null {
  if (answer.errorNumber === 0) return null
  const rule = REFUSED[answer.errorNumber]
  if (rule !== undefined) return refuse(rule)
  throw new Outage(
    'munged_unavailable',
    `munged could not decide: error ${answer.errorNumber}, ${answer.errorText}`,
  )
}
