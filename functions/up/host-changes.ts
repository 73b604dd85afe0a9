/** Remembers what `npm run up` changed on this host, so that it later knows its own from the operator's and can list it. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface HostChanges {
  packages: string[]
  users: string[]
}

export const stateDir = '/var/lib/slurmgate'
const changesFile = `${stateDir}/state.json`

export async function readHostChanges(): Promise<HostChanges> {
  const text = await readFile(changesFile, 'utf8').catch(() => '{}')
  const { packages = [], users = [] } = JSON.parse(text) as Partial<HostChanges>
  return { packages, users }
}

/** Written before the change itself: a start that is killed half-way must not take its own work for the operator's. */
export async function rememberHostChange(change: Partial<HostChanges>): Promise<void> {
  const known = await readHostChanges()
  const changes: HostChanges = {
    packages: [...new Set([...known.packages, ...(change.packages ?? [])])],
    users: [...new Set([...known.users, ...(change.users ?? [])])],
  }
  await mkdir(dirname(changesFile), { recursive: true })
  await writeFile(`${changesFile}.new`, `${JSON.stringify(changes, null, 2)}\n`)
  await rename(`${changesFile}.new`, changesFile)
}
