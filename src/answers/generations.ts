/**
 * Numbers a user's reads by the writes that went through this gate before them: what was read before a write began, or
 * while it ran, is nobody's answer afterwards. Writes past this gate, and by other users, are seen when the time of an
 * answer is over.
 */

export interface Generations {
  find(user: string): number
  /** A write of this user's begins, or may have ended. */
  advance(user: string): void
}

/** Users with writes that are told apart; beyond, everybody's answers are forgotten. */
const USERS_MAX = 16_384

export function createGenerations(): Generations {
  const byUser = new Map<string, number>()
  let latest = 0
  /** Of users who are not in the map. */
  let common = 0
  return {
    find: (user) => byUser.get(user) ?? common,
    advance(user) {
      latest += 1
      if (byUser.size >= USERS_MAX && !byUser.has(user)) {
        byUser.clear()
        common = latest
      }
      byUser.set(user, latest)
    },
  }
}
