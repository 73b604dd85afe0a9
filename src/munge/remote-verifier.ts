/** The gateway's side of the verifier: asks it about one MUNGE credential, and has it sign where the gateway does not. */

import type { ClientAddress, MungeIdentity, MungeVerifier } from '../ports.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { parseCredentialString } from './credential-string.ts'
import type { KeySent } from './exchange.ts'
import type { Sha256 } from './sha256.ts'
import { buildMisfit, type VerifierChannel } from './verifier-channel.ts'

export interface RemoteVerifierParts {
  readonly channel: VerifierChannel
  /** Whether the verifier claims credentials and signs Slurm tokens for their users. */
  readonly isSignedThere: boolean
  /** Default: WebCrypto. */
  readonly sha256?: Sha256
}

type Answer = Awaited<ReturnType<VerifierChannel['ask']>>

export function createRemoteVerifier({ channel, isSignedThere, sha256 }: RemoteVerifierParts): MungeVerifier {
  async function ask(credential: string, client: ClientAddress): Promise<Answer> {
    const send = async (keySent: KeySent | null): Promise<Answer> =>
      channel.ask(await channel.end.signRequest(credential, client, keySent), { credential })
    const answer = await send(isSignedThere ? 'short' : null)
    // Said before anything was decoded, and signed for this very question: so the credential can be asked about once more.
    return answer.kind === 'keyUnknown' ? send('whole') : answer
  }

  async function verify(raw: string, client: ClientAddress): Promise<MungeIdentity | Refusal> {
    const credential = await parseCredentialString(raw, sha256)
    if (credential === null) return refuse('munge_malformed')
    const verdict = await ask(credential.text, client)
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
