/**
 * Uids of user names through NSS (`getent`), with the name that each uid leads back to. Whether the two belong together
 * is for whoever asks: `findIdentityDrift` says how they do not.
 */

import type { Clock } from '../../src/ports.ts'
import type { FindUid, FoundUid } from '../../src/tokens/identity-drift.ts'
import { keepAnswers } from './kept-answers.ts'
import { createPasswd, isUserName, type FindPasswdEntry } from './passwd.ts'

const CACHE_MAX_ENTRIES = 4096

/**
 * As fresh and as bounded as the name service.
 * @param options.getent the program; default `getent` on the PATH.
 */
export function createUidService(options: { clock: Clock; getent?: string }): FindUid {
  const passwd = createPasswd(options.getent)
  const find = keepAnswers({
    clock: options.clock,
    maxEntries: CACHE_MAX_ENTRIES,
    lookUp: (name: string) => passwd.ask((findEntry) => findBothWays(findEntry, name)),
  })
  // getent takes digits for a uid, and what begins with a dash for an option.
  return (name) => (isUserName(name) ? find(name) : Promise.resolve(null))
}

/** A directory that answers with another spelling of the name speaks of another user. */
async function findBothWays(find: FindPasswdEntry, name: string): Promise<FoundUid | null> {
  const byName = await find(name)
  if (byName === null || byName.name !== name) return null
  const byUid = await find(String(byName.uid))
  return { uid: byName.uid, nameOfUid: byUid !== null && byUid.uid === byName.uid ? byUid.name : null }
}
