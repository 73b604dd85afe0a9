/** Bounds of what the gate reads, each with its source. Bounds that operators set are in `settings.ts`. */

/** CONTRACT "HTTP": 431 over this. Node's own parser is set to the same. */
export const HEAD_MAX_BYTES = 16 * 1024

/** CONTRACT "Credentials": longer is 401. */
export const CREDENTIAL_MAX_CHARACTERS = 8 * 1024

/** Federated job ids carry the cluster above bit 26; the top values are Slurm's NO_VAL family. */
export const JOB_ID_MAX = 4_294_967_293

/** Slurm's array task ids end below MaxArraySize, het offsets far lower; both are 32 bit upstream. */
export const JOB_PART_MAX = 4_294_967_293

/** One query value. Long lists (users, accounts) stay well below; slurmrestd's own head limit is 80 KiB. */
export const QUERY_VALUE_MAX_CHARACTERS = 4 * 1024

/** Names in paths: nodes, accounts, users, reservations. */
export const PATH_NAME_MAX_CHARACTERS = 255

/** slurmrestd's documents are under ten deep; deeper is an attack on a recursive reader. */
export const JSON_DEPTH_MAX = 32

/** Values and keys in one document; a submission with a large environment has a few thousand. */
export const JSON_VALUES_MAX = 100_000

/** 22.05 copies each key into `char[256]` before it looks it up, and looks up what fitted (`_per_job_param`). */
export const KEY_MAX_BYTES = 255

/**
 * slurmrestd looks up list items and members one after the other: 20,000 in one take it 7 to 27 s, 100,000 more than a
 * minute, on all three releases. So the squares of all sizes in a document are summed up: one list of 10,000 (about
 * 2 s), or many short ones.
 */
export const SIZE_SQUARES_MAX = 10_000 ** 2

/** In one document: slurmctld looks up and logs each unknown host, at 5,000 to 40,000 a second, and answers nobody meanwhile. */
export const HOSTS_MAX = 10_000

/** In one query value: `instances?node_list=` with 65,000 nodes takes seconds and with a million never ends (24.11, 26.05). */
export const NODES_MAX = 10_000

/** A YAML body: js-yaml takes up to 90 times its size (measured). Submissions have a few 100 KB; JSON has more room. */
export const YAML_MAX_BYTES = 1024 * 1024

/** Marks of structure in YAML, those in scripts counted too: js-yaml makes a few events of each. */
export const YAML_MARKS_MAX = 100_000

/** A restricted token's job description: more components than any real het job or batch of jobs. */
export const JOB_COMPONENTS_MAX = 256

/** Jobs that one bulk call of an API token may list; a restricted token's are looked at one by one. */
export const JOB_LIST_MAX = 64

/** What the gate saw of a job counts for so long: a write that could not be sent by then is not sent. */
export const JOB_CHECK_FRESH_MILLISECONDS = 5_000

/** An error answer is looked into up to here (CONTRACT "HTTP", 502). */
export const ERROR_BODY_MAX_BYTES = 64 * 1024

/** The OpenAPI document is 0.5 to 1.8 MB (measured). */
export const OPENAPI_MAX_BYTES = 16 * 1024 * 1024

/** The answer to our own look at one job before a write: some 5,500 array tasks of 24.11 at 6 KB each (measured). */
export const JOB_CHECK_MAX_BYTES = 32 * 1024 * 1024

/** The most that `REQUEST_BODY_MAX_BYTES` may be. */
export const BODY_LARGEST_BYTES = 50 * 1024 * 1024

/** How long the versions learnt from slurmrestd are used before they are asked for again. */
export const VERSIONS_FRESH_MILLISECONDS = 5 * 60_000

/** After a failed attempt to learn the versions, nobody asks again for this long. */
export const VERSIONS_RETRY_MILLISECONDS = 1_000

/** slurmrestd has its OpenAPI document in some 30 ms (measured): no caller's own time limit is needed for it. */
export const VERSIONS_TIMEOUT_MILLISECONDS = 10_000

/** Longer than learning the versions takes: who began it before was cut off. */
export const VERSIONS_TURN_MILLISECONDS = 12_000

/** CONTRACT "HTTP": `/readyz` is cached. */
export const READINESS_FRESH_MILLISECONDS = 1_000

/** Longer than every check: Postgres and the verifier have 5 s, slurmrestd 3. */
export const READINESS_TURN_MILLISECONDS = 6_000

/** Where requests share data but no promises (workerd): how often one looks for the answer that another asked for. */
export const TURN_LOOK_MILLISECONDS = 100

