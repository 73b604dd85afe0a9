/** The MUNGE verifier inside this process: munged's socket, the name service and the policy put together. */

import { createClockAlarm } from '../../src/clock-alarm.ts'
import { createMungedClient } from '../../src/munge/munged-client.ts'
import type { MungePolicy } from '../../src/munge/verifier-settings.ts'
import { createMungeVerifier, type CredentialVerifier } from '../../src/munge/verify-credential.ts'
import type { Clock, Log } from '../../src/ports.ts'
import type { HostMapWatch } from './host-map-watch.ts'
import { createMungedSocket } from './munged-socket.ts'
import { createNameService } from './name-service.ts'
import { nodeSha256 } from './node-sha256.ts'

/** Opens nothing yet: a munged that is not there is an outage of each call. */
export function createLocalVerifier(parts: {
  policy: MungePolicy
  /** null: nothing is mapped. */
  hostMap: HostMapWatch | null
  clock: Clock
  log: Log
}): CredentialVerifier {
  return createMungeVerifier({
    munged: createMungedClient(createMungedSocket({ path: parts.policy.socketPath }), {
      clock: parts.clock,
      watchClock: createClockAlarm(parts),
    }),
    findUserName: createNameService({ clock: parts.clock }),
    policy: parts.policy,
    findHostMap: () => parts.hostMap?.findHostMap() ?? null,
    log: parts.log,
    sha256: nodeSha256,
  })
}
