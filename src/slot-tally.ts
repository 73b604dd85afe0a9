/** Counts the upstream slots that are taken: all together, those that end at slurmdbd, and each caller's. */

export interface SlotLimits {
  readonly all: number
  /** Of them for slurmdbd, whose queries take longest. */
  readonly accounting: number
  readonly perCaller: number
}

/** Who wants a slot, and for what. */
export interface SlotClaim {
  readonly caller: string
  readonly isAccounting: boolean
}

export interface SlotTally {
  hasRoom(claim: SlotClaim): boolean
  add(claim: SlotClaim): void
  remove(claim: SlotClaim): void
  /** Another one, with the same slots taken. */
  copy(): SlotTally
}

/** How many of each. */
interface Taken {
  readonly all: number
  readonly accounting: number
  readonly byCaller: ReadonlyMap<string, number>
}

const NOTHING_TAKEN: Taken = { all: 0, accounting: 0, byCaller: new Map() }

export function createSlotTally(limits: SlotLimits, taken = NOTHING_TAKEN): SlotTally {
  const byCaller = new Map(taken.byCaller)
  let { all, accounting } = taken

  function change({ caller, isAccounting }: SlotClaim, by: 1 | -1): void {
    all += by
    if (isAccounting) accounting += by
    const count = (byCaller.get(caller) ?? 0) + by
    if (count === 0) byCaller.delete(caller)
    else byCaller.set(caller, count)
  }

  return {
    hasRoom: ({ caller, isAccounting }) =>
      all < limits.all &&
      (!isAccounting || accounting < limits.accounting) &&
      (byCaller.get(caller) ?? 0) < limits.perCaller,
    add: (claim) => change(claim, 1),
    remove: (claim) => change(claim, -1),
    copy: () => createSlotTally(limits, { all, accounting, byCaller }),
  }
}
