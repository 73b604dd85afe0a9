/** What a newcomer reads while `npm run up` works: numbered steps with times, and a sign of life during every long one. */
import type { WriteStream } from 'node:tty'

const quietSeconds = 2
const periodSeconds = 5

export interface Transcript {
  /** Runs the work under a numbered heading; `report` says what is going on just now. */
  step<T>(title: string, work: (report: (line: string) => void) => Promise<T>): Promise<T>
  say(text: string): void
}

export function createTranscript(out: WriteStream | NodeJS.WriteStream = process.stdout): Transcript {
  let number = 0
  return {
    say: (text) => out.write(`${text}\n`),
    async step(title, work) {
      number += 1
      out.write(`\n${number}. ${title}\n`)
      const startedAt = performance.now()
      const seconds = (): number => (performance.now() - startedAt) / 1000
      const progress = createProgress(out, seconds)
      try {
        return await work((line) => progress.report(line))
      } finally {
        progress.end()
        out.write(`   (${seconds().toFixed(1)} s)\n`)
      }
    },
  }
}

interface Progress {
  report(line: string): void
  end(): void
}

/** A ticking line on a terminal; elsewhere a line of its own every few seconds. */
function createProgress(out: NodeJS.WriteStream, seconds: () => number): Progress {
  let latest = 'working'
  let shownAt = 0
  const show = (): void => {
    if (seconds() < quietSeconds) return
    const text = `   … ${Math.round(seconds())} s: ${latest}`
    if (out.isTTY) {
      out.write(`\r\u001b[K${text.slice(0, (out.columns || 80) - 1)}`)
    } else if (seconds() - shownAt >= periodSeconds) {
      shownAt = seconds()
      out.write(`${text}\n`)
    }
  }
  const timer = setInterval(show, out.isTTY ? 500 : 1000)
  return {
    report: (line) => {
      latest = line
    },
    end: () => {
      clearInterval(timer)
      if (out.isTTY) out.write('\r\u001b[K')
    },
  }
}
