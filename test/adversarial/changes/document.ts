/** Fields of the parsed document, set to what they honestly hold at its edges, or to what they never should. */

import fc from 'fast-check'
import { JOB_KINDS } from '../hostile-request.ts'
import { hostileValue } from '../hostile-values.ts'
import { FIELDS, valueOfKind } from '../job-fields-by-kind.ts'
import { changeDocument, type Change } from './change.ts'

const kind = fc.constantFrom(...JOB_KINDS)
const place = fc.oneof({ arbitrary: fc.nat(2), weight: 6 }, { arbitrary: fc.constant(3), weight: 1 })
const anyField = fc.constantFrom(...FIELDS)
const listField = fc.constantFrom(
  'jobs',
  'account',
  'signal',
  'flags',
  'user_name',
  'job_state',
  'partition',
  'job_name',
  'nodes',
  'qos',
  'user_id',
  'wckey',
)

export const documentChanges: fc.Arbitrary<Change> = fc.oneof(
  // What the field honestly holds, at its edges: most of these pass a gate and reach the daemons.
  {
    arbitrary: anyField.chain(([field, kindOfField]) =>
      fc.tuple(place, valueOfKind[kindOfField]).map(
        ([index, value]): Change =>
          (draft) =>
            changeDocument(draft, (document) => setField(document, index, field, value)),
      ),
    ),
    weight: 8,
  },
  {
    arbitrary: fc.tuple(place, anyField, hostileValue).map(
      ([index, [field], value]): Change =>
        (draft) =>
          changeDocument(draft, (document) => setField(document, index, field, value)),
    ),
    weight: 3,
  },
  {
    arbitrary: fc
      .tuple(
        place,
        fc.constantFrom(
          'account',
          'Account',
          'dependency',
          'job_id',
          'user_id',
          'het_job_id',
          'hetjob_group',
          '__proto__',
          '',
        ),
        hostileValue,
      )
      .map(
        ([index, field, value]): Change =>
          (draft) =>
            changeDocument(draft, (document) => setField(document, index, field, value)),
      ),
    weight: 2,
  },
  {
    arbitrary: fc
      .tuple(
        listField,
        fc.oneof(
          hostileValue,
          fc.array(
            kind.map((one) => `{{${one}}}`),
            { maxLength: 3 },
          ),
        ),
      )
      .map(
        ([field, value]): Change =>
          (draft) =>
            draft.path.includes('/jobs')
              ? changeDocument(draft, (document) => setField(document, 3, field, value))
              : draft,
      ),
    weight: 2,
  },
  {
    arbitrary: fc.tuple(fc.constantFrom('job', 'jobs', 'hetjob', 'script', 'account'), hostileValue).map(
      ([field, value]): Change =>
        (draft) =>
          changeDocument(draft, (document) => setField(document, 3, field, value)),
    ),
    weight: 1,
  },
  {
    arbitrary: fc.nat(6).map(
      (index): Change =>
        (draft) =>
          changeDocument(draft, (document) =>
            isObject(document)
              ? Object.fromEntries(Object.entries(document).filter((_, at) => at !== index))
              : document,
          ),
    ),
    weight: 1,
  },
  {
    arbitrary: hostileValue.map(
      (value): Change =>
        (draft) =>
          changeDocument(draft, () => value),
    ),
    weight: 1,
  },
)

type PlainObject = Readonly<Record<string, unknown>>

function isObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Sets a field at one of the places where a job description may stand. */
function setField(document: unknown, place: number, field: string, value: unknown): unknown {
  if (!isObject(document)) return document
  const { job, jobs } = document
  const set = (target: unknown): unknown =>
    isObject(target)
      ? Object.defineProperty({ ...target }, field, {
          value,
          enumerable: true,
          configurable: true,
          writable: true,
        })
      : target
  if (place === 3) return set(document)
  if (Array.isArray(jobs) && jobs.length > 0) {
    const at = place % jobs.length
    return { ...document, jobs: (jobs as unknown[]).map((item, index) => (index === at ? set(item) : item)) }
  }
  return job === undefined ? set(document) : { ...document, job: set(job) }
}
