/** Jobs of several records, of which one is in another account: no write to any of their names goes through. */

import { attack, type Attack } from './attack.ts'

const MIXED = ['mixed.het', 'mixed.foreignHet', 'mixed.array', 'mixed.foreignArray'] as const
const PARTS = [
  'mixed.het',
  'mixed.foreignHet',
  'mixed.foreignHetPart',
  'mixed.hetPart',
  'mixed.array',
  'mixed.arrayTask',
  'mixed.foreignArray',
] as const

export function buildHetAndArrayAttacks(version: number): Attack[] {
  const at = (id: string): string => `/slurm/v0.0.${version}/job/${id}`
  const whole = PARTS.flatMap((kind) => {
    const id = `{{${kind}}}`
    return [
      attack('DELETE', at(id)),
      attack('DELETE', `${at(id)}?signal=TERM`),
      attack('DELETE', `${at(id)}?flags=FULL_JOB`),
      attack('DELETE', `${at(id)}?flags=ARRAY_TASK`),
      attack('POST', at(id), { body: '{"comment":"theirs"}' }),
      attack('POST', at(id), { body: '{"account":"ownerlab"}' }),
      attack('POST', at(id), { body: '{"hold":false}' }),
      attack('GET', `${at(id)}/requeue`),
    ]
  })
  const named = MIXED.flatMap((kind) =>
    ['task', 'task2', 'tasks', 'tasksall', 'part', 'part1', 'part1escaped', 'batch', 'real'].flatMap(
      (form) => {
        const id = `{{${kind}|${form}}}`
        return [
          attack('DELETE', at(id)),
          attack('POST', at(id), { body: '{"comment":"theirs"}' }),
          attack('GET', `${at(id)}/requeue`),
        ]
      },
    ),
  )
  return [...whole, ...named]
}
