/** The gateway's side of the verifier: asks it about one MUNGE credential, and has it sign where the gateway does not. */

import type { ClientAddress, MungeVerifier, SignedIdentity, UnclaimedIdentity } from '../ports.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { isCredentialString, parseCredentialString } from './credential-string.ts'
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
  const ask = async (
    credential: string,
    client: ClientAddress,
    keySent: KeySent | null = null,
  ): Promise<Answer> =>
    channel.ask(await channel.end.signRequest(credential, client, keySent), { credential })

  /** To be claimed here. */
  async function verifyOnly(raw: string, client: ClientAddress): Promise<UnclaimedIdentity | Refusal> {
    const credential = await parseCredentialString(raw, sha256)
    if (credential === null) return refuse('munge_malformed')
    const verdict = await ask(credential.text, client)
    if (verdict.kind === 'refusal') return verdict.refusal
    if (verdict.kind !== 'identity' || verdict.identity.credentialDigest !== credential.digest)
      throw buildMisfit()
    return verdict.identity
  }

  async function haveSigned(raw: string, client: ClientAddress): Promise<SignedIdentity | Refusal> {
    if (!isCredentialString(raw)) return refuse('munge_malformed')
    const first = await ask(raw, client, 'short')
    // Said before anything was decoded, and signed for this very question: so the credential can be asked about once more.
    const verdict = first.kind === 'keyUnknown' ? await ask(raw, client, 'whole') : first
    if (verdict.kind === 'refusal') return verdict.refusal
    // One that nobody has claimed would be good again.
    if (verdict.kind !== 'claimed') throw buildMisfit()
    return verdict.identity
  }

  return { verify: isSignedThere ? haveSigned : verifyOnly, check: () => channel.check() }
}
