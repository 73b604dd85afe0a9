/**
 * User names through NSS (`getent`), as the cluster knows them. A name counts only if it leads back to its uid: a
 * name of another uid would be another user's Slurm token.
 */

import { execFile } from 'node:child_process'
import type { FindUserName } from '../../src/munge/verify-credential.ts'
import type { Clock } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import { createTurnstile } from './turnstile.ts'

const TIMEOUT_MILLISECONDS = 5000
const OUTPUT_MAX_BYTES = 64 * 1024
const MAX_RUNNING = 32
const MAX_WAITING = 256
const CACHE_MAX_ENTRIES = 4096
const FRESH_MILLISECONDS = 60_000
/** A name in use is asked for again before it is stale: where LDAP is slow, nobody who is known waits for it. */
const RENEW_AFTER_MILLISECONDS = 30_000
const RENEW_AGAIN_AFTER_MILLISECONDS = 5000
const ABSENT_FRESH_MILLISECONDS = 5000

/** getent(1): a key was not found. */
const EXIT_NOT_FOUND = 2

interface Entry {
  readonly name: string | null
  readonly freshUntil: number
  /** Whoever asks from then on is answered at once, and the name is asked for again behind the answer. */
  renewAt: number
}

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
  const { clock, getent = 'getent', maxEntries = CACHE_MAX_ENTRIES } = options
  const cache = new Map<number, Entry>()
  const pending = new Map<number, Promise<string | null>>()
  const turnstile = createTurnstile({
    maxRunning: MAX_RUNNING,
    maxWaiting: MAX_WAITING,
    createBusyError: (why) => new Outage('names_unavailable', `getent: ${why}`),
  })

  function findFresh(uid: number): Entry | null {
    const entry = cache.get(uid)
    if (entry === undefined) return null
    cache.delete(uid)
    if (entry.freshUntil <= clock()) return null
    cache.set(uid, entry)
    return entry
  }

  function remember(uid: number, name: string | null): void {
    const now = clock()
    const freshUntil = now + (name === null ? ABSENT_FRESH_MILLISECONDS : FRESH_MILLISECONDS)
    const renewAt = name === null ? freshUntil : now + RENEW_AFTER_MILLISECONDS
    cache.delete(uid)
    cache.set(uid, { name, freshUntil, renewAt })
    const [oldest] = cache.keys()
    if (cache.size > maxEntries && oldest !== undefined) cache.delete(oldest)
  }

  async function lookUp(uid: number): Promise<string | null> {
    try {
      const name = await turnstile.run(() => findRoundTrip(getent, uid), TIMEOUT_MILLISECONDS)
      remember(uid, name)
      return name
    } finally {
      pending.delete(uid)
    }
  }

  function ask(uid: number): Promise<string | null> {
    const running = pending.get(uid) ?? lookUp(uid)
    pending.set(uid, running)
    return running
  }

  /** A failure shows once the name is stale. */
  function renew(uid: number, entry: Entry): void {
    if (pending.has(uid)) return
    entry.renewAt = clock() + RENEW_AGAIN_AFTER_MILLISECONDS
    ask(uid).catch(() => undefined)
  }

  return function findUserName(uid) {
    const entry = findFresh(uid)
    if (entry === null) return ask(uid)
    if (entry.renewAt <= clock()) renew(uid, entry)
    return Promise.resolve(entry.name)
  }
}

async function findRoundTrip(getent: string, uid: number): Promise<string | null> {
  const byUid = parsePasswdLine(await askPasswd(getent, String(uid)))
  if (byUid === null || byUid.uid !== uid) return null
  const byName = parsePasswdLine(await askPasswd(getent, byUid.name))
  return byName !== null && byName.name === byUid.name && byName.uid === uid ? byUid.name : null
}

/** @returns null where there is no such entry. @throws Outage `names_unavailable` */
function askPasswd(getent: string, key: string): Promise<string | null> {
  const { PATH = '/usr/sbin:/usr/bin:/sbin:/bin' } = process.env
  const options = {
    encoding: 'utf8',
    timeout: TIMEOUT_MILLISECONDS,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_MAX_BYTES,
    // Nothing of ours: the verifier's environment has its key.
    env: { PATH, LC_ALL: 'C' },
  } as const
  return new Promise((resolve, reject) => {
    execFile(getent, ['passwd', key], options, (error, stdout) => {
      if (error === null) resolve(stdout)
      else if (error.code === EXIT_NOT_FOUND) resolve(null)
      else {
        const how = error.killed === true ? `no answer within ${TIMEOUT_MILLISECONDS} ms` : String(error.code)
        reject(new Outage('names_unavailable', `getent passwd: ${how}`, { cause: error }))
      }
    })
  })
}

/** One line of passwd(5). A name of digits alone would be read as a uid by getent and by Slurm. */
const PASSWD_LINE =
  /^([A-Za-z0-9_][A-Za-z0-9_.@$+-]{0,254}):[^:\n]*:(\d{1,10}):\d{1,10}:[^:\n]*:[^:\n]*:[^:\n]*\n$/

function parsePasswdLine(text: string | null): { name: string; uid: number } | null {
  const [, name, uid] = (text === null ? null : PASSWD_LINE.exec(text)) ?? []
  if (name === undefined || uid === undefined || /^\d+$/.test(name)) return null
  return { name, uid: Number(uid) }
}
