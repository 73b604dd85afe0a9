/** The signer inside the verifier's process: Slurm's key, the token store and the replay guard put together. */

import type { Clock, Log } from '../../src/ports.ts'
import { createNamedRateLimit } from '../../src/rate-limit.ts'
import type { SignerSettings } from '../../src/signer/signer-settings.ts'
import { createSigner, type Signer } from '../../src/signer/signer.ts'
import { createSlurmTokenMinter } from '../../src/slurm-token.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'

/** Connects to nothing yet: a Postgres that is not there is an outage of each call. */
export function openSigner(
  settings: SignerSettings,
  parts: { deniedUsers: ReadonlySet<string>; now: Clock; log: Log },
): { readonly signer: Signer; close(): Promise<void> } {
  const { deniedUsers, now, log } = parts
  const { db, close } = openDatabase(settings.databaseUrl)
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
