/** The changes that make a request hostile: each a function from one draft to another, chosen by the seed. */

import fc from 'fast-check'
import { render } from './attacks/job-documents.ts'
import { ENCODINGS, ID_FORM_NAMES, JOB_KINDS } from './hostile-request.ts'
import type { Draft } from './hostile-requests.ts'
import { FIELDS, hostileText, hostileValue, valueOfKind } from './hostile-values.ts'

type Change = (draft: Draft) => Draft

const kind = fc.constantFrom(...JOB_KINDS)
const form = fc.constantFrom(...ID_FORM_NAMES)
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

/** In the path. */
const pathChanges: fc.Arbitrary<Change> = fc.oneof(
  kind.map((other): Change => (draft) => ({
    ...draft,
    path: draft.path.replace(/\{\{[^}]*\}\}/, `{{${other}}}`),
  })),
  form.map((spelling): Change => (draft) => ({
    ...draft,
    path: draft.path.replace(/\{\{([a-zA-Z.]+)[^}]*\}\}/, `{{$1|${spelling}}}`),
  })),
  hostileText.map((text): Change => (draft) => ({
    ...draft,
    path: draft.path.replace(/\{\{[^}]*\}\}|main$/, encodeLoosely(text)),
  })),
  fc
    .tuple(fc.nat(5), fc.constantFrom('', '.', '..', '%2e', '%2e%2e', '%2f', '%5c', '%00', ';', 'x', ' '))
    .map(([index, segment]): Change => (draft) => ({
      ...draft,
      path: insertSegment(draft.path, index, segment),
    })),
  fc.nat(5).map((index): Change => (draft) => ({
    ...draft,
    path: draft.path
      .split('/')
      .filter((_, at) => at !== index + 1)
      .join('/'),
  })),
  fc.nat(30).map((index): Change => (draft) => ({ ...draft, path: escapeOne(draft.path, index) })),
  fc
    .constantFrom(
      '/',
      '//',
      '/.',
      '/..',
      '/..//',
      '/requeue',
      '/%2e%2e/{{foreign.plain}}',
      '/../{{foreign.plain}}',
      '?',
      '#',
      '%20',
    )
    .map((end): Change => (draft) => ({ ...draft, path: `${draft.path}${end}` })),
  fc
    .constantFrom('/', '//', '/ping/..', '/./', 'http://x', '/slurm', '/slurmdb/../')
    .map((start): Change => (draft) => ({ ...draft, path: `${start}${draft.path}` })),
  fc
    .constantFrom(
      'latest',
      'v0.0.35',
      'v0.0.36',
      'v0.0.39',
      'v0.0.40',
      'v0.0.45',
      'v0.0.46',
      'v0.1.40',
      'V0.0.40',
      'v0.0.040',
      'v0.0.4%30',
    )
    .map((version): Change => (draft) => ({ ...draft, path: draft.path.replace(/v0\.0\.\d+/, version) })),
  fc
    .constantFrom<readonly [string, string]>(
      ['/slurm/', '/slurmdb/'],
      ['/slurmdb/', '/slurm/'],
      ['job', 'Job'],
      ['jobs/', 'jobs/state'],
      ['job/', 'jobs/'],
    )
    .map(([from, to]): Change => (draft) => ({ ...draft, path: draft.path.replace(from, to) })),
)

function insertSegment(path: string, index: number, segment: string): string {
  const segments = path.split('/')
  segments.splice(index + 1, 0, segment)
  return segments.join('/')
}

function escapeOne(path: string, index: number): string {
  const character = path[index]
  if (character === undefined || /[{}|]/.test(character) || index > path.indexOf('{{')) return path
  return `${path.slice(0, index)}%${character.charCodeAt(0).toString(16)}${path.slice(index + 1)}`
}

/** Spaces and control characters would end the request line; the rest stays as it is. */
function encodeLoosely(text: string): string {
  return text.replace(/[^!-~]/g, (character) =>
    /[\ud800-\udfff]/.test(character) ? '%3F' : encodeURIComponent(character),
  )
}

const methodChanges: fc.Arbitrary<Change> = fc
  .constantFrom('GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS', 'delete')
  .map((method): Change => (draft) => ({ ...draft, method }))

const queryChanges: fc.Arbitrary<Change> = fc
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

