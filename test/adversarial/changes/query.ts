/** A parameter more, joined to the others in a way that some parser takes for a separator. */

import fc from 'fast-check'
import { hostileText } from '../hostile-values.ts'
import { encodeLoosely, type Change } from './change.ts'

const name = fc.constantFrom(
  ...[
    'flags',
    'signal',
    'update_time',
    'account',
    'job_id',
    'jobs',
    'user_name',
    'Hold',
    'Incomplete',
    'users',
    'accounts',
  ],
  ...[
    'state',
    'with_deleted',
    'start_time',
    'end_time',
    'format',
    'cluster',
    'partition',
    'step',
    'node',
    'qos',
    'id',
  ],
  ...[
    'submit_time',
    'cpus_min',
    'nodes_max',
    'exit_code',
    'skip_steps',
    'reason',
    'group',
    'groups',
    'usage_start',
    '',
  ],
)

export const queryChanges: fc.Arbitrary<Change> = fc
  .tuple(
    name,
    fc.oneof(
      hostileText,
      fc.constantFrom('USR1', 'KILL', '9', '10', 'BATCH_JOB', 'DETAIL', '1700000000', 'alice', 'true'),
    ),
    fc.constantFrom('&', ';', '%26', '&&'),
  )
  .map(([key, value, separator]): Change => (draft) => {
    const part = `${key}=${encodeLoosely(value).replace(/[#?]/g, '')}`
    return { ...draft, query: draft.query === undefined ? part : `${draft.query}${separator}${part}` }
  })
