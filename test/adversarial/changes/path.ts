/** Other jobs, other spellings of the same one, and segments that some parser would drop, decode or resolve. */

import fc from 'fast-check'
import { ID_FORM_NAMES, JOB_KINDS } from '../hostile-request.ts'
import { hostileText } from '../hostile-values.ts'
import { encodeLoosely, type Change } from './change.ts'

const kind = fc.constantFrom(...JOB_KINDS)
const form = fc.constantFrom(...ID_FORM_NAMES)

export const pathChanges: fc.Arbitrary<Change> = fc.oneof(
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
