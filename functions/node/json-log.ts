/** The operator's log on Node: one JSON object per line. */

import type { Clock, Log, LogLevel } from '../../src/ports.ts'

const SEVERITY: Readonly<Record<LogLevel | 'audit', number>> = {
  debug: 0,
  info: 1,
  warn: 2,
  error: 3,
  audit: 4,
}

/**
 * Lines below `level` are dropped. Fields cannot replace `time`, `level` or `event`.
 * @param writeLine default: stdout.
 */
export function createJsonLog(options: {
  level: LogLevel
  clock: Clock
  writeLine?: (line: string) => void
}): Log {
  const { level: least, clock, writeLine = (line) => process.stdout.write(line) } = options
  return {
    write(level, event, fields) {
      if (SEVERITY[level] < SEVERITY[least]) return
      const fixed = { time: new Date(clock()).toISOString(), level, event }
      writeLine(`${JSON.stringify({ ...fixed, ...fields, ...fixed }, writeValue)}\n`)
    },
  }
}

/** What JSON has no form for; a log line must never throw. */
function writeValue(_name: string, value: unknown): unknown {
  if (value instanceof Error) return value.message
  return typeof value === 'bigint' ? String(value) : value
}
