/** What a process has used of the processor, from proc(5): unlike a rate, next to independent of what else runs. */

import { readdirSync, readFileSync } from 'node:fs'

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

/** @returns microseconds that the threads a process has now were run for, to the nanosecond (schedstats of the kernel). */
export function readRunTime(pid: number): number {
  const directory = `/proc/${String(pid)}/task`
  const nanoseconds = readdirSync(directory).map((thread) =>
    Number(readFileSync(`${directory}/${thread}/schedstat`, 'utf8').split(' ')[0]),
  )
  return nanoseconds.reduce((sum, part) => sum + part, 0) / 1000
}
