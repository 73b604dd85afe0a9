/**
 * The fields of a job description that API tokens may set, by API version, and those that are closed to them, with the
 * reason. A field that stands in neither list is unknown, and refused. Source: the bodies of `POST job/submit` and
 * `POST job/{job_id}` in the OpenAPI documents of Slurm 22.05 (v0.0.36 to 38), 24.11 (40 to 42) and 26.05 (42 to 45),
 * which name the same fields for both; test/gateway/slurm-job-fields.tsv holds this file against them.
 *
 * v0.0.39 (Slurm 23.02) is in none of the three: it is taken to have the fields of v0.0.40. A client that was generated
 * from 23.02's own document (kayvontabrizi/slurm-client) has them all, save `cores_per_socket` and `rlimits`.
 */

/** First and last API version, v0.0.NN. */
export type VersionRange = readonly [since: number, until: number]

/** Whether a job description of this version has the field, and API tokens may set it. Names compare exactly. */
export function isJobField(name: string, version: number): boolean {
  return (RANGES.get(name) ?? []).some(([since, until]) => since <= version && version <= until)
}

/** The versions in which API tokens may set the field, ascending; empty: in none. */
export function findJobFieldVersions(name: string): readonly VersionRange[] {
  return RANGES.get(name) ?? []
}

const GROUPS: readonly { readonly versions: readonly VersionRange[]; readonly fields: string }[] = [
  {
    versions: [[36, 45]],
    fields: `account argv array batch_features begin_time burst_buffer comment constraints core_specification
      cpu_binding cpu_frequency cpus_per_task current_working_directory deadline delay_boot dependency distribution
      environment hold licenses mail_type mail_user mcs_label memory_binding memory_per_cpu memory_per_node
      minimum_cpus_per_node minimum_nodes name nice nodes open_mode partition priority qos requeue reservation
      sockets_per_node standard_error tasks tasks_per_core tasks_per_node tasks_per_socket thread_specification
      threads_per_core time_limit time_minimum wait_all_nodes wckey`,
  },
  // 22.05 spells the first of them so.
  { versions: [[36, 36]], fields: 'account_gather_freqency standard_in standard_out' },
  { versions: [[37, 45]], fields: 'account_gather_frequency standard_input standard_output' },
  { versions: [[38, 45]], fields: 'container prefer' },
  {
    versions: [[36, 38]],
    fields: `cpu_binding_hint cpus_per_gpu get_user_environment gpu_binding gpu_frequency gpus gpus_per_node
      gpus_per_socket gpus_per_task gres gres_flags kill_on_invalid_dependency memory_per_gpu no_kill signal spread_job`,
  },
  {
    versions: [[39, 45]],
    fields: `container_id contiguous cpu_binding_flags cpus_per_tres distribution_plane_size end_time excluded_nodes
      extra flags immediate kill_on_node_fail kill_warning_delay kill_warning_flags kill_warning_signal maximum_cpus
      maximum_nodes memory_binding_type memory_per_tres minimum_boards_per_node minimum_cpus minimum_sockets_per_board
      network ntasks_per_tres overcommit profile required_nodes required_switches rlimits script shared tasks_per_board
      temporary_disk_per_node tres_bind tres_freq tres_per_job tres_per_node tres_per_socket tres_per_task
      wait_for_switch`,
  },
  { versions: [[36, 41]], fields: 'exclusive' },
  { versions: [[38, 41]], fields: 'oversubscribe' },
  { versions: [[36, 40], [45, 45]], fields: 'cores_per_socket' }, // prettier-ignore
  { versions: [[39, 44]], fields: 'power_flags' },
  { versions: [[41, 45]], fields: 'segment_size' },
  { versions: [[42, 45]], fields: 'oom_kill_step' },
  { versions: [[45, 45]], fields: 'container_type memory_update_delay memory_update_margin' },
]

const RANGES: ReadonlyMap<string, readonly VersionRange[]> = new Map(
  GROUPS.flatMap(({ versions, fields }) => fields.split(/\s+/).map((name) => [name, versions] as const)),
)

/** Every name that {@link isJobField} knows, in any version. */
export const JOB_FIELDS: ReadonlySet<string> = new Set(RANGES.keys())

const OTHER_CLUSTER = 'it sends the job to other clusters of a federation'
const NETWORK_PEER = 'Slurm would connect to whatever host or port it names'
const OTHER_JOB = 'it names a job, which the path of the call does'

