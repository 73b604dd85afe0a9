/**
 * Lays out one instance's folder: configuration, keys, state. State that was made for another definition of the cluster
 * (other users, accounts or Slurm) is thrown away; the cached root never is.
 */
import { chown, copyFile, chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Suite } from './base-root.ts'
import {
  buildCgroupConf,
  buildHosts,
  buildNameService,
  buildSlurmConf,
  buildSlurmdbdConf,
  slurmUid,
  type ClusterUser,
  type ConfigInput,
} from './cluster-config.ts'
import type { Home } from './enclosure.ts'
import { ensureSlurmKeys, type SlurmKeys } from './slurm-keys.ts'

export interface InstanceInput {
  suite: Suite
  clusterName: string
  accounts: readonly string[]
  users: readonly ClusterUser[]
  fresh: boolean
}

const definitionFile = 'definition.json'

/** Makes the folders; true when there is state to go on from. */
export async function prepareState(instanceDir: string, input: InstanceInput): Promise<boolean> {
  const wanted = describeDefinition(input)
  const found = await readFile(join(instanceDir, definitionFile), 'utf8').catch(() => '')
  const isKept = !input.fresh && found === wanted
  if (!isKept) {
    await rm(join(instanceDir, definitionFile), { force: true })
    await rm(join(instanceDir, 'state'), { recursive: true, force: true })
  }
  await mkdir(instanceDir, { recursive: true, mode: 0o755 })
  for (const name of [
    'state',
    'state/mariadb',
    'state/slurmctld',
    'state/slurmd',
    'state/log',
    'state/keys',
    'state/home',
  ]) {
    await mkdir(join(instanceDir, name), { recursive: true, mode: 0o755 })
    if (name !== 'state/home') await chown(join(instanceDir, name), slurmUid, slurmUid)
  }
  await mkdir(join(instanceDir, 'state/run'), { recursive: true })
  await chmod(join(instanceDir, 'state/run'), 0o1777)
  return isKept
}

/** Remembers that the state now holds all of the definition. */
export async function rememberDefinition(instanceDir: string, input: InstanceInput): Promise<void> {
  await writeFile(join(instanceDir, definitionFile), describeDefinition(input))
}

function describeDefinition({ suite, clusterName, accounts, users }: InstanceInput): string {
  return JSON.stringify({ suite, clusterName, accounts, users })
}

/** Writes every file below `config/`; it is rewritten at each start because ports may change. */
export async function writeConfig(
  instanceDir: string,
  baseRoot: string,
  users: readonly ClusterUser[],
  input: ConfigInput,
): Promise<void> {
  const config = join(instanceDir, 'config')
  await mkdir(join(config, 'slurm'), { recursive: true })
  const base = {
    passwd: await readFile(join(baseRoot, 'etc/passwd'), 'utf8'),
    group: await readFile(join(baseRoot, 'etc/group'), 'utf8'),
  }
  const { passwd, group } = buildNameService(base, users)
  const files: [name: string, text: string][] = [
    ['passwd', passwd],
    ['group', group],
    ['hosts', buildHosts(input.hostName)],
    ['slurm/slurm.conf', buildSlurmConf(input)],
    ['slurm/cgroup.conf', buildCgroupConf(input.suite)],
    ['slurm/slurmdbd.conf', buildSlurmdbdConf(input)],
  ]
  for (const [name, text] of files) await writeFile(join(config, name), text)
  const slurmdbdConf = join(config, 'slurm/slurmdbd.conf')
  await chmod(slurmdbdConf, 0o600) // slurmdbd refuses a configuration that others may read
  await chown(slurmdbdConf, slurmUid, slurmUid)
}

/** Makes the keys on the host and gives Slurm its copies; the private RSA key has none. */
export async function installKeys(instanceDir: string): Promise<SlurmKeys> {
  const keys = await ensureSlurmKeys(join(instanceDir, 'keys'))
  const inside = join(instanceDir, 'state/keys')
  await copyFile(keys.hs256KeyFile, join(inside, 'jwt_hs256.key'))
  await copyFile(keys.jwksFile, join(inside, 'jwks.json'))
  await chmod(join(inside, 'jwt_hs256.key'), 0o600)
  for (const name of ['jwt_hs256.key', 'jwks.json']) await chown(join(inside, name), slurmUid, slurmUid)
  return keys
}

/** A home for every user: the host's folder if one is named, else one of this instance's own. */
export async function prepareHomes(instanceDir: string, users: readonly ClusterUser[]): Promise<Home[]> {
  const homes: Home[] = []
  for (const user of users) {
    const source = user.home ?? join(instanceDir, 'state/home', user.name)
    if (user.home === undefined) {
      await mkdir(source, { recursive: true, mode: 0o755 })
      await chown(source, user.uid, user.gid ?? user.uid)
    }
    homes.push({ user: user.name, source, target: user.home ?? `/home/${user.name}` })
  }
  return homes
}
