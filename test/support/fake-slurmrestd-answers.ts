/** What the fake slurmrestd answers to one request: the real daemon's checks in its order, then canned data. */

import { FAKE_JOBS, OPENAPI_DOCUMENT, buildMeta, describeJob } from './fake-slurmrestd-document.ts'
import type { RecordedRequest } from './fake-slurmrestd.ts'
import { verifySlurmJwt } from './slurm-jwt.ts'

export interface FakeAnswer {
  readonly status: number
  readonly contentType: string | null
  readonly body: string | Buffer
  /** Further header lines. */
  readonly headers?: readonly string[]
}

const JSON_TYPE = 'application/json'
const YAML_TYPES = ['application/x-yaml', 'text/yaml', 'application/yaml']

export function buildError(status: number, text: string): FakeAnswer {
  return { status, contentType: 'text/plain', body: text }
}

/** An error in the JSON shape of v0.0.40 and later. */
export function buildSlurmError(status: number, number: number, error: string, user = 'unknown'): FakeAnswer {
  const entry = { description: `${error} (fake)`, error_number: number, error, source: 'fake_slurmrestd' }
  return {
    status,
    contentType: JSON_TYPE,
    body: `{"meta":${buildMeta(user)},"errors":[${JSON.stringify(entry)}],"warnings":[]}`,
  }
}

export function answerRequest(request: RecordedRequest, key: Uint8Array): FakeAnswer {
  const header = (name: string): string | null =>
    request.headers.find(([given]) => given.toLowerCase() === name)?.[1] ?? null
  const fault = findHttpFault(request, header)
  if (fault !== null) return fault

  const token = header('x-slurm-user-token') ?? /^Bearer (.+)$/.exec(header('authorization') ?? '')?.[1] ?? ''
  if (token === '') return buildError(401, 'Authentication failure')
  const [path, query] = splitTarget(request.target)
  if (/^\/openapi(\.json|\/v3)?$/.test(path))
    return { status: 200, contentType: JSON_TYPE, body: OPENAPI_DOCUMENT }
  if (path === '/openapi.yaml') {
    return { status: 200, contentType: 'application/x-yaml', body: '%YAML 1.1\n---\nopenapi: 3.0.3\n...\n' }
  }
  if (!/^\/(slurm|slurmdb|util)\/v0\.0\.\d+\//.test(path)) return buildError(404, 'Unable find requested URL')

  const claims = verifySlurmJwt(token, key)
  if (claims === null || (header('x-slurm-user-name') ?? claims.sun) !== claims.sun) {
    return buildSlurmError(511, 1007, 'Protocol authentication error')
  }
  return answerOperation(request, path, query, claims.sun, header('content-type'))
}

function findHttpFault(request: RecordedRequest, header: (name: string) => string | null): FakeAnswer | null {
  if (header('keep-alive') !== null) return buildError(400, 'Keep-Alive is not understood')
  if (header('expect') !== null) return buildError(417, 'Expect is not understood')
  if (header('transfer-encoding') !== null) return buildError(406, 'Transfer-Encoding is not supported')
  if (header('content-encoding') !== null) return buildError(406, 'Content-Encoding is not supported')
  if (request.method === 'HEAD') return buildError(404, '')
  if (header('authorization') !== null && header('x-slurm-user-token') !== null) {
    return buildError(401, 'Authentication failure')
  }
  const type = header('content-type')
  if (request.method === 'POST' && type !== null && ![JSON_TYPE, ...YAML_TYPES].includes(type)) {
    return buildError(415, 'Unsupported Media Type')
  }
  return null
}

function answerOperation(
  request: RecordedRequest,
  path: string,
  query: string,
  user: string,
  contentType: string | null,
): FakeAnswer {
  const [plugin, , ...rest] = path.split('/').filter((part) => part !== '')
  const route = `${request.method} ${plugin ?? ''} ${rest.join('/')}`
  const id = /^(?:GET|POST|DELETE) slurm job\/(\d+)$/.exec(route)?.[1] ?? null
  if (route === 'POST slurm job/submit') return answerSubmit(request, user, contentType)
  if (route === 'GET slurm jobs' || route === 'GET slurmdb jobs') {
    return wrap(
      user,
      `"jobs":[${Object.entries(FAKE_JOBS)
        .flatMap(([job, records]) => records.map((record) => describeJob(job, record)))
        .join(',')}]`,
    )
  }
  if (id !== null) {
    const records = FAKE_JOBS[id]
    if (records === undefined) return buildSlurmError(404, 2017, 'Invalid job id specified', user)
    if (request.method === 'GET') {
      return wrap(user, `"jobs":[${records.map((record) => describeJob(id, record)).join(',')}]`)
    }
    return wrap(user, `"results":[],"status":[{"job_id":"${id}","error":{"code":0}}]`)
  }
  return wrap(user, `"fake":{"path":${JSON.stringify(path)},"query":${JSON.stringify(query)}}`)
}

/** Lenient as json-c is about trailing commas; a body without a Content-Type is read as a form and finds no job. */
function answerSubmit(request: RecordedRequest, user: string, contentType: string | null): FakeAnswer {
  if (contentType === null) return buildSlurmError(500, 9202, 'No job description', user)
  if (contentType === JSON_TYPE) {
    try {
      JSON.parse(request.body.toString('utf8').replace(/,(\s*[}\]])/g, '$1'))
    } catch {
      return buildError(400, 'Unable to parse request body')
    }
  }
  return wrap(user, `"result":{"job_id":4242},"job_id":4242,"step_id":"batch","job_submit_user_msg":""`)
}

function wrap(user: string, fields: string): FakeAnswer {
  return {
    status: 200,
    contentType: JSON_TYPE,
    body: `{${fields},\n "meta":${buildMeta(user)},"errors":[],"warnings":[]}`,
  }
}

/** Repeated and trailing slashes are ignored and `%xx` is decoded, as the real daemon does. */
function splitTarget(target: string): [path: string, query: string] {
  const [path = '', query = ''] = target.split('?', 2)
  let decoded = path
  try {
    decoded = decodeURIComponent(path)
  } catch {
    // An undecodable path matches nothing.
  }
  return [decoded.replace(/\/+/g, '/').replace(/(?<=.)\/$/, ''), query]
}
