/** The users that MUNGE credentials are made by: those of the private passwd file of `test/run.mjs`, else ourselves. */

import { execFileSync } from 'node:child_process'

export interface TestUsers {
  /** An ordinary user: uid 1000 or above, with a name. */
  readonly ordinary: { readonly uid: number; readonly name: string }
  /** Whether credentials can be made as any uid, root's and unnamed ones included. */
  readonly canBeAnyone: boolean
}

const PRIVATE_UID = 6001

/** @throws in words when there is no ordinary user to be. */
export function requireTestUsers(): TestUsers {
  const ownUid = process.getuid?.() ?? 0
  if (ownUid !== 0) {
    const name = findName(ownUid)
    if (ownUid < 1000 || name === null)
      throw new Error('run the tests as root or as an ordinary user (uid >= 1000)')
    return { ordinary: { uid: ownUid, name }, canBeAnyone: false }
  }
  const name = findName(PRIVATE_UID)
  if (name === null) {
    throw new Error(
      'as root, run the tests with "npm test": it gives them a passwd file of their own (user alice)',
    )
  }
  return { ordinary: { uid: PRIVATE_UID, name }, canBeAnyone: true }
}

function findName(uid: number): string | null {
  try {
    return execFileSync('getent', ['passwd', String(uid)], { encoding: 'utf8' }).split(':')[0] ?? null
  } catch {
    return null
  }
}
