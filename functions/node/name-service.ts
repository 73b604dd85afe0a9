/**
 * User names through NSS (`getent`), as the cluster knows them. A name counts only if it leads back to its uid: a
 * name of another uid would be another user's Slurm token.
 */

import type { FindUserName } from '../../src/munge/verify-credential.ts'
import type { Clock } from '../../src/ports.ts'
import { keepAnswers } from './kept-answers.ts'
import { createPasswd, type FindPasswdEntry } from './passwd.ts'

const CACHE_MAX_ENTRIES = 4096

/**
 * Answers may be up to 60 s old, absences up to 5 s. Concurrent questions for one uid are one look-up; 32 look-ups
 * run at once, and 256 wait up to 5 s for their turn. Nothing here blocks the event loop.
 * @param options.getent the program; default `getent` on the PATH.
 * @param options.maxEntries names kept, the least recently used one goes; default 4,096.
 */
export function createNameService(options: {
  clock: Clock
  getent?: string
  maxEntries?: number
}): FindUserName {
  const passwd = createPasswd(options.getent)
  return keepAnswers({
    clock: options.clock,
    maxEntries: options.maxEntries ?? CACHE_MAX_ENTRIES,
    lookUp: (uid: number) => passwd.ask((find) => findRoundTrip(find, uid)),
  })
}

async function findRoundTrip(find: FindPasswdEntry, uid: number): Promise<string | null> {
  const byUid = await find(String(uid))
  if (byUid === null || byUid.uid !== uid) return null
  const byName = await find(byUid.name)
  return byName !== null && byName.name === byUid.name && byName.uid === uid ? byUid.name : null
}
