/** Parameters in a place where slurmrestd might read them: of other operations, repeated, encoded, or beside a body. */

import { attack, type Attack } from './attack.ts'

const EXTRA = [
  'account=otherlab',
  'Account=otherlab',
  'job_id={{foreign.plain}}',
  'jobs={{foreign.plain}}',
  'jobs[]={{foreign.plain}}',
  'user_name=alice',
  'user_id=6001',
  'job_state=PENDING',
  'partition=main',
  'nodes=n1',
  'qos=normal',
  'comment=x',
  'signal=KILL&signal=TERM',
  'signal=KILL&Signal=TERM',
  'signal=KILL&%73ignal=TERM',
  'SIGNAL=KILL',
  'signal[]=9',
  'signal=9%26account%3Dotherlab',
  'signal=KILL%00',
  'signal=%0d%0aX-SLURM-USER-NAME:%20root',
  'signal=-1',
  'signal=99999999999999999999',
  'signal=',
  'signal',
  'signal=KILL,TERM',
  'signal=%ff',
  'signal=%',
  'flags=;',
  'flags=CRON_JOBS',
  'flags=NO_SIBLING_JOBS',
  'flags=RESERVATION_JOB',
  'flags=FEDERATION_REQUEUE',
  'flags=%5B%22BATCH_JOB%22%5D',
  'flags=BATCH_JOB%2C%2CHURRY',
  'flags=A;B',
  '=',
  '=x',
  '%00=1',
  '__proto__=1',
]

export function buildQueryAttacks(version: number): Attack[] {
  const v = `v0.0.${version}`
  const own = `/slurm/${v}/job/{{own.plain}}`
  const onDelete = EXTRA.flatMap((query) => [
    attack('DELETE', `/slurm/${v}/job/{{foreign.plain}}?${query}`),
    // An honest job with a dishonest query: nothing may be done half.
    ...(isHarmless(query) ? [] : [attack('DELETE', `${own}?${query}`)]),
  ])
  const onPost = [
    'account=otherlab',
    'job_id={{foreign.plain}}',
    'comment=x',
    'signal=KILL',
    'x',
    '=',
  ].flatMap((query) => [
    attack('POST', `${own}?${query}`, { body: '{"comment":"x"}' }),
    attack('POST', `/slurm/${v}/job/submit?${query}`, { body: '{"job":{"script":"#!/bin/sh\\n"}}' }),
    attack('POST', `${own}?${query}`),
    attack('POST', `/slurm/${v}/job/submit?${query}`),
  ])
  const onBulk = [
    'account=otherlab',
    'user_name=alice',
    'job_state=PENDING',
    'jobs={{foreign.plain}}',
    'signal=KILL',
  ].flatMap((query) => [
    attack('DELETE', `/slurm/${v}/jobs/?${query}`),
    attack('DELETE', `/slurm/${v}/jobs?${query}`, {
      body: '{"account":"ownerlab","jobs":["{{own.plain}}"]}',
    }),
  ])
  return [...onDelete, ...onPost, ...onBulk, ...buildReads(v)]
}

/** `x=` without a value, and a bare `signal`, may be read as no signal at all. */
function isHarmless(query: string): boolean {
  return ['signal=', 'signal', '=', '=x'].includes(query)
}

/** Malformed values have crashed daemons behind a read scope. */
function buildReads(v: string): Attack[] {
  const jobs = `/slurm/${v}/jobs`
  return [
    attack('GET', `${jobs}?update_time=-1`),
    attack('GET', `${jobs}?update_time=1e9`),
    attack('GET', `${jobs}?update_time=99999999999999999999`),
    attack('GET', `${jobs}?update_time=0x10`),
    attack('GET', `${jobs}?update_time=%00`),
    attack('GET', `${jobs}?update_time=1&update_time=2`),
    attack('GET', `${jobs}?account=otherlab`),
    attack('GET', `${jobs}?method=DELETE`),
    attack('GET', `${jobs}?_method=DELETE`),
    attack('GET', `/slurm/${v}/job/{{own.plain}}?signal=KILL`),
    attack('GET', `/slurm/${v}/jobs/state?job_id=0x1`),
    attack('GET', `/slurm/${v}/jobs/state?job_id=1;2`),
    attack('GET', `/slurm/${v}/jobs/state?job_id=%2A`),
    attack('GET', `/slurm/${v}/job/{{own.plain}}/requeue?Hold=true&Hold=false`),
    attack('GET', `/slurm/${v}/job/{{own.plain}}/requeue?job_id={{foreign.plain}}`),
    attack('GET', `/slurm/${v}/job/{{own.plain}}/requeue?jobs={{foreign.plain}}`),
  ]
}
