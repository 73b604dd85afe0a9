/** The gateway's side of a verifier, as a gateway that signs itself has it. */

import { createRemoteVerifier } from '../../src/munge/remote-verifier.ts'
import { createVerifierChannel, type VerifierChannelParts } from '../../src/munge/verifier-channel.ts'
import type { MungeVerifier } from '../../src/ports.ts'

export function buildRemoteVerifier(parts: VerifierChannelParts): MungeVerifier {
  const { sha256 } = parts
  const channel = createVerifierChannel(parts)
  return createRemoteVerifier({ channel, isSignedThere: false, ...(sha256 !== undefined && { sha256 }) })
}
