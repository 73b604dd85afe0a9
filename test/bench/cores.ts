/** Which core a process runs on: the one under test has the first to itself, whatever loads and answers it the others. */

import { availableParallelism } from 'node:os'

export type Place = 'under-test' | 'beside' | 'anywhere'

/** @returns the command that runs `command` there, taskset(1); on a machine with one core nothing is pinned. */
export function place(command: readonly string[], where: Place): string[] {
  const cores = availableParallelism()
  if (where === 'anywhere' || cores < 2) return [...command]
  return ['taskset', '--cpu-list', where === 'under-test' ? '0' : findOthers(cores), ...command]
}

/** For a process that runs already; what it starts from now on stays there too. */
export function buildMove(pid: number): string[] {
  const cores = availableParallelism()
  return cores < 2 ? ['true'] : ['taskset', '--cpu-list', '--pid', findOthers(cores), String(pid)]
}

function findOthers(cores: number): string {
  return cores === 2 ? '1' : `1-${String(cores - 1)}`
}
