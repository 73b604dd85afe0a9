/**
 * A program that tries what a service must not do, in the place of the service and so in its sandbox, and prints what
 * worked as one line of JSON. Its parameter is the file with the question; it leaves nothing behind.
 */

import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'

/** What the tests ask: paths as the host has them. */
export interface ProbeQuestion {
  readonly files: readonly string[]
  readonly sockets: readonly string[]
}

export interface ProbeAnswer {
  /** Of the files asked for, those that could be read. */
  readonly readable: readonly string[]
  /** Of the sockets asked for, those that took a connection or a datagram's sender. */
  readonly reachable: readonly string[]
  /** All folders of the host in which a file could be made. */
  readonly writable: readonly string[]
  readonly runFolder: readonly string[]
  /** Processes that are seen beside the probe's own. */
  readonly otherProcesses: number
  readonly hasNetlink: boolean
  readonly hasNewNamespaces: boolean
}

/** Of the kernel, not of a disk: what can be changed there is not a file of anybody. */
const KERNEL_FOLDERS = new Set(['/proc', '/sys'])
/** The kind of socket is another one, but its door stands open. */
const OTHER_KIND = 'EPROTOTYPE'

async function answer({ files, sockets }: ProbeQuestion): Promise<ProbeAnswer> {
  const reachable = await Promise.all(sockets.map(async (path) => ((await isReachable(path)) ? [path] : [])))
  return {
    readable: files.filter((path) => works(() => readAnything(path))),
    reachable: reachable.flat(),
    writable: findWritableFolders('/'),
    runFolder: readdirSync('/run').sort(),
    otherProcesses: readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .length,
    hasNetlink: works(networkInterfaces),
    hasNewNamespaces: works(() => execFileSync('unshare', ['--user', 'true'], { stdio: 'ignore' })),
  }
}

function works(attempt: () => unknown): boolean {
  try {
    attempt()
    return true
  } catch {
    return false
  }
}

function readAnything(path: string): void {
  try {
    readFileSync(path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EISDIR')) throw error
    readdirSync(path)
  }
}

function isReachable(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === OTHER_KIND))
  })
}

function findWritableFolders(folder: string): readonly string[] {
  const file = join(folder, `.probe-${String(process.pid)}`)
  const isWritable = works(() => {
    closeSync(openSync(file, 'wx'))
    unlinkSync(file)
  })
  let entries: readonly string[] = []
  works(() => {
    entries = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules')
      .map((entry) => join(folder, entry.name))
  })
  const below = entries.filter((path) => !KERNEL_FOLDERS.has(path)).flatMap(findWritableFolders)
  return isWritable ? [folder, ...below] : below
}

const question = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as ProbeQuestion
void answer(question).then((found) => process.stdout.write(`${JSON.stringify(found)}\n`))
