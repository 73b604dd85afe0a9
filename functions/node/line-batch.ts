/**
 * Lines of a log that are written together, once for each turn of the event loop: the system call costs more than all the
 * rest of a line. Who has to know that a line is out waits for it.
 */

export interface LineBatch {
  readonly writeLine: (line: string) => void
  /** @returns null: nothing is waiting. */
  readonly whenWritten: () => Promise<void> | null
}

/** @param writeLines given whole lines; returns when the operating system has them. */
export function createLineBatch(writeLines: (lines: string) => void): LineBatch {
  let waiting = ''
  let written: Promise<void> | null = null

  function flush(): void {
    const lines = waiting
    waiting = ''
    written = null
    if (lines !== '') writeLines(lines)
  }

  // Whatever ends the process but a signal that nobody can answer.
  process.on('exit', flush)
  return {
    writeLine(line) {
      waiting += line
      written ??= new Promise((resolve) => {
        setImmediate(() => {
          flush()
          resolve()
        })
      })
    },
    whenWritten: () => written,
  }
}
