/** Honest YAML, sent through the gate with MUNGE, makes the job that slurmrestd makes of it directly. */

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { requestRaw, type RawHeader } from '../../support/raw-http.ts'
import { signSlurmJwt } from '../../support/slurm-jwt.ts'
import { ALICE, mungeHeader, parseAnswer, type RealCluster, type RealGateway } from '../real-cluster.ts'

const TARGET = '/slurm/v0.0.42/job/submit'
const TYPE: RawHeader = ['Content-Type', 'application/yaml']

/** Each differs from the others in how it is written; `hold` keeps it until it was looked at. */
const HONEST: readonly (readonly [name: string, text: string])[] = [
  [
    'block style with a literal script',
    `---
script: |
  #!/bin/bash
  # a comment: of the script
  for i in 1 2; do
    echo "step: $i" 'it''s' \\t 50%
  done

  sleep 1
job:
  name: block style
  hold: true
  comment: 50 % done, [not] {flow}
  current_working_directory: /tmp
  environment:
    - PATH=/usr/bin:/bin
    - GREETING=hello world
  standard_output: /tmp/slurm-%j.out
`,
  ],
  [
    'comments, tabs and characters beyond ASCII',
    `# mine
job: # of alice
  name: "\u00fcnic\u00f6de \\u2713 \u{1f600}"
  hold: true # for now
  current_working_directory: '/tmp'
  environment: ["PATH=/usr/bin:/bin", 'QUOTED=it''s']
  script: |
    #!/bin/bash
    \techo tab
`,
  ],
  [
    'flow style over several lines',
    `job: {
  "name": "flow", hold: true, tasks: 2,
  "environment": [
    "PATH=/usr/bin:/bin",
  ],
  current_working_directory: /tmp, "script": "#!/bin/bash\\nsleep 1\\n"
}
`,
  ],
  [
    'JSON',
    '{"job":{"name":"json","hold":true,"environment":["PATH=/usr/bin"],"current_working_directory":"/tmp",' +
      '"script":"#!/bin/bash\\nsleep 1\\n"}}',
  ],
  [
    'the types that YAML has elsewhere, plain and quoted, and a folded script',
    `job:
  name: null
  comment: ~
  hold: "true"
  nice: 5
  tasks: "2"
  time_limit: {set: true, number: 10}
  current_working_directory: /tmp
  environment:
  - PATH=/usr/bin:/bin
  script: >-
    #!/bin/bash

    sleep
    1
`,
  ],
  [
    'tags as slurmrestd writes them',
    `%YAML 1.1
---
!!map
!!str "job": !!map
  !!str "name": !!str "tags"
  !!str "hold": !!bool true
  !!str "nice": !!int 7
  !!str "comment": !!null null
  !!str "environment": !!seq
  - !!str "PATH=/usr/bin"
  !!str "current_working_directory": !!str "/tmp"
  !!str "script": !!str "#!/bin/bash\\nsleep 1\\n"
...
`,
  ],
]

export function describeYaml(requireCluster: () => RealCluster): void {
  let gateway: RealGateway | null = null
  beforeAll(async () => {
    gateway = await requireCluster().startGateway()
  })
  afterAll(() => gateway?.stop())

  async function submit(port: number, identity: readonly RawHeader[], body: string): Promise<string> {
    const headers = [...identity, TYPE]
    const request = { method: 'POST', target: TARGET, headers, body }
    const answer = await requestRaw({ host: '127.0.0.1', port }, request, { timeoutMilliseconds: 30_000 })
    const { errors, job_id: jobId } = parseAnswer(answer)
    expect([answer.status, errors]).toEqual([200, []])
    return String(jobId)
  }

  /** All that Slurm knows of the job but what differs from one submission to the next. */
  async function describeJob(jobId: string): Promise<string[]> {
    const { slurm } = requireCluster()
    const { stdout } = await slurm.run(['scontrol', 'show', 'job', '-d', jobId])
    const script = await slurm.run(['scontrol', 'write', 'batch_script', jobId, '-'])
    await slurm.run(['scancel', jobId])
    const fields = stdout
      .replaceAll(`JobId=${jobId}`, 'JobId=')
      .replaceAll(`slurm-${jobId}`, 'slurm-')
      .split(/\s*\n\s*/)
    return [...fields.filter((line) => !/Time=|EligibleTime|LastSched/.test(line)), script.stdout]
  }

  test.each(HONEST)('%s', async (_, text) => {
    const cluster = requireCluster()
    const now = Math.floor(Date.now() / 1000)
    const key = readFileSync(cluster.slurm.hs256KeyFile)
    const token = signSlurmJwt(key, { sun: ALICE.name, iat: now, exp: now + 60 })
    const direct: RawHeader[] = [
      ['X-SLURM-USER-NAME', ALICE.name],
      ['X-SLURM-USER-TOKEN', token],
    ]
    const directId = await submit(cluster.slurm.ports.slurmrestd, direct, text)
    const throughId = await submit(gateway?.port ?? 0, [mungeHeader(cluster.makeCredential())], text)
    const [expected, seen] = [await describeJob(directId), await describeJob(throughId)]
    expect(expected.length).toBeGreaterThan(10)
    expect(expected.at(-1)).toMatch(/^#!\/bin\/bash/)
    expect(seen).toEqual(expected)
  })
}
