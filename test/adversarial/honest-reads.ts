/** Every read of one API version that a restricted token may make, from the daemons' own route table. */

import { DAEMON_ROUTES } from '../gateway/slurm-routes.ts'
import type { HonestCall } from './honest-run.ts'
import type { RealSlurm } from './real-slurm.ts'

/** @param jobId a job that slurmdbd has long heard of: a new one comes there a moment later. */
export function buildHonestReads(slurm: RealSlurm, version: number, jobId: string): HonestCall[] {
  const names: Readonly<Record<string, string>> = {
    node: slurm.cluster.nodeName,
    partition: 'main',
    reservation: 'none',
    account: 'ownerlab',
    cluster: slurm.cluster.clusterName,
    qos: 'normal',
    user: 'alice',
    wckey: '1',
  }
  return DAEMON_ROUTES.filter(
    ({ kind, tokens, versions, method }) =>
      versions.includes(version) &&
      kind.endsWith('-read') &&
      method === 'GET' &&
      !tokens.includes('unrestricted'),
  ).map(({ template }) => {
    const [, area = '', ...rest] = template.split('/')
    const path = rest
      .join('/')
      .replace('{job_id}', jobId)
      .replace('{name}', names[rest[0] ?? ''] ?? 'main')
    return {
      name: `read ${template}`,
      method: 'GET',
      target: `/${area}/v0.0.${version}/${path}`,
      isRead: true,
    }
  })
}
