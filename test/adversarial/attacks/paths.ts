/** Paths that a gate and slurmrestd may read differently: all of them mean a foreign job, or an operation nobody opened. */

import { attack, type Attack } from './attack.ts'

export function buildPathAttacks(version: number): Attack[] {
  const v = `v0.0.${version}`
  const foreign = '{{foreign.plain}}'
  const targets = [
    `/slurm/${v}/job/${foreign}`,
    `//slurm/${v}/job/${foreign}`,
    `/slurm//${v}///job////${foreign}`,
    `/slurm/${v}/job/${foreign}/`,
    `/slurm/${v}/job/${foreign}//`,
    `/slurm/${v}/job%2f${foreign}`,
    `/slurm/${v}%2Fjob/${foreign}`,
    `/slurm%2f${v}/job/${foreign}`,
    `/slurm/${v}/job%5c${foreign}`,
    `/slurm\\${v}\\job\\${foreign}`,
    `/slurm/${v}/j%6fb/${foreign}`,
    `/%73lurm/${v}/job/${foreign}`,
    `/slurm/v0%2e0%2e${version}/job/${foreign}`,
    `/slurm/${v}/./job/./${foreign}`,
    `/slurm/${v}/job/{{own.plain}}/../${foreign}`,
    `/slurm/${v}/job/{{own.plain}}/%2e%2e/${foreign}`,
    `/slurm/${v}/job/{{own.plain}}/.%2e/${foreign}`,
    `/slurm/${v}/job/{{own.plain}}%2f..%2f${foreign}`,
    `/slurm/${v}/job/{{own.plain}}%252f..%252f${foreign}`,
    `/slurm/${v}/job/{{own.plain}};/../${foreign}`,
    `/slurm/${v}/jobs/../job/${foreign}`,
    `/meta/../slurm/${v}/job/${foreign}`,
    `/ping/../slurm/${v}/job/${foreign}`,
    `/healthz/%2e%2e/slurm/${v}/job/${foreign}`,
    `/slurm/${v}/job/{{own.plain}}/${foreign}`,
    `/slurm/${v}/job/${foreign}/{{own.plain}}`,
    `/slurm/${v}/job/${foreign}/steps/0`,
    `/slurm/${v}/job/${foreign}/cancel`,
    `/slurm/${v}/job`,
    `/slurm/${v}/job/`,
    `/slurm/${v}/`,
    `/slurm/${v}`,
    `/slurm`,
    `/slurm/${v}/Job/${foreign}`,
    `/SLURM/${v}/job/${foreign}`,
    `/slurm/V0.0.${version}/job/${foreign}`,
    `/slurm/v0.0.0${version}/job/${foreign}`,
    `/slurm/v0.0.${version} /job/${foreign}`,
    `/slurm/v0.0.${version}%00/job/${foreign}`,
    `/slurm/v0.0.${version}.1/job/${foreign}`,
    `/slurm/v0.0.9${version}/job/${foreign}`,
    `/slurm/v0.0.1/job/${foreign}`,
    `/slurm/v0.0/job/${foreign}`,
    `/slurm/latest/job/${foreign}`,
    `/slurm/LATEST/job/${foreign}`,
    `/slurm/data_parser/${v}/job/${foreign}`,
    `/slurm/job/${foreign}`,
    `/${v}/job/${foreign}`,
    `/slurmctld/${v}/job/${foreign}`,
    `/slurm/${v}/job/{job_id}`,
    `/slurm/${v}/job/%7Bjob_id%7D`,
    `/slurm/${v}/job/*`,
    `/slurm/${v}/job/${foreign}%3f`,
    `/slurm/${v}/job/${foreign}#{{own.plain}}`,
    `/slurm/${v}/job/%`,
    `/slurm/${v}/job/%zz`,
    `/slurm/${v}/job/%c0%af${foreign}`,
    `/slurm/${v}/job/${'9'.repeat(400)}`,
    `/slurm/${v}/job/${'/'.repeat(300)}${foreign}`,
    `http://slurmrestd/slurm/${v}/job/${foreign}`,
    `http://root@127.0.0.1:1/slurm/${v}/job/${foreign}`,
  ]
  const writes = targets.flatMap((target) => [
    attack('DELETE', target),
    attack('POST', target, { body: '{"comment":"theirs"}' }),
  ])
  return [...writes, ...buildMethodAttacks(v), ...buildClosedOperations(v)]
}

