/** Lets a second `npm run up` say that the first one is still there, instead of taking its daemons for the operator's. */
import { readFile, rm, writeFile } from 'node:fs/promises'

const pidFile = '/run/slurmgate-up.pid'

/** The process id of an `up` that runs on this host, or null. A file left by a killed one does not count. */
export async function findRunningUp(): Promise<number | null> {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''))
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return null
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return commandLine.includes('up.js') ? pid : null
}

/** Makes this process the one; the returned function takes that back. */
export async function claimRunningUp(): Promise<() => Promise<void>> {
  await writeFile(pidFile, `${process.pid}\n`)
  return () => rm(pidFile, { force: true })
}
