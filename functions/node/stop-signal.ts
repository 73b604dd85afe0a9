/** Waits until the process is told to stop. A second signal ends it at once. */

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

export function findStopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals): void => {
      for (const each of SIGNALS) process.off(each, stop)
      resolve(signal)
    }
    for (const signal of SIGNALS) process.on(signal, stop)
  })
}