/** Fields that daemons document and that no token may set: facts/slurm.md 10. The reason completes "…: " for the caller. */
export const DENIED_JOB_FIELDS: ReadonlyMap<string, string> = new Map([
  ['user_id', 'a job runs as the Slurm user of its token'],
  ['group_id', 'a job runs with the group of the Slurm user of its token'],
  ['job_id', OTHER_JOB],
  // 26.05 added it to an existing object (v0.0.44): `{job_id, step_id, sluid, …}`.
  ['step_id', OTHER_JOB],
  ['hetjob_group', 'Slurm numbers the components of a heterogeneous job itself'],
  ['clusters', OTHER_CLUSTER],
  ['cluster_constraint', OTHER_CLUSTER],
  ['cluster_constraints', OTHER_CLUSTER],
  ['crontab', 'it makes a standing crontab entry of the user, not one job'],
  ['admin_comment', "it is the administrators' comment"],
  ['site_factor', "it is the site's own share of the priority"],
  // Handed to prolog and epilog, which run as root (sbatch(1), SPANK).
  ['spank_environment', 'it reaches prolog and epilog, which run as root'],
  ['selinux_context', 'it sets a security context'],
  // sbatch(1) --reboot: for root, SlurmUser and administrators.
  ['reboot', 'it reboots nodes, which is for administrators'],
  ['allocation_node_list', NETWORK_PEER],
  ['allocation_node_port', NETWORK_PEER],
  ['x11', NETWORK_PEER],
  ['x11_magic_cookie', NETWORK_PEER],
  ['x11_target_host', NETWORK_PEER],
  ['x11_target_port', NETWORK_PEER],
  // "Port to send various notification msg to" in the schema.
  ['reserve_ports', NETWORK_PEER],
  ['resv_mpi_ports', 'it takes ports of the nodes out of use for others'],
])

/** Values of `flags` that a user's own sbatch options set; the rest of that list is slurmctld's own book-keeping. */
export const JOB_FLAGS: ReadonlySet<string> = new Set([
  'KILL_INVALID_DEPENDENCY', 'NO_KILL_INVALID_DEPENDENCY', // --kill-on-invalid-dep
  'GRES_BINDING_ENFORCED', 'GRES_BINDING_DISABLED', 'GRES_ALLOW_TASK_SHARING', // --gres-flags
  'GRES_ONE_TASK_PER_SHARING', 'GRES_MULTIPLE_TASKS_PER_SHARING',
  'SPREAD_JOB', 'PREFER_MINIMUM_NODE_COUNT', // --spread-job, --use-min-nodes
  'EXACT_TASK_COUNT_REQUESTED', 'EXACT_CPU_COUNT_REQUESTED', 'EXACT_MEMORY_REQUESTED', // --ntasks, --cpus-per-task, --mem
  'STEPMGR_ENABLED', 'SPREAD_SEGMENTS', 'CONSOLIDATE_SEGMENTS', // --stepmgr, --spread-segments, --consolidate-segments
  'EXPEDITED_REQUEUE', // --requeue=expedite
]) // prettier-ignore

/** What `sbatch --signal=[B][R]:…` can say; the other values are about steps, siblings, cron jobs and cancellation. */
export const KILL_WARNING_FLAGS: ReadonlySet<string> = new Set(['BATCH_JOB', 'RESERVATION_JOB'])

const SCHEDULER_STATE = "it is the scheduler's own record"
const DEFAULTED = 'it says that Slurm chose the value, and lets Slurm choose anew'

/** Values of `flags` that no token may set. */
export const DENIED_JOB_FLAGS: ReadonlyMap<string, string> = new Map([
  // A job so marked follows its user's default account.
  ['USING_DEFAULT_ACCOUNT', DEFAULTED],
  ['USING_DEFAULT_PARTITION', DEFAULTED],
  ['USING_DEFAULT_QOS', DEFAULTED],
  ['USING_DEFAULT_WCKEY', DEFAULTED],
  ['TOP_PRIORITY_JOB', 'it puts the job before all others (scontrol top)'],
  ['CRON_JOB', 'it makes a crontab entry of the job'],
  ['EXTERNAL_JOB', 'it makes an allocation without a job in it'],
  ['HETEROGENEOUS_JOB', 'it makes the job a part of another'],
  ['SIBLING_CLUSTER_UPDATE_ONLY', OTHER_CLUSTER],
  ['MAGNETIC', 'it is how reservations draw jobs to them'],
  ['SKIP_TRES_STRING_ACCOUNTING', 'it leaves the job out of accounting'],
  ['ACCRUE_COUNT_CLEARED', SCHEDULER_STATE],
  ['BACKFILL_ATTEMPTED', SCHEDULER_STATE],
  ['DEPENDENT', SCHEDULER_STATE],
  ['HAS_STATE_DIRECTORY', SCHEDULER_STATE],
  ['JOB_ACCRUE_TIME_RESET', SCHEDULER_STATE],
  ['JOB_IMPLICIT_MAX_NODES', SCHEDULER_STATE],
  ['JOB_KILL_HURRY', SCHEDULER_STATE],
  ['JOB_WAS_RUNNING', SCHEDULER_STATE],
  ['PARTITION_ASSIGNED', SCHEDULER_STATE],
  ['SAVE_BATCH_SCRIPT', SCHEDULER_STATE],
  ['SCHEDULING_ATTEMPTED', SCHEDULER_STATE],
  ['SEND_JOB_ENVIRONMENT', SCHEDULER_STATE],
  ['TESTING_BACKFILL', SCHEDULER_STATE],
  ['TESTING_WHOLE_NODE_BACKFILL', SCHEDULER_STATE],
  ['TEST_NOW_ONLY', SCHEDULER_STATE],
])
