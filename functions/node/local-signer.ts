/** The signer inside the verifier's process: Slurm's key, the token store and the replay guard put together. */

import type { Clock, Log } from '../../src/ports.ts'
import { createNamedRateLimit } from '../../src/rate-limit.ts'
import type { SignerSettings } from '../../src/signer/signer-settings.ts'
import { createSigner, type Signer } from '../../src/signer/signer.ts'
import { createSlurmTokenMinter } from '../../src/slurm-token.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'

/** A gateway waits 5 s for its answer: what Postgres did not do has to be said before that. */
const DATABASE_LIMITS = { connectTimeoutSeconds: 3, statementTimeoutSeconds: 3, deadlineSeconds: 3.5 }

/** Connects to nothing yet: a Postgres that is not there is an outage of each call. */
export function openSigner(
  settings: SignerSettings,
  parts: { deniedUsers: ReadonlySet<string>; now: Clock; log: Log },
): { readonly signer: Signer; close(): Promise<void> } {
  const { deniedUsers, now, log } = parts
  const { db, close } = openDatabase(settings.databaseUrl, DATABASE_LIMITS)
  const signer = createSigner({
    ...settings,
    ...parts,
    minter: createSlurmTokenMinter({ ...settings, deniedUsers, now }),
    tokens: createTokenStore(db),
    replays: createPostgresReplayGuard(db, { clock: now, log, maySharePromises: true }),
    checkRow: () => Promise.resolve(null),
    limitRate: createNamedRateLimit({ ...settings, now }),
  })
  return { signer, close }
}
