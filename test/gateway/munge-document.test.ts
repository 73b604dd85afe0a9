/**
 * A MUNGE caller's document, in JSON or YAML as slurmrestd itself would read it. What ends daemons however it is
 * written stands in harmful-document.test.ts.
 */

import { describe, expect, it } from 'vitest'
import { judgeMungeDocument } from '../../src/document/munge-document.ts'
import { isRefusal } from '../../src/refusal.ts'
import { ROUTES } from '../../src/policy/route-table.ts'
import { encode } from './in-memory-ports.ts'

type ContentType = 'application/json' | 'application/x-yaml'

function judge(call: string, version: number, source: string, contentType: ContentType = 'application/json') {
  const route = ROUTES.find(({ method, template }) => `${method} ${template}` === call)
  if (route === undefined) throw new Error(`no route ${call}`)
  const judged = judgeMungeDocument({ bytes: encode(source), contentType }, { route, version })
  return isRefusal(judged) ? judged.description : null
}

const SUBMIT = 'POST /slurm/job/submit'

/** The published submit example, with its trailing comma. */
const PUBLISHED = `{
  "job": {
    "partition": "debug", "tasks": 1, "name": "test", "nodes": "1",
    "current_working_directory": "/tmp",
    "environment": ["PATH=/bin:/usr/bin/:/usr/local/bin/", "FORMAT=%s-%n"],
    "standard_output": "/tmp/slurm-%j_%A.out", "array": "0-1000%50",
  },
  "script": "#!/bin/bash\\ndate +%Y; printf '%s%n' x"
}`

const YAML = `---
script: |
  #!/bin/sh
  date +%Y
job:
  name: test # mine
  environment: ["PATH=/bin", 'A=100%']
  current_working_directory: /tmp
  time_limit: {set: true, number: 10}
  standard_output: slurm-%j.out
`

describe('honest documents are forwarded', () => {
  it.each([
    ['the published example', 42, PUBLISHED],
    ['its comments', 45, '{"script":"x","job":{/* mine */"name":"x"}}'],
  ])('%s', (_what, version, source) => {
    expect(judge(SUBMIT, version, source)).toBeNull()
  })

  it.each([38, 42, 45])('YAML, v0.0.%i', (version) => {
    expect(judge(SUBMIT, version, YAML, 'application/x-yaml')).toBeNull()
    expect(judge(SUBMIT, version, `\ufeff${YAML}`, 'application/x-yaml')).toBeNull()
    expect(judge(SUBMIT, version, '{"script": "x", "job": {"name": "x"}}', 'application/x-yaml')).toBeNull()
    expect(
      judge(SUBMIT, version, 'script: x\njob: {name: !!str 1, <<: {a: b}}\n', 'application/x-yaml'),
    ).toBeNull()
  })
})

describe('what ends or stalls daemons is refused, however it is written', () => {
  it.each(['hello', '"x"', '[a: b]', '&x a', '!!int x', '|', '---\nhello\n---\na: b', '', '---\n', '- a'])(
    '22.05: YAML that is no mapping, %j',
    (source) => {
      expect(judge(SUBMIT, 38, source, 'application/x-yaml')).not.toBeNull()
    },
  )

  it.each([
    ['single quotes', 41, "{'job':{'standard_input':''}}"],
    ['a NUL, where text ends', 40, '{"job":{"standard_error":"\\u0000x"}}'],
    ['nested too deep', 45, `{"a":${'['.repeat(40)}${']'.repeat(40)}}`],
  ])('JSON: %s', (_what, version, source) => {
    expect(judge(SUBMIT, version, source)).not.toBeNull()
  })

  it.each([
    ['open brackets (minutes on 24.11 and 26.05)', '['.repeat(100_000)],
    ['a bomb of aliases', `a: &a [x]\n${'b: [*a, *a]\n'.repeat(10)}`],
    ['two documents, of which 22.05 takes the second', 'script: x\n---\nscript: y\n'],
    ['deep blocks', `${'- '.repeat(50)}a`],
  ])('YAML: %s', (_what, source) => {
    expect(judge(SUBMIT, 42, source, 'application/x-yaml')).not.toBeNull()
  })

  it('YAML: a percent sign where slurmrestd reads no text', () => {
    expect(judge(SUBMIT, 42, 'job: {nice: "%n"}', 'application/x-yaml')).toMatch(/percent/)
  })

  it('names a field, never a value', () => {
    expect(judge(SUBMIT, 42, '{"<b>secret</b>":{"a":"%n"}}')).not.toMatch(/secret|%n/)
  })
})