/** Slurm tokens that are kept for use again: one per user, or per API token. For one more, the oldest goes. */
export const SLURM_TOKENS_KEPT = 4_096

/**
 * A refusal of the signer counts so long at the gateway: who goes on presenting a refused API token asks nobody meanwhile,
 * and one that was issued or sealed anew is served a second later at the latest.
 */
export const SIGNER_REFUSAL_FRESH_MILLISECONDS = 1_000

/**
 * API tokens that one signer looks up per second, and twice as many at once. Gateways keep an answer for half a minute at
 * least (at 120 s of life), so this serves 60,000 tokens in use; a gateway that was taken over stays within what Postgres can bear.
 */
export const SIGNER_LOOK_UPS_PER_SECOND = 2_000

/** Requests that may wait for an upstream slot, and for how long. */
export const QUEUE_MAX_REQUESTS = 512
export const QUEUE_MAX_OF_CALLER = 128
export const QUEUE_MAX_MILLISECONDS = 10_000

/** On workerd, where nobody can be woken: how often who waits looks, and how many looks a client that has gone is waited for. */
export const QUEUE_LOOK_MILLISECONDS = 25
export const QUEUE_LOOKS_MISSED_MAX = 10

/** A client that takes nothing of a long answer for so long is cut off: it holds a slot of slurmrestd. */
export const CLIENT_STALL_MILLISECONDS = 30_000

/** How many times its own time limit an answer may take to be handed on, however the client reads. */
export const ANSWER_TIME_LIMITS = 2

/** What `Retry-After` says with a 503. */
export const RETRY_AFTER_SECONDS = 2

/** Who was quiet may send so many seconds' worth of requests at once. */
export const RATE_BURST_SECONDS = 2

/** Callers that are counted at a time, at some 600 bytes (measured): far more than send anything within four seconds. */
export const RATED_CALLERS_MAX = 16_384

/** What `Retry-After` says with a 429: at one request a second or more, there is room for the next one by then. */
export const RATE_RETRY_AFTER_SECONDS = 1

/** The most that a setting of requests per second may be. */
export const RATE_LARGEST_PER_SECOND = 1_000_000

/** Lines of one kind that strangers can cause, before the others of that second are only counted. */
export const SPARED_LINES_PER_SECOND = 5

/** The host map: 10,000 nodes with three addresses each are half of this. */
export const HOST_MAP_MAX_BYTES = 1024 * 1024
export const HOST_MAP_MAX_LINES = 20_000

/** The widest range of one line: a node's own network of containers. More would stand for a whole cluster. */
export const HOST_MAP_MIN_PREFIX_IPV4 = 24
export const HOST_MAP_MIN_PREFIX_IPV6 = 64

/** What is told of a bad host map at once: a file that is something else altogether has a problem in every line. */
export const HOST_MAP_PROBLEMS_TOLD = 20

/** How often the host map is looked at. A change counts once it has stood still for one more look. */
export const HOST_MAP_LOOK_MILLISECONDS = 1_000

/** Clocks that differ by more than this are alarmed. Credentials live 5 s. */
export const CLOCK_SKEW_MAX_SECONDS = 2

/** `doctor` asks for a rotation after so long: well within the one to two years that NIST SP 800-57 part 1 gives such keys. */
export const KEY_AGE_MAX_DAYS = 180

/** ACME clients renew 30 days before the end: with less left, a renewal did not happen. */
export const CERTIFICATE_WARN_DAYS = 21

/** Time enough to hand whoever uses a token the next one. */
export const TOKEN_END_WARN_DAYS = 14

/** What a gateway read of a token counts for so long, whatever happens to the connection that tells of changes. */
export const TOKEN_FRESH_MILLISECONDS = 5_000

/** That there is no such token: whoever tried one before it was issued need not wait. */
export const TOKEN_UNKNOWN_MILLISECONDS = 1_000

/** Tokens in use at a time that a gateway keeps, at some 600 bytes; and those it knows there are none of. */
export const TOKENS_KEPT = 16_384
export const TOKENS_UNKNOWN_KEPT = 4_096

/** Changes told before so long ago have arrived, or what was kept is not used. */
export const CHANGES_TOLD_MILLISECONDS = 1_000

/** How often the connection that tells of changes is tried. Twice, and once more for a slow answer, within the bound. */
export const CHANGES_BEAT_MILLISECONDS = 300

/** Between attempts to listen again. */
export const CHANGES_RETRY_MILLISECONDS = 500

/** What a kept answer takes beside its bytes, with room to spare: else many small ones would outgrow the room for all. */
export const ANSWER_OVERHEAD_BYTES = 2 * 1024
