/** Which reads may be answered from memory for a moment, and which always ask slurmrestd. */

import { ROUTES, type Route } from './route-table.ts'

/** What a read is about: how fast that changes decides how long an answer counts. */
export const READ_KINDS = ['jobs', 'nodes', 'accounting'] as const
export type ReadKind = (typeof READ_KINDS)[number]

const JOBS = /^\/slurm\/(jobs?(\/|$)|resources\/)/
const NODES = /^\/slurm\/(nodes?|partitions?|reservations?|licenses|shares)(\/|$)/
/** Whoever asks these wants to know how the daemon is now; configurations are for operators. */
const NEVER = /\/(ping|diag|conf|config)$/

/** @returns null: never from memory. By what the operation does, not by its method: `GET reconfigure` is a write. */
export function findReadKind(route: Route): ReadKind | null {
  return KINDS.get(route) ?? null
}

function judgeRoute({ effect, method, template }: Route): ReadKind | null {
  if (effect !== 'read' || method !== 'GET' || NEVER.test(template)) return null
  if (template.startsWith('/slurmdb/')) return 'accounting'
  if (JOBS.test(template)) return 'jobs'
  return NODES.test(template) ? 'nodes' : null
}

const KINDS: ReadonlyMap<Route, ReadKind | null> = new Map(ROUTES.map((route) => [route, judgeRoute(route)]))
