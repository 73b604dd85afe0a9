/** Every operation of every Slurm by a token whose scopes do not open it: taken from the daemons' own route table. */

import { DAEMON_ROUTES, type DaemonRoute } from '../../gateway/slurm-routes.ts'
import type { TokenCaller } from '../hostile-request.ts'
import { attack, JSON_TYPE, type Attack } from './attack.ts'

export const SCOPES_OF: Readonly<Record<TokenCaller, readonly string[]>> = {
  bound: ['slurm:read', 'slurmdb:read', 'slurm:jobs:manage'],
  free: ['slurm:read', 'slurmdb:read', 'slurm:jobs:manage'],
  reader: ['slurm:read'],
  manager: ['slurm:jobs:manage'],
  accountant: ['slurmdb:read'],
  admin: [
    ...['slurm:read', 'slurmdb:read', 'slurm:jobs:manage', 'slurm:nodes:manage', 'slurm:partitions:manage'],
    ...['slurm:reservations:manage', 'slurm:reconfigure', 'slurmdb:manage'],
  ],
}

export function isRestricted(caller: TokenCaller): boolean {
  return caller !== 'free' && caller !== 'admin'
}

export function buildScopeAttacks(version: number): Attack[] {
  const callers = Object.keys(SCOPES_OF) as TokenCaller[]
  return DAEMON_ROUTES.filter((route) => route.versions.includes(version)).flatMap((route) =>
    callers
      .filter((caller) => !isOpen(route, caller))
      .map((caller) => {
        const built = attack(route.method, fillRoute(route, version), {
          caller,
          headers: [JSON_TYPE],
          body: route.method === 'POST' ? '{"comment":"x"}' : null,
        })
        return { ...built, name: `${built.name} as ${caller}` }
      }),
  )
}

function isOpen({ tokens, kind }: DaemonRoute, caller: TokenCaller): boolean {
  const [scope = '', ...words] = tokens.split(' ')
  if (tokens === 'closed') return false
  if (scope === 'any') return true
  if (!SCOPES_OF[caller].includes(scope)) return false
  if (!isRestricted(caller)) return true
  // Own jobs, in a form that is not in this list: honest requests are tried elsewhere.
  return !words.includes('unrestricted') && (kind.endsWith('-read') || kind === 'ctl-write-jobs')
}

/** An own job everywhere: the scope alone has to stop it. */
function fillRoute({ template }: DaemonRoute, version: number): string {
  const [, area = '', ...rest] = template.split('/')
  return `/${area}/v0.0.${version}/${rest.join('/')}`
    .replace('{job_id}', '{{own.plain}}')
    .replace('{name}', 'main')
}
