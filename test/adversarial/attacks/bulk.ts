/** Bulk cancel and bulk requeue: filters and lists that reach beyond the own account. */

import { CLOSED_KINDS, ID_FORM_NAMES } from '../hostile-request.ts'
import { attack, type Attack } from './attack.ts'
import { render } from './job-documents.ts'

const FILTERS: readonly Readonly<Record<string, unknown>>[] = [
  {},
  { user_name: 'alice' },
  { user_name: 'bob' },
  { user_id: '6001' },
  { user_id: 6001 },
  { partition: 'main' },
  { qos: 'normal' },
  { job_state: ['PENDING'] },
  { job_state: ['RUNNING'] },
  { job_name: 'victim' },
  { nodes: 'a24-node' },
  { wckey: '*' },
  { reservation: '' },
  { flags: ['FULL_JOB'] },
  { signal: 'KILL' },
  { account: 'otherlab' },
  { account: null },
  { account: '' },
  { account: 'ownerlab,otherlab' },
  { account: ['ownerlab', 'otherlab'] },
  { Account: 'ownerlab' },
  { jobs: null },
  { jobs: [] },
  { jobs: {} },
  { jobs: '' },
  { jobs: '*' },
  { jobs: [''] },
  { jobs: ['*'] },
  { jobs: [null] },
  { jobs: [0] },
  { jobs: ['0'] },
  { jobs: [['{{foreign.plain}}']] },
  { jobs: [{ job_id: '§{{foreign.plain}}§' }] },
  { jobs: ['4294967294'] },
  { jobs: ['{{own.plain}}'], signal: 'WINCH' },
  { jobs: ['{{own.plain}}'], signal: 'USR1,KILL' },
  { jobs: ['{{own.plain}}'], flags: ['CRON_JOBS'] },
  { jobs: ['{{own.plain}}'], flags: ['NO_SIBLING_JOBS'] },
]

export function buildBulkAttacks(version: number): Attack[] {
  const lists = [
    ...CLOSED_KINDS.flatMap((kind) => [
      [`{{${kind}}}`],
      ['{{own.plain}}', `{{${kind}}}`],
      [`{{${kind}}}`, '{{own.plain}}'],
      [`§{{${kind}}}§`],
    ]),
    ...ID_FORM_NAMES.filter((form) => form !== 'plain').map((form) => [`{{foreign.plain|${form}}}`]),
    ...['task', 'tasks', 'tasksall', 'part', 'part1', 'batch', 'real'].flatMap((form) =>
      ['mixed.array', 'mixed.foreignArray', 'mixed.het', 'mixed.foreignHet'].map((kind) => [
        `{{${kind}|${form}}}`,
      ]),
    ),
    ['{{own.plain}},{{foreign.plain}}'],
    ['{{own.plain}} {{foreign.plain}}'],
    ['{{own.plain}}\n{{foreign.plain}}'],
    ['{{own.plain}}-{{foreign.plain}}'],
    '{{foreign.plain}}',
    '{{own.plain}},{{foreign.plain}}',
    { job: '{{foreign.plain}}' },
  ]
  const documents = [
    ...FILTERS,
    ...lists.flatMap((jobs) => [{ jobs }, { account: 'ownerlab', jobs }, { jobs, signal: 'USR1' }]),
    // The account alone leaves het jobs and races to slurmctld (facts/slurm.md 11).
    { account: 'ownerlab' },
    { account: 'ownerlab', user_name: 'alice' },
    { account: 'otherlab', jobs: ['{{own.plain}}'] },
    { account: 'ownerlab', jobs: ['{{own.plain}}'], step_id: '{{foreign.plain}}.0' },
    { account: 'ownerlab', jobs: ['{{own.plain}}'], no_such: 1 },
  ]
  const bodies = [
    ...documents.map(render),
    '{"account":"ownerlab","jobs":["{{own.plain}}"],"jobs":["{{foreign.plain}}"]}',
    '{"account":"ownerlab","jobs":["{{own.plain}}"],"Jobs":["{{foreign.plain}}"]}',
    '{"account":"ownerlab","account":"otherlab","jobs":["{{own.plain}}"]}',
    '["{{foreign.plain}}"]',
    'null',
  ]
  return [
    attack('DELETE', `/slurm/v0.0.${version}/jobs/`),
    attack('DELETE', `/slurm/v0.0.${version}/jobs`),
    attack('POST', `/slurm/v0.0.${version}/jobs/requeue`),
    ...bodies.flatMap((body) => [
      attack('DELETE', `/slurm/v0.0.${version}/jobs/`, { body }),
      attack('POST', `/slurm/v0.0.${version}/jobs/requeue`, { body }),
    ]),
  ]
}
