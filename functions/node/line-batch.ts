/**
 * Lines of a log that are written together, once for each turn of the event loop: the system call costs more than all the
 * rest of a line. Who has to know that a line is out waits for it.
 */

export interface LineBatch {
  readonly writeLine: (line: string) => void
  /** @returns until all lines so far are out; null: they are. */
  readonly whenWritten: () => Promise<void> | null
}

/**
 * Given whole lines, in their order; calls back once the operating system has them. Not before: what a full pipe does not take
 * waits in the memory of the process. With an error nobody goes on, and the process is expected to end.
 */
export type WriteLines = (lines: string, onWritten: (error?: Error | null) => void) => void

interface Batch {
  readonly written: Promise<void>
  readonly resolve: () => void
}

export function createLineBatch(writeLines: WriteLines): LineBatch {
  let lines = ''
  let gathered: Batch | null = null
  /** The last one that was given away and is not out. */
  let given: Batch | null = null

  function flush(): void {
    const [text, batch] = [lines, gathered]
    lines = ''
    gathered = null
    if (batch === null) return
    given = batch
    writeLines(text, (error) => {
      if (error !== undefined && error !== null) return
      if (given === batch) given = null
      batch.resolve()
    })
  }

  // Whatever ends the process but a signal that nobody can answer.
  process.on('exit', flush)
  return {
    writeLine(line) {
      lines += line
      if (gathered !== null) return
      gathered = buildBatch()
      setImmediate(flush)
    },
    whenWritten: () => (gathered ?? given)?.written ?? null,
  }
}

function buildBatch(): Batch {
  let resolve = (): void => undefined
  const written = new Promise<void>((settle) => (resolve = settle))
  return { written, resolve }
}
