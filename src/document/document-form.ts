/**
 * Where in a route's document slurmrestd reads text. 24.11 and 26.05 make a printf format of whatever else they find
 * (measured), so a percent sign is honest there and nowhere else.
 */

/** What a route's document is made of. */
export interface DocumentForm {
  readonly isAccounting: boolean
  /** Members that hold structures, whose own members slurmrestd reads one by one; an object elsewhere is a wrong value. */
  readonly structures: ReadonlySet<string>
  /** Members with honest percent signs: scripts, output patterns such as `slurm-%j.out`, `array` with its limit. */
  readonly textKeys: ReadonlySet<string>
  readonly textListKeys: ReadonlySet<string>
  /** Members that slurmrestd or slurmctld expands host lists in. */
  readonly hostKeys: ReadonlySet<string>
}

const HOST_KEYS: readonly string[] = [
  ...['required_nodes', 'excluded_nodes', 'node_list', 'nodes', 'hostlist', 'hostnames', 'hostname'],
  ...['address', 'alternate', 'allocation_node_list', 'node_conf', 'configured', 'node_sets'],
]
/** A job's name is text; elsewhere `name` may be a node's. */
const JOB_HOST_KEYS: ReadonlySet<string> = new Set(HOST_KEYS)
const NAMED_HOST_KEYS: ReadonlySet<string> = new Set([...HOST_KEYS, 'name'])

export function findForm(template: string): DocumentForm {
  if (template.startsWith('/slurm/job/')) return JOB_FORM
  return template.startsWith('/slurmdb/') ? ACCOUNTING_FORM : OTHER_FORM
}

const JOB_FORM: DocumentForm = {
  isAccounting: false,
  structures: new Set(['job', 'jobs', 'hetjob']),
  textKeys: new Set([
    ...[
      'script',
      'array',
      'name',
      'comment',
      'admin_comment',
      'extra',
      'container',
      'burst_buffer',
      'network',
    ],
    ...['current_working_directory', 'standard_error', 'standard_input', 'standard_output', 'mail_user'],
    ...['licenses', 'dependency'],
  ]),
  textListKeys: new Set(['environment', 'argv', 'spank_environment']),
  hostKeys: JOB_HOST_KEYS,
}
const ACCOUNTING_FORM: DocumentForm = {
  isAccounting: true,
  structures: new Set([
    ...[
      'accounts',
      'associations',
      'clusters',
      'comment',
      'instances',
      'jobs',
      'qos',
      'tres',
      'users',
      'wckeys',
    ],
  ]),
  textKeys: new Set(['comment', 'description', 'extra', 'administrator', 'job', 'system']),
  textListKeys: new Set(),
  hostKeys: NAMED_HOST_KEYS,
}
/** A node's `name` is a list, and ends slurmrestd as any does. */
const OTHER_FORM: DocumentForm = {
  isAccounting: false,
  structures: new Set(['partitions', 'reservations']),
  textKeys: new Set(['comment', 'extra', 'reason']),
  textListKeys: new Set(),
  hostKeys: NAMED_HOST_KEYS,
}
