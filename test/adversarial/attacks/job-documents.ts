/** Job descriptions that hide an account, name another job, or act as somebody else. */

import { buildDescription, buildSubmission, SCRIPT } from '../daemon-versions.ts'
import { attack, type Attack } from './attack.ts'

/** No restricted token needs them (facts/slurm.md 10). */
const DANGEROUS: readonly (readonly [string, unknown])[] = [
  ['user_id', 'bob'],
  ['user_id', 6002],
  ['user_id', '0'],
  ['group_id', 'root'],
  ['job_id', '§{{foreign.plain}}§'],
  ['job_id', '{{foreign.plain}}'],
  ['step_id', { job_id: '§{{foreign.plain}}§' }],
  ['step_id', '{{foreign.plain}}.0'],
  ['hetjob_group', 1],
  ['het_job_id', '§{{foreign.het}}§'],
  ['het_job_offset', 1],
  ['array_job_id', '§{{foreign.array}}§'],
  ['jobs', [{ account: 'otherlab' }]],
  ['clusters', 'a22,a24,a26'],
  ['cluster_constraint', 'x'],
  ['crontab', { minute: '1' }],
  ['admin_comment', 'x'],
  ['site_factor', 1],
  ['spank_environment', ['X=1']],
  ['allocation_node_list', 'localhost'],
  ['allocation_node_port', 1],
  ['reserve_ports', 1],
  ['x11', ['FORWARD_ALL_NODES']],
  ['x11_magic_cookie', 'x'],
  ['x11_target_host', 'x'],
  ['x11_target_port', 1],
  ['selinux_context', 'x'],
  ['dependency', 'expand:{{foreign.running}}'],
  ['dependency', 'afterok:1,expand:{{foreign.running}}'],
  ['dependency', 'EXPAND:{{foreign.running}}'],
  ['dependency', ['expand:{{foreign.running}}']],
  ['Account', 'otherlab'],
  ['ACCOUNT', 'otherlab'],
  ['accounts', 'otherlab'],
  ['account_name', 'otherlab'],
  ['default_account', 'otherlab'],
  ['USER_ID', 0],
  ['JOB_ID', '§{{foreign.plain}}§'],
  ['no_such_field', 1],
  ['', 1],
  ['account.name', 'otherlab'],
  ['__proto__', { account: 'otherlab' }],
  ['constructor', { account: 'otherlab' }],
]

export function buildJobDocumentAttacks(version: number): Attack[] {
  const submit = `/slurm/v0.0.${version}/job/submit`
  const update = `/slurm/v0.0.${version}/job/{{own.plain}}`
  const write = (document: unknown): string => render(document)
  const describe = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
    buildDescription(version, fields)
  const own = describe({ account: 'ownerlab' })
  const foreign = describe({ account: 'otherlab' })
  const documents = [
    ...DANGEROUS.flatMap(([field, value]) => [
      buildSubmission(version, [withField(own, field, value)]),
      buildSubmission(version, [own, withField(own, field, value)]),
    ]),
    buildSubmission(version, [foreign]),
    buildSubmission(version, [own, foreign]),
    buildSubmission(version, [foreign, own]),
    buildSubmission(version, [own, own, foreign]),
    { script: SCRIPT, job: own, jobs: [foreign] },
    { script: SCRIPT, job: foreign, jobs: [own] },
    { script: SCRIPT, job: [own, foreign] },
    { script: SCRIPT, jobs: own },
    { script: SCRIPT, jobs: { 0: own, 1: foreign } },
    { script: SCRIPT, jobs: [[foreign]] },
    { script: SCRIPT, jobs: [own, null] },
    { script: SCRIPT, jobs: [own, 'x'] },
    { script: SCRIPT, jobs: [] },
    { script: SCRIPT, jobs: null },
    { script: SCRIPT, job: null },
    { script: SCRIPT, hetjob: [foreign] },
    { script: SCRIPT, job: own, hetjob: [foreign] },
    { script: SCRIPT, job: own, account: 'otherlab' },
    { script: SCRIPT, job: own, job_id: '§{{foreign.plain}}§' },
    { script: SCRIPT, job: own, user_id: 0 },
    { ...own, script: SCRIPT },
    { script: SCRIPT },
    { script: SCRIPT, jobs: Array.from({ length: 2000 }, () => own) },
  ]
  const updates = [
    { account: 'otherlab' },
    { account: 'OtherLab' },
    { job: { account: 'otherlab' } },
    { jobs: [{ account: 'otherlab' }] },
    ...DANGEROUS.map(([field, value]) => withField({ comment: 'theirs' }, field, value)),
  ]
  return [
    ...documents.map((document) => attack('POST', submit, { body: write(document) })),
    ...updates.map((document) => attack('POST', update, { body: write(document) })),
  ]
}

/** Also one named `__proto__`. */
function withField(
  base: Readonly<Record<string, unknown>>,
  field: string,
  value: unknown,
): Record<string, unknown> {
  return Object.defineProperty({ ...base }, field, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  })
}

/** `"§…§"` stands for the bare text: a number that JavaScript cannot hold, or an id. */
export function render(document: unknown): string {
  return JSON.stringify(document).replace(/"§([^"§]*)§"/g, '$1')
}
