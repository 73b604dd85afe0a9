/**
 * What `npm test` runs, from a bare clone too: prepares, then every part in turn, and says at the end what passed,
 * failed and was skipped, and why. Plain JavaScript, because nothing is installed yet. Parts by name: `unit`, …
 */

import { randomInt } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { enclose, isEnclosed } from './run/enclosure.mjs'
import { install } from '../functions/install.mjs'
import { installNode24, installPackages } from './run/install.mjs'
import { unpackPgBouncer } from './run/pgbouncer.mjs'
import { findClusterObstacle } from './run/obstacles.mjs'
import { endAll, runStep } from './run/step.mjs'
import { printSummary } from './run/summary.mjs'
import { runVitest } from './run/vitest.mjs'

const MINUTE = 60_000
const OVERALL_LIMIT = 85 * MINUTE
const SHARE_SEED = '4711'
/** Tests wait most of their time: for programs to start, and for time limits. So more of them run at once than there are cores. */
const UNIT_WORKERS = `--maxWorkers=${Math.max(3, availableParallelism() - 1)}`
/** Both runtimes, with each signer. */
const CONFORMANCE_WORKERS = '--maxWorkers=4'
const PARTS = ['check', 'unit', 'conformance', 'integration', 'adversarial', 'node24']

const asked = process.argv.slice(2)
const unknown = asked.filter((part) => !PARTS.includes(part))
if (unknown.length > 0) {
  console.error(`unknown part: ${unknown.join(', ')}; parts are ${PARTS.join(', ')}`)
  process.exit(2)
}
/** For machines that can run every part: a part that was skipped fails the run. */
const isStrict = process.env['SLURMGATE_TEST_STRICT'] === 'yes'
const isWanted = (part) => asked.length === 0 || asked.includes(part)

const results = []
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    void endAll().then(() => process.exit(130))
  })
}
const overall = setTimeout(() => {
  console.error(`npm test: not done within ${OVERALL_LIMIT / MINUTE} minutes`)
  void endAll().then(() => {
    printSummary(results)
    process.exit(1)
  })
}, OVERALL_LIMIT)
overall.unref()

if (isEnclosed()) {
  await runParts()
} else {
  const prepared = await prepare()
  if (!prepared) {
    printSummary(results)
    process.exit(1)
  }
  for (const { name, skipped } of results) {
    if (skipped !== undefined) console.error(`npm test: ${name}: ${skipped}`)
  }
  const code = await enclose(process.argv.slice(1))
  if (code !== null) process.exit(code)
  await runParts()
}

async function prepare() {
  for (const [name, work] of [
    ['npm packages and build', installAndBuild],
    ['Debian packages', installPackages],
    ['PgBouncer', unpackPgBouncer],
  ]) {
    const result = await work()
    results.push({ name, ...result })
    const { ok } = result
    if (!ok) return false
  }
  return true
}

async function installAndBuild() {
  const startedAt = Date.now()
  const note = await install().then(() => undefined, String)
  return { ok: note === undefined, note, milliseconds: Date.now() - startedAt }
}

async function runParts() {
  if (isWanted('check')) {
    results.push({ name: 'check', ...(await runStep('npm', ['run', '-s', 'check'], { limit: 6 * MINUTE })) })
  }
  if (isWanted('unit'))
    results.push(await runVitest('unit', { limit: 15 * MINUTE, parameters: [UNIT_WORKERS] }))
  if (isWanted('conformance'))
    results.push(await runVitest('conformance', { limit: 20 * MINUTE, parameters: [CONFORMANCE_WORKERS] }))
  if (isWanted('integration')) results.push(...(await runIntegration()))
  if (isWanted('adversarial')) results.push(await runAdversarial())
  if (isWanted('node24')) await runOnNode24()
  printSummary(results)
  const isGood = results.every(({ ok, skipped }) => ok && (skipped === undefined || !isStrict))
  process.exit(isGood ? 0 : 1)
}

function runIntegration() {
  const obstacle = findClusterObstacle()
  if (obstacle !== null) return [{ name: 'integration', ok: true, skipped: obstacle, milliseconds: 0 }]
  // Beside all the others: it waits most of its time, for what was signed to be used up.
  const rotation = 'test/integration/rotation-versions.test.ts'
  return Promise.all([
    runVitest('integration', { limit: 40 * MINUTE, parameters: ['--exclude', rotation] }),
    runVitest('integration', { limit: 40 * MINUTE, file: rotation, label: 'rotation on 22.05 and 26.05' }),
  ])
}

/** A tenth of the full run, unless ADVERSARIAL_SHARE (percent) says otherwise: `npm run test:adversarial` runs all of it. */
function runAdversarial() {
  const obstacle = findClusterObstacle()
  if (obstacle !== null) return { name: 'adversarial', ok: true, skipped: obstacle, milliseconds: 0 }
  const share = process.env['ADVERSARIAL_SHARE'] ?? '10'
  // One for all its files, so that one number repeats the run. The share is always the same one, so that what fails there
  // is the change's and not the dice's; all of it throws new dice.
  const seed = process.env['ADVERSARIAL_SEED'] ?? (share === '100' ? String(randomInt(2 ** 31)) : SHARE_SEED)
  // `npm run test:identities` runs one of its files alone.
  const file = process.env['ADVERSARIAL_FILE']
  return runVitest('adversarial', {
    limit: 60 * MINUTE,
    ...(file === undefined ? {} : { file }),
    env: { ADVERSARIAL_SHARE: share, ADVERSARIAL_SEED: seed },
    // The decision run and the three Slurms side by side, whatever the number of cores.
    parameters: ['--maxWorkers=4'],
    reportVariable: 'ADVERSARIAL_REPORT_FILE',
  })
}

/**
 * The same unit and conformance tests again; child processes of the tests use that Node too. workerd is a program of its
 * own, the same one under every Node: its half of the conformance cases is not run again.
 */
async function runOnNode24() {
  const { binary, reason } = await installNode24()
  if (binary === null) {
    results.push({ name: 'unit and conformance on Node 24', ok: true, skipped: reason, milliseconds: 0 })
    return
  }
  // Side by side: both wait most of their time.
  const runs = await Promise.all([
    runVitest('unit', {
      limit: 10 * MINUTE,
      node: binary,
      label: 'unit on Node 24',
      env: { SLURMGATE_MILLION_TOKENS: 'no' },
      parameters: [UNIT_WORKERS],
    }),
    runVitest('conformance', {
      limit: 15 * MINUTE,
      file: 'test/conformance/node.test.ts',
      node: binary,
      label: 'conformance on Node 24, Node alone',
    }),
  ])
  results.push(...runs)
}
