/** Entries of passwd(5) through NSS (`getent`), as the host knows them. One question, one process; nothing is kept. */

import { execFile } from 'node:child_process'
import { Outage } from '../../src/refusal.ts'
import { createTurnstile } from './turnstile.ts'

/** Of one call. */
export const GETENT_TIMEOUT_MILLISECONDS = 5000
const OUTPUT_MAX_BYTES = 64 * 1024
const MAX_RUNNING = 32
const MAX_WAITING = 256

/** getent(1): a key was not found. */
const EXIT_NOT_FOUND = 2

export interface PasswdEntry {
  readonly name: string
  readonly uid: number
}

/** @returns null where there is no such entry, or none that can be read. @throws Outage `names_unavailable` */
export type FindPasswdEntry = (key: string) => Promise<PasswdEntry | null>

/** 32 rounds of questions run at once, and 256 wait up to 5 s for their turn. Nothing here blocks the event loop. */
export interface Passwd {
  /** Runs `work` when there is room. @throws Outage `names_unavailable` when there is none in time. */
  ask<T>(work: (find: FindPasswdEntry) => Promise<T>): Promise<T>
}

/** @param getent the program; default `getent` on the PATH. */
export function createPasswd(getent = 'getent'): Passwd {
  const turnstile = createTurnstile({
    maxRunning: MAX_RUNNING,
    maxWaiting: MAX_WAITING,
    createBusyError: (why) => new Outage('names_unavailable', `getent: ${why}`),
  })
  const find: FindPasswdEntry = async (key) => parsePasswdLine(await runGetent(getent, key))
  return { ask: (work) => turnstile.run(() => work(find), GETENT_TIMEOUT_MILLISECONDS) }
}

/** @returns null where there is no such entry. @throws Outage `names_unavailable` */
function runGetent(getent: string, key: string): Promise<string | null> {
  const { PATH = '/usr/sbin:/usr/bin:/sbin:/bin' } = process.env
  const options = {
    encoding: 'utf8',
    timeout: GETENT_TIMEOUT_MILLISECONDS,
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
        const how =
          error.killed === true ? `no answer within ${GETENT_TIMEOUT_MILLISECONDS} ms` : String(error.code)
        reject(new Outage('names_unavailable', `getent passwd: ${how}`, { cause: error }))
      }
    })
  })
}

/** One line of passwd(5). */
const PASSWD_LINE =
  /^([A-Za-z0-9_][A-Za-z0-9_.@$+-]{0,254}):[^:\n]*:(\d{1,10}):\d{1,10}:[^:\n]*:[^:\n]*:[^:\n]*\n$/
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.@$+-]{0,254}$/

function parsePasswdLine(text: string | null): PasswdEntry | null {
  const [, name, uid] = (text === null ? null : PASSWD_LINE.exec(text)) ?? []
  if (name === undefined || uid === undefined || !isUserName(name)) return null
  return { name, uid: Number(uid) }
}

/** A name of digits alone would be read as a uid by getent and by Slurm. */
export function isUserName(text: string): boolean {
  return NAME.test(text) && !/^\d+$/.test(text)
}
