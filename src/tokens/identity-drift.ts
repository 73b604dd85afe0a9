/**
 * Whether a token's Slurm user is still the one it was issued for: names are given anew, and so are uids, and a token
 * must not go over to whoever has them next.
 */

import type { SealableRow } from './row-seal.ts'

export interface FoundUid {
  readonly uid: number
  /** The name that this uid leads back to; null: none. */
  readonly nameOfUid: string | null
}

/**
 * The uid of a user name, as the cluster knows it now.
 * @returns null: there is no such user.
 * @throws Outage `names_unavailable`: nobody knows.
 */
export type FindUid = (slurmUser: string) => Promise<FoundUid | null>

export type IdentityDrift = 'name_has_other_uid' | 'uid_has_other_name' | 'user_is_gone' | 'uid_unknown'

/**
 * @param row intact: who can write the row could write another uid too.
 * @returns null: name and uid lead to each other, as at issue. `uid_unknown`: the row does not say what it was.
 * @throws Outage what `findUid` throws.
 */
export async function findIdentityDrift(
  row: Pick<SealableRow, 'slurmUser' | 'uid'>,
  findUid: FindUid,
): Promise<IdentityDrift | null> {
  if (row.uid === null) return 'uid_unknown'
  const found = await findUid(row.slurmUser)
  if (found === null) return 'user_is_gone'
  if (found.uid !== row.uid) return 'name_has_other_uid'
  return found.nameOfUid === row.slurmUser ? null : 'uid_has_other_name'
}
