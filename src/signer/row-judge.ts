/**
 * Whether a token's row is as its issuer wrote it, and its user still who it was: what whoever can write the table cannot
 * bring about. Everything else about a token is judged elsewhere.
 */

import { createBoundedMap } from '../bounded-map.ts'
import type { Clock, Log } from '../ports.ts'
import { Outage, refuse, type Refusal, type RefusalRule } from '../refusal.ts'
import { findIdentityDrift, type FindUid, type IdentityDrift } from '../tokens/identity-drift.ts'
import { findSealProblem, type SealedRow, type SealProblem, type SealRules } from '../tokens/row-seal.ts'

export interface RowJudgeParts {
  readonly seals: SealRules
  readonly findUid: FindUid
  /** A lower uid is a daemon's or an administrator's. */
  readonly minUid: number
  readonly now: Clock
  readonly log: Log
}

/** @throws Outage `names_unavailable` */
export type JudgeRow = (row: SealedRow) => Promise<Refusal | null>

type RowProblem = SealProblem | IdentityDrift | 'uid_too_low'

const RULES: Readonly<Record<RowProblem, RefusalRule>> = {
  unsealed: 'token_not_sealed',
  altered: 'token_altered',
  too_old: 'token_sealed_too_early',
  name_has_other_uid: 'token_user_changed',
  uid_has_other_name: 'token_user_changed',
  user_is_gone: 'token_user_changed',
  uid_unknown: 'token_user_changed',
  uid_too_low: 'token_user_denied',
}

/** A directory that is down finds nobody, and getent says no more of it (exit code 2, measured): an absence has to last. */
const GONE_AFTER_MILLISECONDS = 60_000
const ABSENCES_KEPT = 4_096

/** Each refusal is an error line: somebody wrote to the table, a backup came back, or a name was given anew. */
export function createRowJudge({ seals, findUid, minUid, now, log }: RowJudgeParts): JudgeRow {
  const absentSince = createBoundedMap<string, number>(ABSENCES_KEPT)

  async function findDrift(row: SealedRow): Promise<IdentityDrift | null> {
    const { slurmUser } = row
    const drift = await findIdentityDrift(row, findUid)
    if (drift !== 'user_is_gone') {
      absentSince.delete(slurmUser)
      return drift
    }
    const since = absentSince.get(slurmUser) ?? now()
    absentSince.set(slurmUser, since)
    if (Math.abs(now() - since) >= GONE_AFTER_MILLISECONDS) return drift
    throw new Outage('names_unavailable', `${slurmUser} is not found, for less than a minute so far`)
  }

  return async function judgeRow(row) {
    const problem =
      (await findSealProblem(row, seals)) ??
      (row.uid !== null && row.uid < minUid ? 'uid_too_low' : await findDrift(row))
    if (problem === null) return null
    log.write('error', 'token_row_refused', { token_id: row.id, user: row.slurmUser, problem })
    return refuse(RULES[problem])
  }
}
