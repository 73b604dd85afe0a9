/** The last words of `npm run up`: what stands, how to use and stop it, and what stays on the disk afterwards. */
import { existsSync } from 'node:fs'
import { readHostChanges, stateDir } from './host-changes.ts'
import { findStateDir, type Stack } from './stack.ts'
import type { UpSettings } from './up-settings.ts'

export function describeStanding(
  settings: UpSettings,
  { gate, token, slurmrestdUrl }: Stack,
  isAllWell: boolean,
): string {
  const lines = [
    '',
    isAllWell ? 'Everything is up.' : 'It is up, but not every answer was as expected: see above.',
    '',
    `   gateway      ${gate.url}`,
    `   slurmrestd   ${slurmrestdUrl}`,
    `   demo token   ${token}`,
    `                (${settings.serviceUser}, account ${settings.account})`,
    `   logs         ${findStateDir()}/logs`,
    '',
    'Ctrl-C stops all of it.',
  ]
  return lines.join('\n')
}

/** Lists what is left once nothing runs any more, and how to be rid of it. */
export async function describeEnd({ cacheDir, slurmrestdUrl }: UpSettings): Promise<string> {
  const isOwnCluster = slurmrestdUrl === null
  const { packages, users } = isOwnCluster ? await readHostChanges() : { packages: [], users: [] }
  const folders = [
    [cacheDir, 'the Debian root with Slurm'],
    [stateDir, "the cluster's state and keys, the token database, logs"],
    [findStateDir(), 'the token database, logs'],
  ] as const
  const isShown = (path: string): boolean =>
    existsSync(path) && (path === stateDir || !path.startsWith(`${stateDir}/`))
  const left = (isOwnCluster ? folders : folders.slice(2)).filter(([path]) => isShown(path) || !isOwnCluster)
  const lines = ['Nothing of it runs any more.']
  if (left.length === 0) return lines.join('\n')
  lines.push('It leaves behind, for a faster next start:')
  lines.push(...left.map(([path, what]) => `   ${path}: ${what}`))
  if (packages.length > 0) lines.push(`   packages it installed: ${packages.join(' ')}`)
  if (users.length > 0) lines.push(`   users it made: ${users.join(' ')}`)
  lines.push(
    `To be rid of all that: ${describeRemoval(
      left.map(([path]) => path),
      packages,
      users,
    )}`,
  )
  return lines.join('\n')
}

function describeRemoval(
  folders: readonly string[],
  packages: readonly string[],
  users: readonly string[],
): string {
  const commands = [`rm -rf ${folders.join(' ')}`, ...users.map((name) => `userdel --remove ${name}`)]
  if (packages.length > 0) commands.push(`apt-get purge ${packages.join(' ')}`)
  return commands.join('; ')
}
