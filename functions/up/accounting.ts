/** Writes a cluster's accounts, users and associations into slurmdbd, and checks that they arrived. */
import type { ClusterUser } from './cluster-config.ts'
import type { CommandResult } from './command.ts'

type RunInside = (command: readonly string[], input?: string) => Promise<CommandResult>

export interface AccountingInput {
  clusterName: string
  accounts: readonly string[]
  users: readonly ClusterUser[]
}

/** Before slurmctld's first start: it does not come up for a cluster that slurmdbd has not heard of. */
export async function writeAccounting(
  run: RunInside,
  { clusterName, accounts, users }: AccountingInput,
): Promise<void> {
  const lines = [`add cluster ${clusterName}`]
  if (accounts.length > 0) lines.push(`add account ${accounts.join(',')}`)
  for (const user of users) {
    if (user.accounts.length === 0) continue
    const defaultAccount = user.defaultAccount ?? user.accounts[0] ?? ''
    const adminLevel = user.adminLevel ? ` adminlevel=${user.adminLevel}` : ''
    lines.push(
      `add user ${user.name} account=${user.accounts.join(',')} defaultaccount=${defaultAccount}${adminLevel}`,
    )
  }
  const written = await run(['sacctmgr', '-i'], `${lines.join('\n')}\n`)
  const shown = await run([
    'sacctmgr',
    '--noheader',
    '--parsable2',
    'show',
    'assoc',
    'format=cluster,account,user',
  ])
  const associations = new Set(shown.stdout.split('\n'))
  for (const user of users) {
    for (const account of user.accounts) {
      if (associations.has(`${clusterName}|${account}|${user.name}`)) continue
      throw new Error(
        `sacctmgr made no association of ${user.name} with ${account}:\n${written.stdout}${written.stderr}`,
      )
    }
  }
}
