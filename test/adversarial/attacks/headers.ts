/** Header fields that could change who asks, what is asked, or how it is framed. */

import { attack, JSON_TYPE, type Attack } from './attack.ts'

const BEARER = ['Authorization', 'Bearer {{secret}}'] as const

/** With the token in place, on a foreign job: whatever the trick does, the job stays. */
const TRICKS: readonly (readonly (readonly [string, string])[])[] = [
  [['X-SLURM-USER-NAME', 'bob']],
  [['X-SLURM-USER-NAME', 'root']],
  [['X-SLURM-USER-NAME', 'slurm']],
  [['X-SLURM-USER-NAME', 'Alice']],
  [['X-SLURM-USER-NAME', 'alice,bob']],
  [['X-SLURM-USER-NAME', '']],
  [
    ['X-SLURM-USER-NAME', 'alice'],
    ['X-SLURM-USER-NAME', 'bob'],
  ],
  [
    ['x-slurm-user-name', 'alice'],
    ['X-Slurm-User-Name', 'bob'],
  ],
  [['X-SLURM-USER-TOKEN', 'eyJhbGciOiJub25lIn0.eyJzdW4iOiJyb290In0.']],
  [['X-SLURM-USER-TOKEN', '']],
  [BEARER],
  [['Authorization', 'Basic cm9vdDo=']],
  [['Authorization', 'MUNGE MUNGE:AwQDAAA=:']],
  [['X_SLURM_USER_NAME', 'bob']],
  [['X-SLURM-USER-ID', '0']],
  [['Proxy-Authorization', 'Bearer x']],
  [['X-HTTP-Method-Override', 'GET']],
  [['X-HTTP-Method', 'GET']],
  [['X-Method-Override', 'GET']],
  [['X-Original-URL', '/slurm/latest/job/{{own.plain}}']],
  [['X-Rewrite-URL', '/slurm/latest/job/{{own.plain}}']],
  [['X-Forwarded-For', '127.0.0.1']],
  [['X-Forwarded-Prefix', '/x']],
  [['Forwarded', 'for=127.0.0.1']],
  [['Connection', 'Authorization']],
  [['Connection', 'close, X-Slurm-User-Token, Authorization']],
  [['Keep-Alive', 'timeout=5']],
  [['TE', 'trailers']],
  [['Trailer', 'Authorization']],
  [
    ['Upgrade', 'h2c'],
    ['Connection', 'Upgrade'],
  ],
  [['Host', 'slurmrestd']],
  [['Range', 'bytes=0-1']],
  [['If-None-Match', '*']],
  [['Cookie', 'account=ownerlab']],
  [['Accept', 'application/x-yaml']],
  [['Accept', '*/*;q=0, text/html']],
  [['Accept-Encoding', 'gzip']],
  [['Content-Length', '0']],
]

/** Asked as a read: it stays one. */
const OVERRIDES: readonly (readonly [string, string])[] = [
  ['X-HTTP-Method-Override', 'DELETE'],
  ['X-HTTP-Method', 'DELETE'],
  ['X-Method-Override', 'DELETE'],
  ['X-Original-URL', '/slurm/latest/job/{{foreign.plain}}'],
  ['X-Rewrite-URL', '/slurm/latest/reconfigure'],
  ['X-Original-Method', 'DELETE'],
]

export function buildHeaderAttacks(version: number): Attack[] {
  const foreign = `/slurm/v0.0.${version}/job/{{foreign.plain}}`
  const own = `/slurm/v0.0.${version}/job/{{own.plain}}`
  const tricks = TRICKS.flatMap((headers) => [
    attack('DELETE', foreign, { headers }),
    attack('POST', foreign, { headers: [JSON_TYPE, ...headers], body: '{"comment":"theirs"}' }),
  ])
  const impersonations = TRICKS.slice(0, 13).map((headers) => attack('DELETE', own, { headers }))
  const overrides = OVERRIDES.map((header) => attack('GET', own, { headers: [header], expect: 'no-write' }))
  return [
    ...named('headers', tricks),
    ...named('impersonation', impersonations),
    ...named('override', overrides),
  ]
}

function named(kind: string, attacks: readonly Attack[]): Attack[] {
  return attacks.map((one) => {
    const headers = one.request.headers.map((pair) => pair.join(': ')).join(', ')
    return { ...one, name: `${kind}: ${one.name} with ${headers}` }
  })
}
