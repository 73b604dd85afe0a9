/**
 * Asks slurmrestd about the user a token is to act as, with a Slurm token of that same user: nobody else's rights are
 * used, and a user sees itself whatever PrivateData says (measured).
 */

import { readAll } from '../byte-stream.ts'
import { formatVersion } from '../operation.ts'
import { Outage } from '../refusal.ts'
import { parseSlurmAnswer, readSlurmErrors } from '../slurm-error.ts'
import type { NamedUser } from '../slurm-token.ts'
import type { SendUpstream } from '../upstream-request.ts'
import { readServiceUser, type ServiceUser, type ServiceUserWarning } from './service-user.ts'

export interface LookUpPorts {
  readonly send: SendUpstream<NamedUser>
  /** The NN of the v0.0.NN that are served, ascending. */
  readonly findVersions: () => Promise<readonly number[]>
}

/** A user with thousands of associations, at 100 bytes each (measured). */
const ANSWER_MAX_BYTES = 4 * 1024 * 1024
/** Earlier ones always tell both, and refuse a query they do not know (22.05 measured, v0.0.39 from its source). */
const FIRST_VERSION_WITH_QUERY = 40

/**
 * @param slurmUser not a denied user.
 * @throws Outage when nobody answered, or when what was answered does not say it; the message is for the operator.
 */
export async function lookUpUser(slurmUser: string, ports: LookUpPorts): Promise<ServiceUser> {
  const version = (await ports.findVersions()).at(-1)
  if (version === undefined) throw new Outage('versions_unknown', 'no API version is known')
  const query = version >= FIRST_VERSION_WITH_QUERY ? '?with_assocs=true&with_coords=true' : ''
  const answer = await ports.send(
    { slurmUser },
    {
      method: 'GET',
      target: `/slurmdb/${formatVersion(version)}/user/${encodeURIComponent(slurmUser)}${query}`,
      accept: 'application/json',
      body: null,
      sendBefore: null,
    },
  )
  const bytes = await readAll(answer.body, ANSWER_MAX_BYTES)
  const document = bytes === null ? null : parseAnswer(bytes)
  const user = readServiceUser(slurmUser, document)
  if (user !== null) return user
  throw new Outage('upstream_unreachable', describeAnswer(answer.status, document))
}

export function warnOfFailedLookUp(slurmUser: string, reason: string): ServiceUserWarning {
  return {
    code: 'look_up_failed',
    text: `${slurmUser} was not looked up in Slurm's accounting, so nobody knows whether it has one account only: ${reason}`,
  }
}

type Answer = ReturnType<typeof parseSlurmAnswer>

function parseAnswer(bytes: Uint8Array): Answer | null {
  try {
    return parseSlurmAnswer(bytes)
  } catch {
    return null
  }
}

/** slurmrestd says the same of a slurmdbd that is down and of a token it does not take (26.05, measured). */
function describeAnswer(status: number, document: Answer | null): string {
  const [error] = readSlurmErrors(document?.['errors'])
  if (error === undefined) return `slurmrestd answered ${status} without saying it`
  const number = error.number === null ? '' : ` (${error.number})`
  return `slurmrestd answered ${status}: ${error.description || 'an error'}${number}; does slurmdbd run, and is SLURM_JWT_… the key that Slurm has?`
}
