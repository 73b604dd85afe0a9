/**
 * Which values a query parameter may have: what all three daemons read as what it says. Every other value is refused
 * before it goes upstream, because some kill slurmrestd or slurmdbd and some are read as another filter, or as none.
 * Source: every listed parameter at the oldest and newest version of slurmrestd 22.05.8, 24.11.5 and 26.05.5, measured.
 */

import { countHosts } from '../document/host-list.ts'
import { NODES_MAX } from '../limits.ts'

export interface QueryRule {
  isGood(value: string): boolean
  /** Follows "NAME must be". */
  readonly words: string
  /** What a name without `=` means: to slurmrestd `?with_assocs` is true and `?with_assocs=` is false (measured). */
  readonly whenBare?: string
}

/** The rule for a name in the query list of any route; a name in none of them gets the one that refuses everything. */
export function findQueryRule(name: string, template: string, version: number): QueryRule {
  if (template === '/slurmdb/wckeys' && version <= 42 && DEADLY_WCKEYS.has(name)) return LEFT_OUT
  if (template.startsWith('/slurmdb/association') && isDropped(name, version)) return LEFT_OUT
  if (template === '/slurm/shares' && name === 'users') return NAME_LIST
  if (name === 'flags') return template.startsWith('/slurmdb/') ? CLUSTER_FLAG : FLAG
  if (name === 'update_time' && version <= 38) return UNIX_TIME
  if (TIMES.has(name)) return version <= 41 ? CALENDAR_TIME : TIME
  if (name === 'state') return version <= 38 ? STATE_LIST : STATE
  if (name === 'step') return version <= 38 ? STEP_LIST : STEP
  if (name === 'groups' || name === 'group') return findGroupRule(version)
  if (/^(Exclude|Filter|Include) /.test(name)) return BOOLEAN
  return RULES.get(name) ?? LEFT_OUT
}

/** 24.11 dies in v0.0.42 on any name, even of a real group, and any list. 26.05 takes one, 22.05 lists of numbers. */
function findGroupRule(version: number): QueryRule {
  if (version <= 38) return NUMBER_LIST
  return version <= 42 ? NUMBER : NAME
}

/** 24.11 dies of `only_defaults=true` and of any `usage_start`, whoever asks. v0.0.42 is also 26.05's. */
const DEADLY_WCKEYS: ReadonlySet<string> = new Set(['only_defaults', 'usage_start'])

/** v0.0.42 renamed these ("Ignoring unknown field"): a DELETE would remove more than its caller asked for. */
function isDropped(name: string, version: number): boolean {
  if (/^(only|with|without)_/.test(name)) return version >= 42
  return /^[A-Z]/.test(name) && version <= 41
}

function match(pattern: RegExp, words: string): QueryRule {
  return { isGood: (value) => pattern.test(value), words }
}

/** An empty element is dropped, and a list of nothing else means no filter at all: `account=,` shows every account. */
function listOf(rule: QueryRule, words: string): QueryRule {
  return { isGood: (value) => value.split(',').every((part) => rule.isGood(part)), words }
}

function oneOf(names: readonly string[], words: string): QueryRule {
  const known = new Set(names.map((name) => name.toLowerCase()))
  return { isGood: (value) => known.has(value.toLowerCase()), words }
}

const LEFT_OUT: QueryRule = { isGood: () => false, words: 'left out for this version of slurmrestd' }

/** 24.11 and 26.05 (v0.0.42 on) print others as a format: `users?with_assocs=%n` kills slurmrestd, `%p` shows memory. */
const BOOLEAN: QueryRule = {
  ...match(/^(true|false|yes|no|on|off|1|0)$/i, 'true or false'),
  whenBare: 'true',
}

/** `associations?qos=2147483648` kills slurmdbd (24.11, 26.05). `%n` in `exit_code` and `cpus_min` kills slurmrestd. */
const NUMBER: QueryRule = {
  isGood: (value) => /^(0|[1-9]\d{0,9})$/.test(value) && Number(value) < 2 ** 31,
  words: 'a decimal number below 2147483648',
}
const NUMBER_LIST = listOf(NUMBER, 'decimal numbers below 2147483648, separated by commas')

/** Quotes, backslashes and emoji in `cluster` reach slurmdbd's SQL (24.11, 26.05: error 7104). 22.05 expands brackets. */
const NAME = match(/^[A-Za-z0-9_][\w.:@+-]{0,254}$/, 'a name')
const NAME_LIST = listOf(NAME, 'names, separated by commas')

