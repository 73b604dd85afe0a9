/**
 * A line of the operator's log that strangers can cause: a few of them a second, then one with the count of those left out.
 * Nobody fills a disk, or hides in the flood what else was written.
 */

import { SPARED_LINES_PER_SECOND } from './limits.ts'
import type { Log, LogLevel } from './ports.ts'

/** Writes the line, or counts it. */
export type SparingLine = (fields: Readonly<Record<string, unknown>>) => void

const SECOND_MILLISECONDS = 1000

/** For runtimes that outlive a request: the count is written at the end of its second, whether or not more comes. */
export function createSparingLine(log: Log, level: LogLevel, event: string): SparingLine {
  let written = 0
  let leftOut = 0

  function endSecond(): void {
    if (leftOut > 0) log.write(level, event, { leftOut })
    written = 0
    leftOut = 0
  }

  return (fields) => {
    if (written === 0) setTimeout(endSecond, SECOND_MILLISECONDS)
    if (written === SPARED_LINES_PER_SECOND) leftOut += 1
    else {
      written += 1
      log.write(level, event, fields)
    }
  }
}
