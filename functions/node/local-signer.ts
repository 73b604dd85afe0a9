/** The signer inside the verifier's process: Slurm's key, the token store and the replay guard put together. */

import type { MungePolicy } from '../../src/munge/verifier-settings.ts'
import type { Clock, Log } from '../../src/ports.ts'
import { createNamedRateLimit } from '../../src/rate-limit.ts'
import { createRowJudge } from '../../src/signer/row-judge.ts'
import type { SignerSettings } from '../../src/signer/signer-settings.ts'
import { createSigner, type Signer } from '../../src/signer/signer.ts'
import { createSlurmTokenMinter } from '../../src/slurm-token.ts'
import { openDatabase, type Database } from '../../src/tokens/database.ts'
import { createLocalReplayGuard, createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { createSealedTokenStore, type SealedTokenRecord } from '../../src/tokens/sealed-token-store.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { createUidService } from './uid-service.ts'

/** A gateway waits 5 s for its answer: what Postgres did not do has to be said before that. */
export const SIGNER_DATABASE_LIMITS = {
  connectTimeoutSeconds: 3,
  statementTimeoutSeconds: 3,
  deadlineSeconds: 3.5,
}

export interface LocalSigner {
  readonly signer: Signer
  readonly db: Database
  close(): Promise<void>
}

/** Connects to nothing yet: a Postgres that is not there is an outage of each call. */
export function openSigner(
  settings: SignerSettings,
  parts: { policy: Pick<MungePolicy, 'deniedUsers' | 'minUid'>; now: Clock; log: Log },
): LocalSigner {
  const { policy, now, log } = parts
  const { db, close } = openDatabase(settings.databaseUrl, SIGNER_DATABASE_LIMITS)
  const sealed = createSealedTokenStore(db)
  const signer = createSigner<SealedTokenRecord>({
    ...settings,
    ...policy,
    // A gateway reads a body and waits for a slot before it uses one.
    minter: createSlurmTokenMinter({
      ...settings,
      ...policy,
      now,
      spareSeconds: settings.lifespanSeconds / 4,
    }),
    calls: createLocalReplayGuard(now),
    tokens: {
      findByDigest: (digest) => sealed.findSealedByDigest(digest),
      check: () => createTokenStore(db).check(),
    },
    replays:
      settings.replayGuard === 'local'
        ? createLocalReplayGuard(now)
        : createPostgresReplayGuard(db, {
            clock: now,
            uptime: () => performance.now(),
            log,
            maySharePromises: true,
          }),
    checkRow: createRowJudge({ ...settings, ...policy, findUid: createUidService({ clock: now }), now, log }),
    limitRate: createNamedRateLimit({ ...settings, now }),
    now,
    log,
  })
  return { signer, db, close }
}
