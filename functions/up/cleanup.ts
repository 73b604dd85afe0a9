/** The things to undo at the end, in reverse order; whatever fails is reported and does not keep the rest from being undone. */
export interface Cleanup {
  add(name: string, undo: () => Promise<void>): void
  run(): Promise<void>
}

export function createCleanup(onError: (text: string) => void): Cleanup {
  const undos: { name: string; undo: () => Promise<void> }[] = []
  return {
    add: (name, undo) => void undos.push({ name, undo }),
    async run() {
      for (let last = undos.pop(); last !== undefined; last = undos.pop()) {
        const { name, undo } = last
        await undo().catch((error: unknown) => onError(`stopping ${name}: ${String(error)}`))
      }
    },
  }
}
