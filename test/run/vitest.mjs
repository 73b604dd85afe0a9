/** One vitest project, run and counted. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { runStep } from './step.mjs'

/**
 * @param file only this file of the project; without it, all of them.
 * @param node the Node binary to run under; child processes find it on PATH as well.
 * @param reportVariable names the environment variable that tells tests a file for lines of their own in the summary.
 */
export async function runVitest(
  project,
  { limit, file, node = process.execPath, label = project, env = {}, parameters = [], reportVariable },
) {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-results-'))
  const resultsFile = join(directory, 'results.json')
  const reportFile = join(directory, 'report.txt')
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
        `--outputFile.json=${resultsFile}`,
        ...(file === undefined ? [] : [file]),
        ...parameters,
      ],
      {
        limit,
        env: {
          ...env,
          ...(reportVariable === undefined ? {} : { [reportVariable]: reportFile }),
          PATH: `${dirname(node)}${delimiter}${process.env.PATH}`,
        },
      },
    )
    const files = readFiles(resultsFile)
    const isEmpty = files === null || files.every(({ total }) => total === 0)
    const isUneven = project === 'conformance' && file === undefined && !haveEqualCounts(files ?? [])
    const note =
      step.note ??
      (isEmpty ? 'no test ran' : isUneven ? 'Node and workerd did not run the same cases' : undefined)
    const lines = readLines(reportFile)
    return { name: label, ...step, ok: step.ok && !isEmpty && !isUneven, note, lines, files: files ?? [] }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Both runtimes run one list, with each signer: every case passed, or was skipped in words. */
function haveEqualCounts(files) {
  const counts = files.map(({ passed, skipped }) => passed + skipped.length)
  return files.length === 4 && new Set(counts).size === 1
}

/** What the tests themselves want to be read at the end. */
function readLines(file) {
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
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
