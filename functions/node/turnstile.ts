/** Bounds how much runs at once and how much waits for it, so that a dependency that hangs cannot eat the process. */

export interface Turnstile {
  /**
   * Runs `task` when there is room.
   * @param waitMilliseconds how long it may wait for room.
   * @throws what `createBusyError` makes, without having run `task`, when too many wait or room comes too late.
   */
  run<T>(task: () => Promise<T>, waitMilliseconds: number): Promise<T>
}

/** @param createBusyError the error for whoever is turned away; its argument says why. */
export function createTurnstile(limits: {
  maxRunning: number
  maxWaiting: number
  createBusyError: (why: string) => Error
}): Turnstile {
  let running = 0
  const waiting: (() => void)[] = []

  function waitForRoom(waitMilliseconds: number): Promise<void> {
    if (running < limits.maxRunning) {
      running += 1
      return Promise.resolve()
    }
    if (waiting.length >= limits.maxWaiting) {
      return Promise.reject(limits.createBusyError(`${running} in flight and ${waiting.length} waiting`))
    }
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(enter), 1)
        reject(limits.createBusyError(`no room within ${waitMilliseconds} ms, ${running} in flight`))
      }, waitMilliseconds)
      waiting.push(enter)
    })
  }

  /** The room goes straight to the next one in line, so that nobody overtakes. */
  function leave(): void {
    const next = waiting.shift()
    if (next === undefined) running -= 1
    else next()
  }

  return {
    async run(task, waitMilliseconds) {
      await waitForRoom(waitMilliseconds)
      try {
        return await task()
      } finally {
        leave()
      }
    },
  }
}
