/** The text of every configuration file of the one-node cluster. Pure: it reads and writes nothing. */
import { stateMountPoint, type Suite } from './base-root.ts'

export interface ClusterPorts {
  slurmctld: number
  slurmd: number
  slurmdbd: number
  slurmrestd: number
}

export interface ClusterUser {
  name: string
  uid: number
  /** The primary group; the same number as `uid` when left out. */
  gid?: number
  /** Accounts it gets an association with; none makes a user that Slurm has never heard of. */
  accounts: readonly string[]
  defaultAccount?: string
  /** `Administrator` and `Operator` as in sacctmgr(1). */
  adminLevel?: 'Operator' | 'Administrator'
  /** A folder of the host that jobs see under the same path. Without it the home is /home/NAME, inside only. */
  home?: string
}

export interface ConfigInput {
  suite: Suite
  clusterName: string
  hostName: string
  mungeSocketName: string
  ports: ClusterPorts
}

export const slurmUid = 64030
const slurmrestUid = 64031

function describeAuthentication(mungeSocketName: string): string {
  const keys = `${stateMountPoint}/keys`
  return `AuthType=auth/munge
AuthInfo=socket=/run/munge/${mungeSocketName}
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key=${keys}/jwt_hs256.key,jwks=${keys}/jwks.json`
}

/**
 * Every address is 127.0.0.1 and every name is the box's own, so how the host is called does not matter. NoInAddrAny and
 * NoCtldInAddrAny (slurm.conf(5)) keep the daemons off the host's other addresses.
 */
export function buildSlurmConf({ clusterName, hostName, mungeSocketName, ports }: ConfigInput): string {
  return `ClusterName=${clusterName}
SlurmctldHost=${hostName}(127.0.0.1)
SlurmUser=slurm
${describeAuthentication(mungeSocketName)}
SlurmctldPort=${ports.slurmctld}
SlurmdPort=${ports.slurmd}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=${stateMountPoint}/slurmctld
SlurmdSpoolDir=${stateMountPoint}/slurmd
SlurmctldPidFile=/run/lock/slurmctld.pid
SlurmdPidFile=/run/lock/slurmd.pid
SlurmctldLogFile=${stateMountPoint}/log/slurmctld.log
SlurmdLogFile=${stateMountPoint}/log/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
JobRequeue=0
SchedulerParameters=batch_sched_delay=0
KillWait=2
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=${ports.slurmdbd}
AccountingStorageEnforce=associations
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=${hostName} NodeAddr=127.0.0.1 CPUs=16 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`
}

export function buildSlurmdbdConf({ hostName, mungeSocketName, ports, suite }: ConfigInput): string {
  return `DbdHost=${hostName}
DbdAddr=127.0.0.1
DbdPort=${ports.slurmdbd}
SlurmUser=slurm
${describeAuthentication(mungeSocketName)}
PidFile=/run/lock/slurmdbd.pid
LogFile=${stateMountPoint}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm
${suite === 'bookworm' ? '' : 'CommunicationParameters=NoInAddrAny\n'}`
}

/** Slurm 22.05 knows no `disabled` and needs none: nothing we configure uses cgroups there. */
export function buildCgroupConf(suite: Suite): string {
  return suite === 'bookworm' ? 'CgroupPlugin=cgroup/v1\n' : 'CgroupPlugin=disabled\n'
}

export function buildHosts(hostName: string): string {
  return `127.0.0.1 localhost ${hostName}\n::1 localhost\n`
}

interface NameService {
  passwd: string
  group: string
}

/** Adds our users to the root's own: Slurm's two, and those who submit jobs. */
export function buildNameService(base: NameService, users: readonly ClusterUser[]): NameService {
  const ours = [
    {
      name: 'slurmrest',
      uid: slurmrestUid,
      gid: slurmrestUid,
      home: '/nonexistent',
      shell: '/usr/sbin/nologin',
    },
    ...users.map((user) => ({
      name: user.name,
      uid: user.uid,
      gid: user.gid ?? user.uid,
      home: user.home ?? `/home/${user.name}`,
      shell: '/bin/bash',
    })),
  ]
  const names = new Set(ours.map(({ name }) => name))
  const isOthers = (line: string): boolean => line !== '' && !names.has(line.split(':')[0] ?? '')
  const passwdLines = ours.map(
    ({ name, uid, gid, home, shell }) => `${name}:x:${uid}:${gid}::${home}:${shell}`,
  )
  const groupLines = ours.map(({ name, gid }) => `${name}:x:${gid}:`)
  return {
    passwd: [...base.passwd.split('\n').filter(isOthers), ...passwdLines, ''].join('\n'),
    group: [...base.group.split('\n').filter(isOthers), ...groupLines, ''].join('\n'),
  }
}
