/** Whether the verifier holds on to something for each credential: what it holds after many, against after few. */

import { createLocalReplayGuard } from '../../src/tokens/replay-guard.ts'
import { measureRate } from './in-flight.ts'
import type { Held } from './measured-verifier.ts'
import { requireAccepted, type VerifierUnderLoad } from './verifier-under-load.ts'

const FEW = 10_000
const MANY = 1_000_000
const BATCH = 5_000
const IN_FLIGHT = 32
const GROWTH_MAX_BYTES = 10 * 2 ** 20
const TIME_MAX_MILLISECONDS = 20 * 60_000

/** Prints both, and fails the process where the difference is over 10 MiB. @throws where it takes too long. */
export async function measureMemory(
  verifier: VerifierUnderLoad,
  makeBatch: (size: number) => Promise<string[]>,
): Promise<void> {
  // A guard that forgets at once: it is the gateway's, and not what is measured.
  let authenticate = verifier.buildAuthenticate(createLocalReplayGuard(Date.now))
  const endsAt = performance.now() + TIME_MAX_MILLISECONDS
  let done = 0
  const goOn = async (until: number): Promise<Held> => {
    while (done < until) {
      if (performance.now() > endsAt) throw new Error(`${String(done)} verifications took 20 minutes`)
      if (done % 50_000 === 0) authenticate = verifier.buildAuthenticate(createLocalReplayGuard(Date.now))
      await measureRate(await makeBatch(BATCH), IN_FLIGHT, (text) => requireAccepted(authenticate, text))
      done += BATCH
      const lines = verifier.takeDecisions()
      if (lines !== BATCH)
        throw new Error(`${String(lines)} lines in the log about ${String(BATCH)} credentials`)
    }
    return verifier.findHeld()
  }
  const few = await goOn(FEW)
  const many = await goOn(MANY)
  const growth = measure(many) - measure(few)
  process.stdout.write(
    `verifier, heap and external after a forced collection: ${formatMebibytes(measure(few))} after ${String(FEW)} ` +
      `verifications, ${formatMebibytes(measure(many))} after ${String(MANY)} (${formatMebibytes(growth)} more)\n`,
  )
  if (growth > GROWTH_MAX_BYTES) process.exitCode = 1
}

function measure({ heapUsed, external }: Held): number {
  return heapUsed + external
}

function formatMebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
