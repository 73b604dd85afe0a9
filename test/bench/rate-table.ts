/** The bench's one table: a row for each way, with its ratio to others. */

export interface Row {
  readonly name: string
  /** Calls per second, one of each round. */
  readonly rates: readonly number[]
}

/** @param references column heads, and the rates the rows are divided by. */
export function formatRates(rows: readonly Row[], references: Readonly<Record<string, number>>): string {
  const lines = rows.map(({ name, rates }) => {
    const median = findMedian(rates)
    const ratios = Object.values(references).map((rate) => (median / rate).toFixed(1))
    return [
      name,
      formatRate(median),
      `${formatRate(Math.min(...rates))}-${formatRate(Math.max(...rates))}`,
      ...ratios,
    ]
  })
  const table = [['way', 'per second', 'of all rounds', ...Object.keys(references)], ...lines]
  const widths = table.reduce<number[]>(
    (known, line) => line.map((cell, column) => Math.max(known[column] ?? 0, cell.length)),
    [],
  )
  return table.map((line) => `${formatLine(line, widths)}\n`).join('')
}

export function findMedian(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN
}

function formatLine(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
    .join('  ')
}

function formatRate(rate: number): string {
  return Math.round(rate).toLocaleString('en')
}
