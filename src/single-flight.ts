/** Lets concurrent callers share one run of a task, where the runtime allows one request to wait for another. */

/**
 * @param mayShare false on workerd: a promise made in one request may not be awaited in another. Each caller then runs
 * the task itself.
 */
export function createSingleFlight<T>(task: () => Promise<T>, mayShare: boolean): () => Promise<T> {
  if (!mayShare) return task
  let running: Promise<T> | null = null
  return function run() {
    running ??= task().finally(() => {
      running = null
    })
    return running
  }
}
