/** The operator's log on Workers: one JSON object per line through `console.log`, which Workers Logs collects. */

import type { Clock, Log, LogLevel } from '../../src/ports.ts'

const SEVERITY: Readonly<Record<LogLevel | 'audit', number>> = {
  debug: 0,
  info: 1,
  warn: 2,
  error: 3,
  audit: 4,
}

export function createConsoleLog(least: LogLevel, now: Clock): Log {
  return {
    write(level, event, fields) {
      if (SEVERITY[level] < SEVERITY[least]) return
      const fixed = { time: new Date(now()).toISOString(), level, event }
      console.log(JSON.stringify({ ...fixed, ...fields, ...fixed }))
    },
  }
}