/** Methods that some parser could take for another one. */
function buildMethodAttacks(v: string): Attack[] {
  const methods = [
    'delete',
    'Delete',
    'PUT',
    'PATCH',
    'OPTIONS',
    'HEAD',
    'COPY',
    'MOVE',
    'PURGE',
    'QUERY',
    'POSTX',
  ]
  const targets = [`/slurm/${v}/job/{{foreign.plain}}`, `/slurm/${v}/job/submit`, `/slurm/${v}/jobs/`]
  return methods.flatMap((method) => targets.map((target) => attack(method, target)))
}

/** Closed to a restricted token, whatever its scopes. */
function buildClosedOperations(v: string): Attack[] {
  const documented = '{"job":{"script":"#!/bin/sh\\n","account":"ownerlab"}}'
  return [
    attack('GET', `/slurm/${v}/reconfigure`),
    attack('GET', `/slurm/${v}/reconfigure/`),
    attack('GET', `/slurm/${v}/conf`),
    attack('GET', `/slurmdb/${v}/conf`),
    attack('GET', `/slurmdb/${v}/config`),
    attack('POST', `/slurm/${v}/job/allocate`, { body: documented }),
    attack('POST', `/slurm/${v}/job/allocate/`, { body: documented }),
    attack('POST', `/slurmdb/${v}/config`, { body: '{}' }),
    attack('POST', `/slurmdb/${v}/accounts`, { body: '{"accounts":[]}' }),
    attack('POST', `/slurmdb/${v}/users`, {
      body: '{"users":[{"name":"alice","default":{"account":"ownerlab"}}]}',
    }),
    attack('POST', `/slurmdb/${v}/associations`, { body: '{"associations":[]}' }),
    attack('DELETE', `/slurmdb/${v}/association?user=bob`),
    attack('DELETE', `/slurmdb/${v}/associations?account=otherlab`),
    attack('DELETE', `/slurmdb/${v}/user/bob`),
    attack('DELETE', `/slurmdb/${v}/account/otherlab`),
    attack('DELETE', `/slurmdb/${v}/cluster/a24`),
    attack('DELETE', `/slurmdb/${v}/qos/normal`),
    attack('DELETE', `/slurmdb/${v}/wckey/1`),
    attack('POST', `/slurmdb/${v}/job/{{foreign.plain}}`, { body: '{"comment":{"job":"x"}}' }),
    attack('POST', `/slurmdb/${v}/job/{{own.plain}}`, { body: '{"account":"otherlab"}' }),
    attack('POST', `/slurmdb/${v}/jobs/`, {
      body: '{"job_id_list":["{{foreign.plain}}"],"job_rec":{"comment":{"job":"x"}}}',
    }),
    attack('POST', `/slurm/${v}/node/n1`, { body: '{"state":["DOWN"]}' }),
    attack('DELETE', `/slurm/${v}/node/n1`),
    attack('POST', `/slurm/${v}/nodes/`, { body: '{"state":["DOWN"]}' }),
    attack('POST', `/slurm/${v}/new/node`, { body: '{"node_conf":"NodeName=x"}' }),
    attack('POST', `/slurm/${v}/partitions/`, { body: '{}' }),
    attack('DELETE', `/slurm/${v}/partition/main`),
    attack('POST', `/slurm/${v}/reservation`, { body: '{}' }),
    attack('POST', `/slurm/${v}/reservations/`, { body: '{}' }),
    attack('DELETE', `/slurm/${v}/reservation/r1`),
  ]
}
