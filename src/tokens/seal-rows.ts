/**
 * Seals what stands in the table: rows of before there were seals, and rows sealed by a key that is to be retired. Whoever
 * runs it vouches for the rows without a seal; a row whose seal is wrong is left alone, unless it is named.
 */

import { asc, eq, gt } from 'drizzle-orm'
import type { Database } from './database.ts'
import { isSealable, judgeSeal, sealRow, type SealProblem, type SealRules } from './row-seal.ts'
import { apiTokens } from './schema.ts'
import { lockRow, withSeal, type SealPorts, type TokenRow, type Transaction } from './seal-keeping.ts'
import { readSealedRow, SEALED_COLUMNS } from './stored-row.ts'
import type { RegisteredToken } from './token-register.ts'

/** A row of the table, and what is wrong with its seal. */
export interface SealFinding {
  readonly token: Pick<RegisteredToken, 'id' | 'name' | 'slurmUser' | 'expiresAt' | 'revokedAt'>
  readonly problem: SealProblem | 'unsealable'
}

export interface SealCheck {
  /** What is wrong, in the order of the ids. */
  readonly findings: readonly SealFinding[]
  /** How many intact rows each key sealed, in the order of the keys. One with none is needed no more, or not yet. */
  readonly rowsByKey: readonly number[]
}

export interface SealReport {
  /** Rows that had no seal. */
  readonly sealed: number
  /** Intact rows that the first key seals now instead of another one; they keep their date. */
  readonly renewed: number
  /** Rows that were left alone. */
  readonly findings: readonly SealFinding[]
}

/** What was done, or why nothing was. */
export type SealOutcome = 'sealed' | 'renewed' | 'intact' | 'altered' | 'too_old' | 'unsealable'

/** A row as it was locked, which is what was sealed. */
export interface RowOutcome {
  readonly token: RegisteredToken
  readonly outcome: SealOutcome
}

export type KeyedPorts = SealPorts & { readonly seals: SealRules }

/** A portion never holds its locks for long: each is a transaction of its own. */
const PORTION_ROWS = 100
/** Before every id, which all begin with `tok_`. */
const START = ''

/** Looks at every row, with a gateway's rights too. Changes nothing, and locks nothing. */
export async function checkSeals(db: Database, seals: SealRules): Promise<SealCheck> {
  const findings: SealFinding[] = []
  const rowsByKey = seals.keys.map(() => 0)
  for (let after: string | undefined = START; after !== undefined;) {
    const from: string = after
    const rows: readonly CheckedRow[] = await db.query((drizzle) => selectCheckedAfter(drizzle, from))
    for (const token of rows) {
      const judgement = await judgeSeal(readSealedRow(token), seals)
      if (typeof judgement === 'string') findings.push({ token, problem: judgement })
      else rowsByKey[judgement.keyIndex] = (rowsByKey[judgement.keyIndex] ?? 0) + 1
    }
    after = rows.at(-1)?.id
  }
  return { findings, rowsByKey }
}

/** Seals every row that has no seal. Again, it changes nothing. Each portion counts, also where a later one fails. */
export async function sealRows(db: Database, ports: KeyedPorts): Promise<SealReport> {
  const report = { sealed: 0, renewed: 0, findings: [] as SealFinding[] }
  for (let after: string | undefined = START; after !== undefined;) {
    const outcomes = await sealPortion(db, after, ports)
    for (const { token, outcome } of outcomes) {
      if (outcome === 'sealed' || outcome === 'renewed') report[outcome] += 1
      else if (outcome !== 'intact') report.findings.push({ token, problem: outcome })
    }
    after = outcomes.at(-1)?.token.id
  }
  return report
}

/**
 * Seals one row.
 * @param isVouchedFor also where its seal is wrong or too old: whoever says so has looked at the row.
 * @returns null: there is no such row.
 */
export async function sealOneRow(
  db: Database,
  id: string,
  isVouchedFor: boolean,
  ports: KeyedPorts,
): Promise<RowOutcome | null> {
  return await db.query((drizzle) =>
    drizzle.transaction(async (transaction) => {
      const token = await lockRow(transaction, id)
      if (token === null) return null
      return { token, outcome: await sealLockedRow(transaction, token, isVouchedFor, ports) }
    }),
  )
}

async function sealPortion(db: Database, after: string, ports: KeyedPorts): Promise<readonly RowOutcome[]> {
  return await db.query((drizzle) =>
    drizzle.transaction(async (transaction) => {
      const rows = await selectAfter(transaction, after).for('update')
      // Together, so that a portion takes few round trips to a database that is far away.
      return await Promise.all(
        rows.map(async (token) => ({
          token,
          outcome: await sealLockedRow(transaction, token, false, ports),
        })),
      )
    }),
  )
}

type CheckedRow = Awaited<ReturnType<typeof selectCheckedAfter>>[number]

function selectCheckedAfter(drizzle: Pick<Transaction, 'select'>, after: string) {
  return drizzle
    .select({ ...SEALED_COLUMNS, name: apiTokens.name })
    .from(apiTokens)
    .where(gt(apiTokens.id, after))
    .orderBy(asc(apiTokens.id))
    .limit(PORTION_ROWS)
}

function selectAfter(drizzle: Pick<Transaction, 'select'>, after: string) {
  return drizzle
    .select()
    .from(apiTokens)
    .where(gt(apiTokens.id, after))
    .orderBy(asc(apiTokens.id))
    .limit(PORTION_ROWS)
}

async function sealLockedRow(
  transaction: Transaction,
  row: TokenRow,
  isVouchedFor: boolean,
  ports: KeyedPorts,
): Promise<SealOutcome> {
  const { seals } = ports
  const judgement = await judgeSeal(readSealedRow(row), seals)
  if (typeof judgement !== 'string') {
    if (judgement.keyIndex === 0) return 'intact'
    // Who retires a key says nothing about the row: it keeps its date.
    await writeSeal(transaction, { ...row, seal: await sealRow(readSealedRow(row), seals.keys) })
    return 'renewed'
  }
  if (judgement !== 'unsealed' && !isVouchedFor) return judgement
  if (!isSealable(readSealedRow(row))) return 'unsealable'
  await writeSeal(transaction, await withSeal(row, ports))
  return 'sealed'
}

async function writeSeal(transaction: Transaction, { id, seal, sealedAt }: TokenRow): Promise<void> {
  await transaction.update(apiTokens).set({ seal, sealedAt }).where(eq(apiTokens.id, id))
}
