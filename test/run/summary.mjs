/** The end of the run in a few lines: what a reader of a CI log needs to see first. */

const FAILURE_LINES_MAX = 12

export function printSummary(results) {
  const lines = ['', 'summary']
  for (const { name, ok, skipped, note, milliseconds, lines: said = [], files = [] } of results) {
    const state = skipped !== undefined ? 'skipped' : ok ? 'passed' : 'FAILED'
    const counts = files.length > 0 ? `  ${describe(files)}` : ''
    lines.push(`  ${state.padEnd(8)}${name.padEnd(34)}${formatTime(milliseconds).padStart(8)}${counts}`)
    if (skipped !== undefined) lines.push(`          because ${skipped}`)
    if (note !== undefined) lines.push(`          ${note}`)
    lines.push(...said.map((line) => `          ${line}`))
    if (name.startsWith('conformance')) lines.push(...describeTargets(files))
    lines.push(...files.flatMap(describeFailures))
    lines.push(...files.flatMap((file) => file.skipped.map((title) => `          skipped: ${title}`)))
  }
  console.log(lines.join('\n'))
}

/** A log may be cut to its end: the end names what failed and why. */
function describeFailures({ name, failures }) {
  return failures.flatMap((failure) => [
    `          failed: ${name}: ${failure.name}`,
    ...String(failure.message ?? 'no message')
      .split('\n')
      .slice(0, FAILURE_LINES_MAX)
      .map((line) => `            ${line}`),
  ])
}

/** One line per runtime that the cases ran on. */
function describeTargets(files) {
  return files.map((file) => `          ${file.name.replace('.test.ts', '').padEnd(10)}${describe([file])}`)
}

function describe(files) {
  const sum = (pick) => files.reduce((total, file) => total + pick(file), 0)
  const parts = [`${sum(({ passed }) => passed)} passed`]
  parts.push(`${sum(({ failed }) => failed)} failed`, `${sum(({ skipped }) => skipped.length)} skipped`)
  return parts.join(', ')
}

function formatTime(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`
}
