/** What a row says in the end, and the tables it is printed and saved in: Markdown, padded so that a terminal shows it too. */

import { findMedian } from './rate-table.ts'

export interface Finding {
  readonly measured: string
  /** null: it could not be measured, and `value` says why. */
  readonly isMet: boolean | null
  readonly value: string
  readonly wanted: string
}

/** One side of a row: so many per second, one figure of each round. */
export interface SideRates {
  readonly side: string
  readonly rates: readonly number[]
  /** Microseconds of the processor for each request, of each round. */
  readonly costs?: readonly number[]
}

export interface Report {
  readonly findings: readonly Finding[]
  /** Markdown beside the findings: how the sides compare, or what was looked at. */
  readonly details: readonly string[]
}

export function atLeast(measured: string, ratio: number, wanted: number, unit = 'x'): Finding {
  return {
    measured,
    value: `${ratio.toFixed(2)} ${unit}`,
    wanted: `>= ${String(wanted)} ${unit}`,
    isMet: ratio >= wanted,
  }
}

export function atMost(measured: string, value: number, wanted: number, unit: string): Finding {
  const digits = Number.isInteger(value) ? 0 : 2
  return {
    measured,
    value: `${value.toFixed(digits)} ${unit}`.trimEnd(),
    wanted: `<= ${String(wanted)} ${unit}`.trimEnd(),
    isMet: value <= wanted,
  }
}

export function notMeasured(measured: string, wanted: string, why: string): Finding {
  return { measured, value: `not measured: ${why}`, wanted, isMet: null }
}

export function formatFindings(findings: readonly Finding[]): string {
  const rows = findings.map(({ measured, value, wanted, isMet }) => [
    measured,
    value,
    wanted,
    isMet === null ? '-' : isMet ? 'yes' : 'NO',
  ])
  return formatTable(['measured', 'value', 'wanted', 'met'], rows)
}

/** @param reference the side whose median the others are divided by. */
export function formatRates(title: string, sides: readonly SideRates[], reference: string): string {
  const base = findMedian(sides.find(({ side }) => side === reference)?.rates ?? [])
  const rows = sides.map(({ side, rates, costs = [] }) => {
    const median = findMedian(rates)
    const range = `${formatRate(Math.min(...rates))}-${formatRate(Math.max(...rates))}`
    const cost = costs.length === 0 ? '-' : findMedian(costs).toFixed(1)
    return [side, formatRate(median), range, (median / base).toFixed(2), cost]
  })
  return `${title}\n\n${formatTable(['side', 'per second', 'of all rounds', `x ${reference}`, 'µs of processor each'], rows)}`
}

export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  const format = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |\n`
  return [head, widths.map((width) => '-'.repeat(width)), ...rows].map(format).join('')
}

function formatRate(rate: number): string {
  return rate < 100 ? rate.toFixed(2) : Math.round(rate).toLocaleString('en')
}
