/** Spellings of job ids that some version of Slurm reads as a job, and not always as the same one. */

import { CLOSED_KINDS, ID_FORM_NAMES } from '../hostile-request.ts'
import { attack, type Attack } from './attack.ts'

/** No whole job of anybody. */
const LITERALS = [
  '0',
  '00',
  '-1',
  '+0',
  '-0',
  '1_',
  '1+',
  '_1',
  '1__1',
  '1_1_1',
  '1_-1',
  '1_[0-9999999]',
  '1.0.0',
  '1.4294967290',
  '1.interactive',
  's',
  'S1',
  '1e1',
  '1E1',
  '1e400',
  '0x1',
  '0X1',
  '0b1',
  '0o1',
  '1_000',
  '1,2',
  '1-2',
  '1..2',
  '4294967294',
  '4294967295',
  '4294967296',
  '9223372036854775807',
  '18446744073709551616',
  'NaN',
  'Infinity',
  'null',
  'true',
  'all',
  'ALL',
  'self',
  '%25s%25n',
  '%d0%b01',
  '1%e2%80%8b',
  '١',
]

export function buildJobIdAttacks(version: number): Attack[] {
  const at = (id: string): string => `/slurm/v0.0.${version}/job/${id}`
  const both = (id: string): Attack[] => [
    attack('DELETE', at(id)),
    attack('POST', at(id), { body: '{"comment":"theirs"}' }),
  ]
  const foreign = CLOSED_KINDS.flatMap((kind) => both(`{{${kind}}}`))
  const forms = ID_FORM_NAMES.flatMap((form) => both(`{{foreign.plain|${form}}}`))
  const arrayForms = [
    'task',
    'task2',
    'taskzero',
    'tasks',
    'tasksall',
    'part',
    'part1',
    'part1escaped',
  ].flatMap((form) =>
    [
      'foreign.array',
      'mixed.array',
      'mixed.foreignArray',
      'mixed.het',
      'mixed.foreignHet',
      'foreign.het',
      'own.array',
      'own.het',
    ].flatMap((kind) => both(`{{${kind}|${form}}}`)),
  )
  const signals = CLOSED_KINDS.flatMap((kind) => [
    attack('DELETE', `${at(`{{${kind}}}`)}?signal=KILL`),
    attack('DELETE', `${at(`{{${kind}}}`)}?signal=USR1&flags=BATCH_JOB`),
  ])
  const requeues = CLOSED_KINDS.flatMap((kind) => [
    attack('GET', `${at(`{{${kind}}}`)}/requeue`),
    attack('GET', `${at(`{{${kind}}}`)}/requeue?Hold=true`),
  ])
  return [...foreign, ...forms, ...arrayForms, ...signals, ...requeues, ...LITERALS.flatMap(both)]
}