/** 22.05 expands `a[1-65000]` in any list and hangs; `%` matches everything in `constraints`. */
const TEXT_LIST = listOf(
  match(/^[^\u0000-\u001f\u007f"'`\\%[\]]{1,1024}$/, 'text'),
  'text without quotes, brackets, backslashes and percent signs',
)

const UNIX_TIME = match(/^\d{1,10}$/, 'a Unix time in seconds, decimal')

/** To 41 a bare number is not seconds: ten digits are an error, `1231` is a day of December. `uts` works everywhere. */
const CALENDAR_TIME: QueryRule = {
  isGood: (value) => TIME_FORMS.some((form) => form.test(value)),
  words: 'a time such as 2024-01-31T12:00:00, now-1day or uts1700000000',
}
const TIME_FORMS: readonly RegExp[] = [
  /^uts\d{1,10}$/,
  /^now([+-]\d{1,6}((second|minute|hour|day|week)s?)?)?$/,
  /^(today|midnight|noon|fika|teatime|tomorrow)$/,
  /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?$/,
  /^\d{2}:\d{2}(:\d{2})?( ?[AP]M)?$/,
  /^\d{2}\/\d{2}(\/\d{2})?(-\d{2}:\d{2}(:\d{2})?)?$/,
]
const TIME: QueryRule = {
  isGood: (value) => UNIX_TIME.isGood(value) || CALENDAR_TIME.isGood(value),
  words: 'a Unix time in seconds or a time such as 2024-01-31T12:00:00 or now-1day',
}
const TIMES: ReadonlySet<string> = new Set([
  ...['update_time', 'start_time', 'end_time', 'submit_time'],
  ...['usage_start', 'usage_end', 'time_start', 'time_end'],
])

/** `A,B` is read as a single unknown flag: 40 refuses it, from 41 on an error comes with an answer as if without. */
const FLAG = oneOf(
  [
    ...['ALL', 'DETAIL', 'MIXED', 'LOCAL', 'SIBLING', 'FEDERATION', 'FUTURE'],
    ...['BATCH_JOB', 'ARRAY_TASK', 'FULL_STEPS_ONLY', 'FULL_JOB', 'FEDERATION_REQUEUE', 'HURRY', 'OUT_OF_MEMORY'],
    ...['NO_SIBLING_JOBS', 'RESERVATION_JOB', 'NO_CRON_JOBS', 'VERBOSE', 'CRON_JOBS', 'WARNING_SENT'],
  ],
  'one flag of those that slurmrestd documents',
) // prettier-ignore
const CLUSTER_FLAG = oneOf(
  ['DELETED', 'REGISTERING', 'MULTIPLE_SLURMD', 'FRONT_END', 'FEDERATION', 'EXTERNAL'],
  'one flag of those that slurmrestd documents',
)

/** 26.05 and 24.11 (v0.0.42) kill the job on 0, on nothing and on every name they do not know: `WINCH`, `USR1,KILL`. */
export const SIGNAL = match(
  /^([1-9]|[1-5]\d|6[0-4]|(SIG)?(HUP|INT|QUIT|ABRT|KILL|ALRM|TERM|USR[12]|URG|CONT|STOP|TSTP|TTIN|TTOU|XCPU|CHLD|PIPE))$/i,
  "a signal's name or number",
)

const STATES: readonly string[] = [
  ...['PENDING', 'RUNNING', 'SUSPENDED', 'COMPLETED', 'CANCELLED', 'FAILED', 'TIMEOUT', 'NODE_FAIL', 'PREEMPTED'],
  ...['BOOT_FAIL', 'DEADLINE', 'OUT_OF_MEMORY', 'LAUNCH_FAILED', 'REQUEUED', 'REQUEUE_HOLD', 'SPECIAL_EXIT'],
  ...['RESIZING', 'CONFIGURING', 'COMPLETING', 'STOPPED', 'RECONFIG_FAIL', 'POWER_UP_NODE', 'REVOKED', 'REQUEUE_FED'],
  ...['RESV_DEL_HOLD', 'SIGNALING', 'STAGE_OUT'],
] // prettier-ignore
const STATE_CODES = 'BF CA CD CF CG DL F NF OOM PD PR R RD RF RH RQ RS RV S SE SI SO ST TO'.split(' ')

/** From 40 an unknown state, a code or a list is an error; from 41 its body still lists jobs, unfiltered. */
const STATE = oneOf(STATES, 'the full name of one job state')
const STATE_LIST = listOf(
  oneOf([...STATES, ...STATE_CODES], 'a job state'),
  'job states, separated by commas',
)

/** jobs/state reads `2_1` as all of array 2, and `1+1` as job 2. It takes no list, however documented. */
const JOB_ID: QueryRule = {
  isGood: (value) => /^[1-9]\d{0,9}$/.test(value) && Number(value) <= 4_294_967_292,
  words: 'one job id, decimal',
}

/** 22.05 and 24.11 die on `1..2` and `1.abc`, 22.05 also on `abc`, `2_`, `2_[0-3]`; it reads `0` as every job. */
const STEP: QueryRule = {
  isGood: (value) => {
    const parts = /^([1-9]\d{0,9})(?:_\d{1,9})?(?:\.(?:\d{1,5}|batch|extern|interactive))?$/.exec(value)
    return parts?.[1] !== undefined && JOB_ID.isGood(parts[1])
  },
  words: 'one job or step id such as 1234, 1234_5 or 1234.batch',
}
const STEP_LIST = listOf(STEP, 'job or step ids such as 1234 or 1234.batch, separated by commas')

const NODE_LIST: QueryRule = {
  isGood: (value) => NODE_LIST_FORM.test(value) && !isReversed(value) && countHosts(value) <= NODES_MAX,
  words: `nodes such as n1,n[2-9], at most ${NODES_MAX}`,
}

/** Open and empty brackets, and ranges that are reversed, reach slurmdbd as broken queries. */
const NODE_LIST_FORM =
  /^[A-Za-z0-9_](?:[\w.-]|\[\d{1,6}(?:-\d{1,6})?(?:,\d{1,6}(?:-\d{1,6})?)*\])*(?:,[A-Za-z0-9_](?:[\w.-]|\[\d{1,6}(?:-\d{1,6})?(?:,\d{1,6}(?:-\d{1,6})?)*\])*)*$/

/** Inside of brackets; `n1-2` is a name. */
function isReversed(value: string): boolean {
  const ranges = value.matchAll(/(?<=[[,])(\d{1,6})-(\d{1,6})(?=[\],])/g)
  return [...ranges].some(([, first, last]) => Number(first) > Number(last))
}

const NAMES_BY_RULE: readonly (readonly [QueryRule, string])[] = [
  [BOOLEAN, 'DELETED NoUsersAreCoords UsersAreCoords WithAssociations WithCoordinators Hold Incomplete SpecialExit'],
  [BOOLEAN, 'disable_truncate_usage_time disable_wait_for_result disable_whole_hetjob job_altered job_started'],
  [BOOLEAN, 'scheduled_by_backfill scheduled_by_main scheduled_on_submit scheduler_unset show_batch_script'],
  [BOOLEAN, 'show_duplicates show_job_environment skip_steps usage_time_as_submit_time whole_hetjob only_defaults'],
  [BOOLEAN, 'with_assocs with_coords with_deleted with_raw_qos with_sub_accts with_usage with_wckeys'],
  [BOOLEAN, 'without_defaults without_parent_info without_parent_limits'],
  [NUMBER, 'cpus_max cpus_min nodes_max nodes_min timelimit_max timelimit_min exit_code'],
  [NUMBER_LIST, 'association default_qos id qos reservation_id rpc_version'],
  [NAME, 'users'],
  [NAME_LIST, 'account accounts cluster default_account default_wckey federation format instance_id instance_type'],
  [NAME_LIST, 'name parent_account partition reason reservation user wckey'],
  [TEXT_LIST, 'constraints description extra job_name'],
  [SIGNAL, 'signal'], [JOB_ID, 'job_id'], [NODE_LIST, 'node node_list'],
  [oneOf(['Not Set', 'None', 'Operator', 'Administrator'], 'an administrator level'), 'admin_level'],
  [oneOf(['DISABLED', 'SUSPEND', 'REQUEUE', 'CANCEL', 'GANG'], 'a preempt mode'), 'preempt_mode'],
  [oneOf(['UNCLASSIFIED', 'CAPABILITY', 'CAPACITY', 'CAPAPACITY'], 'a kind of cluster'), 'classification'],
] // prettier-ignore
const RULES: ReadonlyMap<string, QueryRule> = new Map(
  NAMES_BY_RULE.flatMap(([rule, names]) => names.split(' ').map((name) => [name, rule] as const)),
)
