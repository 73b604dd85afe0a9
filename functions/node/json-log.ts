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
 * @param writeLine default: to stdout. @param whenWritten of a `writeLine` that collects lines.
 */
export function createJsonLog(options: {
  level: LogLevel
  clock: Clock
  writeLine?: (line: string) => void
  whenWritten?: Log['whenWritten']
}): Log {
  const { level: least, clock, writeLine = (line) => process.stdout.write(line) } = options
  const formatTime = createTimeFormat()
  return {
    write(level, event, fields) {
      if (SEVERITY[level] < SEVERITY[least]) return
      const time = formatTime(clock())
      // Put together as text: to copy the fields into one object costs as much as to write them (measured).
      const start = `{"time":"${time}","level":"${level}","event":${JSON.stringify(event)}`
      const rest = writeFields(fields)
      writeLine(rest === '{}' ? `${start}}\n` : `${start},${rest.slice(1)}\n`)
    },
    ...(options.whenWritten && { whenWritten: options.whenWritten }),
  }
}

/** Many lines fall into one millisecond. */
function createTimeFormat(): (milliseconds: number) => string {
  let last = Number.NaN
  let text = ''
  return (milliseconds) => {
    if (milliseconds !== last) {
      text = new Date(milliseconds).toISOString()
      last = milliseconds
    }
    return text
  }
}

type Fields = Readonly<Record<string, unknown>>

function writeFields(fields: Fields): string {
  if (isPlain(fields)) return JSON.stringify(fields)
  const named: Record<string, unknown> = { ...fields }
  for (const name of OWN_NAMES) Reflect.deleteProperty(named, name)
  return JSON.stringify(named, writeValue)
}

/** Whether JSON has a form for everything in it, and no name is the line's own: next to all lines, at half the price. */
function isPlain(fields: Fields): boolean {
  for (const name in fields) {
    const value = fields[name]
    if ((typeof value === 'object' && value !== null) || typeof value === 'bigint') return false
    if (OWN_NAMES.has(name)) return false
  }
  return true
}

const OWN_NAMES: ReadonlySet<string> = new Set(['time', 'level', 'event'])

/** What JSON has no form for; a log line must never throw. */
function writeValue(_name: string, value: unknown): unknown {
  if (value instanceof Error) return value.message
  return typeof value === 'bigint' ? String(value) : value
}
