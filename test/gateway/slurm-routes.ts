/**
 * The daemons' own route table, and what each route asks of a token: derived from the OpenAPI documents of Slurm
 * 22.05, 24.11 and 26.05, independently of `src/policy/route-table.ts`.
 */

import { readFileSync } from 'node:fs'

export interface DaemonRoute {
  readonly method: string
  /** With `{version}` taken out: `/slurm/job/{job_id}`. */
  readonly template: string
  /** `ctl-read`, `ctl-write-jobs`, `ctl-write-admin`, `db-read`, `db-write`, `util`. */
  readonly kind: string
  /** `closed`, `any credential`, a scope, or a scope with `unrestricted only`. */
  readonly tokens: string
  readonly versions: readonly number[]
}

const FILE = new URL('slurm-routes.tsv', import.meta.url)

export const DAEMON_ROUTES: readonly DaemonRoute[] = readRoutes()

function readRoutes(): DaemonRoute[] {
  const [, ...lines] = readFileSync(FILE, 'utf8').trim().split('\n')
  return lines.map((line) => {
    const [method = '', path = '', kind = '', tokens = '', versions = ''] = line.split('\t')
    return {
      method,
      template: path.replace('/{version}', ''),
      kind: kind.replace(' (GET!)', ''),
      tokens,
      versions: versions.split(',').map((version) => Number(version.replace('v0.0.', ''))),
    }
  })
}

/** A path that the route serves. */
export function fillTemplate(template: string, version: number | string): string {
  const text = typeof version === 'number' ? `v0.0.${version}` : version
  const [, area = '', ...rest] = template.split('/')
  return `/${area}/${text}/${rest.join('/')}`.replace('{job_id}', '4711').replace('{name}', 'n1')
}
