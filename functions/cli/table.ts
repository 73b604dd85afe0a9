/** Plain tables for a terminal. Whatever a cell holds, it cannot move the cursor or look like another line. */

const GAP = '  '

/** Columns as wide as their widest cell; the last one is not padded. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  return createTable()(rows)
}

/** A table that comes in portions. @returns the text of the next rows: columns never get narrower. */
export function createTable(): (rows: readonly (readonly string[])[]) => string {
  const widths: number[] = []
  return (rows) => {
    const clean = rows.map((row) => row.map((cell) => cleanCell(cell)))
    for (const row of clean) {
      row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)))
    }
    const lines = clean.map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join(GAP)
        .trimEnd(),
    )
    return lines.map((line) => `${line}\n`).join('')
  }
}

/** Control and formatting characters (terminal escapes, right-to-left overrides) become `?`. */
export function cleanCell(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
}

/** `2030-01-31 12:00 UTC` */
export function formatDate(date: Date | null, whenNull: string): string {
  return date === null ? whenNull : `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

export function formatUid(uid: number | null): string {
  return uid === null ? '(unknown)' : String(uid)
}