const headerChanges: fc.Arbitrary<Change> = fc.oneof(
  fc
    .constantFrom<readonly [string, string]>(
      ['X-SLURM-USER-NAME', 'bob'],
      ['X-SLURM-USER-NAME', 'root'],
      ['X-SLURM-USER-NAME', 'alice'],
      ['X-SLURM-USER-TOKEN', 'x'],
      ['X-SLURM-USER-TOKEN', '{{secret}}'],
      ['X-HTTP-Method-Override', 'DELETE'],
      ['X-Original-URL', '/slurm/latest/job/{{foreign.plain}}'],
      ['X-Forwarded-For', '127.0.0.1'],
      ['Connection', 'close'],
      ['Connection', 'Authorization'],
      ['Keep-Alive', 'timeout=5'],
      ['Accept', 'application/yaml'],
      ['Accept', 'text/html'],
      ['Accept-Encoding', 'gzip'],
      ['Content-Encoding', 'gzip'],
      ['Content-Encoding', 'identity'],
      ['Content-Type', 'application/json'],
      ['Content-Type', 'application/x-yaml'],
      ['Content-Type', 'application/x-www-form-urlencoded'],
      ['If-Modified-Since', 'x'],
      ['Cookie', 'a=b'],
    )
    .map((header): Change => (draft) => ({ ...draft, headers: [...draft.headers, header] })),
  fc
    .constantFrom(
      '',
      'text/plain',
      'application/yaml',
      'application/x-yaml',
      'application/json; charset=utf-8',
      'application/json;charset=utf-16',
      'APPLICATION/JSON',
      'multipart/form-data',
    )
    .map((type): Change => (draft) => ({
      ...draft,
      headers: draft.headers.map(([key, value]) => [key, key === 'Content-Type' ? type : value] as const),
    })),
  fc.constant<Change>((draft) => ({ ...draft, headers: [] })),
  fc.constant<Change>((draft) => ({ ...draft, isChunked: true })),
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

const documentChanges: fc.Arbitrary<Change> = fc.oneof(
  // What the field honestly holds, at its edges: most of these pass a gate and reach the daemons.
  {
    arbitrary: anyField.chain(([field, kindOfField]) =>
      fc.tuple(place, valueOfKind[kindOfField]).map(
        ([index, value]): Change =>
          (draft) =>
            change(draft, (document) => setField(document, index, field, value)),
      ),
    ),
    weight: 8,
  },
  {
    arbitrary: fc.tuple(place, anyField, hostileValue).map(
      ([index, [field], value]): Change =>
        (draft) =>
          change(draft, (document) => setField(document, index, field, value)),
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
            change(draft, (document) => setField(document, index, field, value)),
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
              ? change(draft, (document) => setField(document, 3, field, value))
              : draft,
      ),
    weight: 2,
  },
  {
    arbitrary: fc.tuple(fc.constantFrom('job', 'jobs', 'hetjob', 'script', 'account'), hostileValue).map(
      ([field, value]): Change =>
        (draft) =>
          change(draft, (document) => setField(document, 3, field, value)),
    ),
    weight: 1,
  },
  {
    arbitrary: fc.nat(6).map(
      (index): Change =>
        (draft) =>
          change(draft, (document) =>
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
          change(draft, () => value),
    ),
    weight: 1,
  },
)

function change(draft: Draft, edit: (document: unknown) => unknown): Draft {
  return draft.document === undefined || draft.text !== undefined
    ? draft
    : { ...draft, document: edit(draft.document) }
}

/** Pairs of a text and what takes its place, once. */
const REPLACEMENTS: readonly (readonly [string | RegExp, string])[] = [
  ['"account":', '"account":"otherlab","account":'],
  ['"account":', '"acc\\u006funt":'],
  ['"account":', '"Account":'],
  ['"account":"ownerlab"', '"account":"ownerlab","account":"otherlab"'],
  ['"account":"ownerlab"', '"account":"ownerlab","acc\\u006funt":"otherlab"'],
  ['"name":', '"account":"otherlab","name":'],
  ['"name":', '"ACCOUNT":"otherlab","name":'],
  ['{', '{"account":"otherlab",'],
  ['{', '{/**/'],
  ['{', '{//\n'],
  ['{', ' {'],
  [/\}$/, ',}'],
  [/\}$/, ',"job":{"account":"otherlab"}}'],
  [/\}$/, ',"jobs":["{{foreign.plain}}"]}'],
  [/$/, '{}'],
  [/$/, ' x'],
  [/$/, '\0'],
  [/$/, '\n\n'],
  [/\}$/, ''],
  [/"([a-z_]+)":/, "'$1':"],
  [/"([a-z_]+)":/, '$1:'],
  [/:"([^"]*)"/, ":'$1'"],
  [/:"([^"]*)"/, ':"$1\\u0000"'],
  [/:"([^"]*)"/, ':"$1\\ud800"'],
  [/:"([^"]*)"/, ':NaN'],
  [/:"([^"]*)"/, ':-Infinity'],
  [/:"([^"]*)"/, ':"$1'],
  [/"jobs":\[/, '"jobs":["{{foreign.plain}}",'],
  [/\{\{own\.[a-z]+\}\}/, '{{foreign.plain}}'],
  [/\{\{(own\.[a-z]+)\}\}/, '{{$1|zero}}'],
  [/,/, ',,'],
]

const textChanges: fc.Arbitrary<Change> = fc.oneof(
  {
    arbitrary: fc.constantFrom(...REPLACEMENTS).map(
      ([from, to]): Change =>
        (draft) =>
          rewrite(draft, (text) => text.replace(from, to)),
    ),
    weight: 4,
  },
  {
    arbitrary: fc.constantFrom(...ENCODINGS).map((encoding): Change => (draft) => ({ ...draft, encoding })),
    weight: 1,
  },
  {
    arbitrary: fc
      .tuple(fc.nat(400), fc.constantFrom('"', '{', '}', '[', ',', ':', '\\', '0', '\0', '\u00ff', ''))
      .map(
        ([index, character]): Change =>
          (draft) =>
            rewrite(draft, (text) => `${text.slice(0, index)}${character}${text.slice(index + 1)}`),
      ),
    weight: 2,
  },
  {
    arbitrary: fc
      .constantFrom(
        '',
        '{}',
        '[]',
        'null',
        'account=otherlab',
        'job: {account: otherlab}',
        '{"job_id":"{{foreign.plain}}"}',
      )
      .map((text): Change => (draft) => ({ ...draft, text })),
    weight: 1,
  },
)

function rewrite(draft: Draft, edit: (text: string) => string): Draft {
  if (draft.text === undefined && draft.document === undefined) return draft
  return { ...draft, text: edit(draft.text ?? render(draft.document)) }
}

export const hostileChanges: fc.Arbitrary<Change> = fc.oneof(
  { arbitrary: pathChanges, weight: 3 },
  { arbitrary: documentChanges, weight: 9 },
  { arbitrary: textChanges, weight: 3 },
  { arbitrary: queryChanges, weight: 2 },
  { arbitrary: headerChanges, weight: 2 },
  { arbitrary: methodChanges, weight: 1 },
)
