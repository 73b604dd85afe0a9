/** One vitest project, run and counted. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { runStep } from './step.mjs'
import { haveEqualCounts } from './summary.mjs'

/** @param node the Node binary to run under; child processes find it on PATH as well. */
export async function runVitest(project, { limit, node = process.execPath, label = project }) {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-results-'))
  const file = join(directory, 'results.json')
  console.log(`\n== ${label}`)
  try {
    const step = await runStep(
      node,
      [
        'node_modules/vitest/vitest.mjs',
        'run',
        '--project',
        project,
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${file}`,
      ],
      { limit, env: { PATH: `${dirname(node)}${delimiter}${process.env.PATH}` } },
    )
    const files = readFiles(file)
    const isEmpty = files === null || files.every(({ total }) => total === 0)
    const isUneven = project === 'conformance' && !haveEqualCounts(files ?? [])
    const note =
      step.note ??
      (isEmpty ? 'no test ran' : isUneven ? 'Node and workerd did not run the same cases' : undefined)
    return { name: label, ...step, ok: step.ok && !isEmpty && !isUneven, note, files: files ?? [] }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** @returns null when vitest did not get to write its results. */
function readFiles(file) {
  let report
  try {
    report = JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return null
  }
  return report.testResults.map(({ name, assertionResults }) => {
    const count = (...states) => assertionResults.filter(({ status }) => states.includes(status)).length
    const failed = assertionResults.filter(({ status }) => status === 'failed')
    const skipped = assertionResults.filter(({ status }) => !['passed', 'failed'].includes(status))
    return {
      name: basename(name),
      total: assertionResults.length,
      passed: count('passed'),
      failed: failed.length,
      failures: failed.map(({ fullName, failureMessages }) => ({
        name: fullName,
        message: failureMessages[0],
      })),
      skipped: skipped.map(({ fullName }) => fullName),
    }
  })
}
