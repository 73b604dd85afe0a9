/** What Postgres really did for a statement: EXPLAIN (ANALYZE, BUFFERS) of a prepared one, read node by node. */

import type postgres from 'postgres'
import type { SentStatement } from './sent-statements.ts'

/** Postgres plans a prepared statement for its parameters, or once for all; `auto` decides after five executions. */
export type PlanMode = 'force_custom_plan' | 'force_generic_plan' | 'auto'

/** One node that reads a table or an index. */
export interface Scan {
  readonly kind: string
  readonly table: string
  readonly index: string | null
  readonly rows: number
  readonly loops: number
}

export interface QueryPlan {
  /** In the order of the plan. */
  readonly scans: readonly Scan[]
  /** Pages of 8 KiB, from memory or disk, without those for planning. */
  readonly pages: number
  /** All of it, for people. */
  readonly text: string
}

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly PlanNode[]
}

const EXECUTIONS_BEFORE_GENERIC = 5

/** Runs the statement, and takes back what it changed. */
export async function explainStatement(
  sql: postgres.Sql,
  { text, parameters }: SentStatement,
  mode: PlanMode = 'force_custom_plan',
): Promise<QueryPlan> {
  const values = parameters.map(writeLiteral).join(', ')
  const call = `execute explained${values === '' ? '' : `(${values})`}`
  const plans: QueryPlan[] = []
  const rollback = new Error('taken back')
  await sql
    .begin(async (transaction) => {
      await transaction.unsafe(`set local plan_cache_mode = ${mode}`)
      await transaction.unsafe(`prepare explained as ${text}`)
      if (mode === 'auto') {
        for (let count = 0; count <= EXECUTIONS_BEFORE_GENERIC; count++) await transaction.unsafe(call)
      }
      const [row] = await transaction.unsafe(`explain (analyze, buffers, format json) ${call}`)
      const [explained] = row?.['QUERY PLAN'] as [{ Plan: PlanNode }]
      plans.push(readPlan(explained.Plan))
      await transaction.unsafe('deallocate explained')
      throw rollback
    })
    .catch((error: unknown) => {
      if (error !== rollback) throw error
    })
  const [plan] = plans
  if (plan === undefined) throw new Error('no plan')
  return plan
}

function readPlan(root: PlanNode): QueryPlan {
  return {
    scans: listNodes(root).flatMap(readScan),
    pages: root['Shared Hit Blocks'] + root['Shared Read Blocks'],
    text: JSON.stringify(root, null, 1),
  }
}

function listNodes(node: PlanNode): readonly PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(listNodes)]
}

function readScan(node: PlanNode): Scan[] {
  const kind = node['Node Type']
  if (!kind.endsWith('Scan')) return []
  return [
    {
      kind,
      table: node['Relation Name'] ?? '',
      index: node['Index Name'] ?? null,
      rows: node['Actual Rows'],
      loops: node['Actual Loops'],
    },
  ]
}

function writeLiteral(value: unknown): string {
  if (value instanceof Uint8Array) return `'\\x${Buffer.from(value).toString('hex')}'`
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`
  throw new TypeError(`a parameter of another type: ${typeof value}`)
}
