/** Whether something is young enough to count. A clock that was set back tells no age: then it is not. */

/** @param since Unix milliseconds, like `now`. @returns whether `since` was less than so many milliseconds ago. */
export function isWithin(since: number, milliseconds: number, now: number): boolean {
  const age = now - since
  return age >= 0 && age < milliseconds
}
