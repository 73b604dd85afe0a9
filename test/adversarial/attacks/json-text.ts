/** One JSON text, two readings: what a strict parser and json-c (22.05, 24.11) or Slurm's own (26.05) make of it. */

import { buildSubmission, buildDescription } from '../daemon-versions.ts'
import { ENCODINGS } from '../hostile-request.ts'
import { attack, type Attack } from './attack.ts'

export function buildJsonTextAttacks(version: number): Attack[] {
  const submit = `/slurm/v0.0.${version}/job/submit`
  const update = `/slurm/v0.0.${version}/job/{{own.plain}}`
  const whole = JSON.stringify(buildSubmission(version, [buildDescription(version, { account: 'ownerlab' })]))
  const texts = [
    ...TRICKS.map((trick) => whole.replace('"account":"ownerlab"', trick)),
    whole.replace('"job":', `"job":${JSON.stringify({ account: 'otherlab' })},"job":`),
    whole.replace('"job":', `"Job":${JSON.stringify({ account: 'otherlab' })},"job":`),
    `${whole.slice(0, -1)},"job":{"account":"otherlab"}}`,
    `${whole.slice(0, -1)},"JOB":{"account":"otherlab"}}`,
    `${whole.slice(0, -1)},"jobs":[{"account":"otherlab"}]}`,
    `${whole.slice(0, -1)},"jobs":null}`,
    `${whole.slice(0, -1)},"account":"otherlab"}`,
    `${whole.slice(0, -1)},"hetjob":[{"account":"otherlab"}]}`,
    `${whole}${whole}`,
    `${whole}\n{"job":{"account":"otherlab"}}`,
    `${whole}x`,
    `${whole}}`,
    `${whole}\0`,
    whole.slice(0, -1),
    `${whole}//`,
    `/**/${whole}`,
    `x=${whole}`,
    `)]}',\n${whole}`,
    `[${whole}]`,
    JSON.stringify(whole),
    whole.replaceAll('"', "'"),
    '',
    ' ',
    'null',
    '[]',
    '{}',
    '0',
    '"job"',
    'NaN',
    '[[[[[[[[[['.repeat(400),
    `{"job":${'{"a":'.repeat(400)}1${'}'.repeat(401)}`,
    `{"job":{"account":"ownerlab","comment":"${'x'.repeat(9_000_000)}"}}`,
  ]
  const attacks = texts.map((body) => attack('POST', submit, { body }))
  const encoded = ENCODINGS.filter((encoding) => encoding !== 'utf-8' && encoding !== 'latin1').map(
    (encoding) => attack('POST', submit, { body: whole.replace('hostile', 'a'), encoding }),
  )
  const updates = TRICKS.map((trick) => attack('POST', update, { body: `{"comment":"x",${trick}}` }))
  return [...attacks, ...encoded, ...updates]
}

/** In place of `"account":"ownerlab"`. */
const TRICKS = [
  '"account":"ownerlab","account":"otherlab"',
  '"account":"otherlab","account":"ownerlab"',
  '"account":"ownerlab","acc\\u006funt":"otherlab"',
  '"acc\\u006funt":"otherlab"',
  '"account":"ownerlab","Account":"otherlab"',
  '"ACCOUNT":"otherlab"',
  '"account":"ownerlab","account\\u0000":"otherlab"',
  '"account":"ownerlab\\u0000otherlab"',
  '"account":"ownerlab","account ":"otherlab"',
  '"account":"ownerlab","\\u0061ccount":null',
  '"account":"ownerlab","account":null',
  '"account":"ownerlab"/*,*/,"account":"otherlab"',
  '"account":"ownerlab",//\n"account":"otherlab"',
  "'account':'otherlab'",
  'account:"otherlab"',
  '"account":\'otherlab\'',
  '"account":"otherlab"',
  '"account":"OTHERLAB"',
  '"account":"\\u006ftherlab"',
  '"account":"ownerlab ","nice":1',
  '"account":" ownerlab"',
  '"account":"ownerlab\\n"',
  '"account":"ownerlab,otherlab"',
  '"account":"ownerlab/otherlab"',
  '"account":"оwnerlab"',
  '"account":"ownerl\u0430b"',
  '"account":"ownerlab\u200b"',
  '"account":["ownerlab","otherlab"]',
  '"account":["otherlab"]',
  '"account":{"set":true,"string":"otherlab"}',
  '"account":{"name":"otherlab"}',
  '"account":0',
  '"account":true',
  '"account":1e400',
  '"account":NaN',
  '"account":"ownerlab","nice":NaN',
  '"account":"ownerlab","nice":Infinity',
  '"account":"ownerlab","nice":01',
  '"account":"ownerlab","nice":0x10',
  '"account":"ownerlab","nice":+1',
  '"account":"ownerlab","nice":.5',
  '"account":"ownerlab","comment":"a\nb"',
  '"account":"ownerlab","comment":"\\x41"',
  '"account":"ownerlab","comment":"\\u00"',
  '"account":"ownerlab",,"nice":1',
  '"account" "ownerlab"',
  '"account":"ownerlab";"nice":1',
  '"account":"ownerlab","nice":TRUE',
  '"account":"ownerlab","nice":None',
  '"account":"ownerlab","nice":undefined',
]
