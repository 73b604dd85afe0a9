/** What a process has used of the processor, from proc(5): unlike a rate, next to independent of what else runs. */

import { readFileSync } from 'node:fs'

/** Linux counts in hundredths of a second for everybody (USER_HZ). */
const TICK_MICROSECONDS = 10_000

/** @returns microseconds of the process, its threads and its children. */
export function readProcessorTime(pid: number): number {
  const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  const [user, system] = [fields[11], fields[12]].map(Number)
  const children = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8')
    .trim()
    .split(' ')
  return children
    .filter((child) => child !== '')
    .reduce(
      (sum, child) => sum + readProcessorTime(Number(child)),
      ((user ?? 0) + (system ?? 0)) * TICK_MICROSECONDS,
    )
}
