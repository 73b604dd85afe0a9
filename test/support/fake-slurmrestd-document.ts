/** What the fake slurmrestd publishes and knows: a small OpenAPI document in the real one's shape, and a few jobs. */

export const FAKE_VERSIONS = ['v0.0.40', 'v0.0.41', 'v0.0.42'] as const

/** Paths as slurmrestd 24.11 spells them, some with a trailing slash, some without. */
const PATHS: Readonly<Record<string, readonly string[]>> = {
  '/slurm/{version}/diag/': ['get'],
  '/slurm/{version}/job/allocate': ['post'],
  '/slurm/{version}/job/submit': ['post'],
  '/slurm/{version}/job/{job_id}': ['get', 'post', 'delete'],
  '/slurm/{version}/jobs/': ['get', 'delete'],
  '/slurm/{version}/jobs/state/': ['get'],
  '/slurm/{version}/licenses/': ['get'],
  '/slurm/{version}/node/{node_name}': ['get', 'post', 'delete'],
  '/slurm/{version}/nodes/': ['get', 'post'],
  '/slurm/{version}/partition/{partition_name}': ['get'],
  '/slurm/{version}/partitions/': ['get'],
  '/slurm/{version}/ping/': ['get'],
  '/slurm/{version}/reconfigure/': ['get'],
  '/slurm/{version}/reservation/{reservation_name}': ['get', 'delete'],
  '/slurm/{version}/reservations/': ['get'],
  '/slurm/{version}/shares': ['get'],
  '/slurmdb/{version}/account/{account_name}': ['get', 'delete'],
  '/slurmdb/{version}/accounts/': ['get', 'post'],
  '/slurmdb/{version}/accounts_association/': ['post'],
  '/slurmdb/{version}/association/': ['get', 'delete'],
  '/slurmdb/{version}/associations/': ['post', 'get', 'delete'],
  '/slurmdb/{version}/cluster/{cluster_name}': ['delete', 'get'],
  '/slurmdb/{version}/clusters/': ['get', 'post'],
  '/slurmdb/{version}/config': ['get', 'post'],
  '/slurmdb/{version}/diag/': ['get'],
  '/slurmdb/{version}/instance/': ['get'],
  '/slurmdb/{version}/instances/': ['get'],
  '/slurmdb/{version}/job/{job_id}': ['get'],
  '/slurmdb/{version}/jobs/': ['get'],
  '/slurmdb/{version}/ping/': ['get'],
  '/slurmdb/{version}/qos/': ['get', 'post'],
  '/slurmdb/{version}/qos/{qos}': ['get', 'delete'],
  '/slurmdb/{version}/tres/': ['post', 'get'],
  '/slurmdb/{version}/user/{name}': ['delete', 'get'],
  '/slurmdb/{version}/users/': ['post', 'get'],
  '/slurmdb/{version}/users_association/': ['post'],
  '/slurmdb/{version}/wckey/{id}': ['delete', 'get'],
  '/slurmdb/{version}/wckeys/': ['get', 'post'],
}

/** Built once: its bytes are compared. `servers` and `info.version` as the real one writes them. */
export const OPENAPI_DOCUMENT = JSON.stringify({
  tags: [{ name: 'slurm' }, { name: 'slurmdb' }, { name: 'openapi' }],
  paths: Object.fromEntries(
    FAKE_VERSIONS.flatMap((version) =>
      Object.entries(PATHS).map(([path, methods]) => [
        path.replace('{version}', version),
        Object.fromEntries(methods.map((method) => [method, buildOperation(version, path, method)])),
      ]),
    ),
  ),
  components: { schemas: {}, securitySchemes: { bearerAuth: { type: 'http', scheme: 'bearer' } } },
  info: { title: 'Slurm REST API', version: 'Slurm-24.11.5&openapi/slurmctld&openapi/slurmdbd' },
  servers: [{ url: '/' }],
  security: [{}, { user: [], token: [] }, { token: [] }, { bearerAuth: [] }],
  openapi: '3.0.3',
})

export interface FakeJob {
  readonly account: string
  readonly user: string
}

/** One id can stand for several records: array tasks and het components, each with an account of its own. */
export const FAKE_JOBS: Readonly<Record<string, readonly FakeJob[]>> = {
  '101': [{ account: 'proj_a', user: 'alice' }],
  '102': [{ account: 'proj_b', user: 'alice' }],
  '103': [
    { account: 'proj_a', user: 'alice' },
    { account: 'proj_b', user: 'alice' },
  ],
}

/** Above 2^53 on purpose: a gate that reads and rewrites the answer would change it. */
export const BIG_NUMBER = '18446744073709551614'

export function describeJob(id: string, job: FakeJob): string {
  return (
    `{"job_id":${id},"account":"${job.account}","user_name":"${job.user}","job_state":["RUNNING"],` +
    `"array_job_id":{"set":true,"infinite":false,"number":0},"het_job_id":{"set":true,"infinite":false,"number":0},` +
    `"memory_per_node":{"set":true,"infinite":false,"number":${BIG_NUMBER}},"billable_tres":1.0}`
  )
}

/** `meta` as slurmrestd 24.11 writes it, client and plugin included. */
export function buildMeta(user: string): string {
  return (
    `{"plugin":{"type":"openapi/slurmctld","name":"Slurm OpenAPI slurmctld","data_parser":"data_parser/v0.0.42"},` +
    `"client":{"source":"[localhost]:0(fd:9)","user":"${user}","group":"${user}"},"command":[],` +
    `"slurm":{"version":{"major":"24","micro":"5","minor":"11"},"release":"24.11.5","cluster":"fake"}}`
  )
}

function buildOperation(version: string, path: string, method: string): object {
  const name = path.split('/').filter((part) => part !== '' && !part.startsWith('{'))
  return {
    operationId: `${name[0] ?? ''}_${version.replaceAll('.', '')}_${method}_${name.slice(1).join('_')}`,
    parameters: [...path.matchAll(/\{(\w+)\}/g)]
      .map(([, parameter]) => parameter)
      .filter((parameter) => parameter !== 'version')
      .map((parameter) => ({ in: 'path', name: parameter, required: true, schema: { type: 'string' } })),
    responses: { '200': { description: 'ok' } },
  }
}
