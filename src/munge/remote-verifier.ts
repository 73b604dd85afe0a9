/** The gateway's side of the verifier: asks it about one MUNGE credential, and has it sign where the gateway does not. */

import type { ClientAddress, MungeIdentity, MungeVerifier } from '../ports.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { parseCredentialString } from './credential-string.ts'
import type { Sha256 } from './sha256.ts'
import { buildMisfit, type VerifierChannel } from './verifier-channel.ts'

export interface RemoteVerifierParts {
  readonly channel: VerifierChannel
  /** Whether the verifier claims credentials and signs Slurm tokens for their users. */
  readonly isSignedThere: boolean
  /** Default: WebCrypto. */
  readonly sha256?: Sha256
}

export function createRemoteVerifier({ channel, isSignedThere, sha256 }: RemoteVerifierParts): MungeVerifier {
  async function verify(raw: string, client: ClientAddress): Promise<MungeIdentity | Refusal> {
    const credential = await parseCredentialString(raw, sha256)
    if (credential === null) return refuse('munge_malformed')
    const pending = await channel.end.signRequest(credential.text, client, isSignedThere)
    const verdict = await channel.ask(pending, { credential: credential.text })
    if (verdict.kind === 'refusal') return verdict.refusal
    if (verdict.kind !== 'identity' || verdict.identity.credentialDigest !== credential.digest) {
      throw buildMisfit()
    }
    // Signed unasked it would count as claimed.
    if ((verdict.identity.slurmToken !== undefined) !== isSignedThere) throw buildMisfit()
    return verdict.identity
  }

  return { verify, check: () => channel.check() }
}
