/** Bodies that slurmrestd would read as something other than the JSON that was judged. */

import { buildDescription, buildSubmission } from '../daemon-versions.ts'
import { attack, type Attack } from './attack.ts'

const TYPES = [
  'application/x-www-form-urlencoded',
  'application/yaml',
  'application/x-yaml',
  'text/yaml',
  'text/plain',
  'multipart/form-data; boundary=x',
  'application/json, application/x-yaml',
  'application/json; charset=utf-16',
  'application/json; charset=latin1',
  'application/json;charset=utf-8;charset=utf-7',
  'application/json; boundary=application/x-yaml',
  'application/jsonp',
  'application/json5',
  'application/vnd.api+json',
  'json',
  '*/*',
  '',
  ';',
  'application /json',
  'application/json\\',
]

export function buildContentTypeAttacks(version: number): Attack[] {
  const submit = `/slurm/v0.0.${version}/job/submit`
  const update = `/slurm/v0.0.${version}/job/{{own.plain}}`
  const json = JSON.stringify(buildSubmission(version, [buildDescription(version, { account: 'ownerlab' })]))
  const yaml = 'job:\n  account: otherlab\n  script: "#!/bin/sh"\n'
  const form = 'account=otherlab&comment=theirs'
  const typed = TYPES.flatMap((type) =>
    [json, yaml, form].flatMap((body) => [
      attack('POST', submit, { headers: [['Content-Type', type]], body }),
      attack('POST', update, { headers: [['Content-Type', type]], body }),
    ]),
  )
  const untyped = [json, yaml, form].flatMap((body) => [
    attack('POST', submit, { headers: [], body }),
    attack('POST', update, { headers: [], body }),
    attack('DELETE', `/slurm/v0.0.${version}/jobs/`, { headers: [], body }),
  ])
  const twice = [
    ['Content-Type', 'application/json'],
    ['Content-Type', 'application/x-yaml'],
  ] as const
  const encodings = ['gzip', 'deflate', 'br', 'identity, gzip', 'x-gzip', 'utf-16'].map((coding) =>
    attack('POST', submit, {
      headers: [
        ['Content-Type', 'application/json'],
        ['Content-Encoding', coding],
      ],
      body: json,
    }),
  )
  return [
    ...typed,
    ...untyped,
    attack('POST', submit, { headers: twice, body: json }),
    attack('POST', submit, { headers: [...twice].reverse(), body: yaml }),
    ...encodings,
    // A body where none belongs: 24.11+ would read a GET's and a DELETE's parameters from it.
    attack('GET', `/slurm/v0.0.${version}/jobs`, { body: '{"update_time":1}' }),
    attack('GET', `/slurm/v0.0.${version}/job/{{own.plain}}`, { body: '{"job_id":"{{foreign.plain}}"}' }),
    attack('GET', `/slurm/v0.0.${version}/job/{{own.plain}}`, { body: '{}', isChunked: true }),
    attack('DELETE', `/slurm/v0.0.${version}/job/{{own.plain}}`, { body: '{"job_id":"{{foreign.plain}}"}' }),
    attack('DELETE', `/slurm/v0.0.${version}/job/{{own.plain}}`, {
      body: '{"signal":"KILL"}',
      isChunked: true,
    }),
    attack('GET', `/slurm/v0.0.${version}/job/{{own.plain}}/requeue`, {
      body: '{"jobs":["{{foreign.plain}}"]}',
    }),
    attack('POST', submit, { body: yaml }),
    attack('POST', submit, { body: form }),
  ]
}
