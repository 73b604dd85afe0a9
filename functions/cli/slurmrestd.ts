/** slurmrestd as the command line reaches it: with the gateway's own settings, for one command. */

import { readText, type Environment } from '../../src/environment.ts'
import { createGuardedUpstream } from '../../src/guarded-upstream.ts'
import { readSlurmrestd, readVersionSetting, type SlurmrestdAddress } from '../../src/settings.ts'
import { Outage } from '../../src/refusal.ts'
import { createQueuedSlots } from '../../src/slots.ts'
import { readSlurmKey, SLURM_KEY_NAMES } from '../../src/slurm-key-settings.ts'
import {
  createSlurmTokenSource,
  isUsableKey,
  type NamedUser,
  type SlurmKey,
  type SlurmTokenSource,
} from '../../src/slurm-token.ts'
import { createSendUpstream, type SendUpstream } from '../../src/upstream-request.ts'
import { fetchVersions } from '../../src/version-catalog.ts'
import { readKeyFile } from '../node/key-file.ts'
import { createSlurmrestdUpstream } from '../node/slurmrestd-pool.ts'
import { type CommandContext, UsageError } from './command.ts'

/** Of each call. */
export const SLURMRESTD_TIMEOUT_SECONDS = 10
/** The shortest life that the gateway may give one. */
const SLURM_TOKEN_SECONDS = 30

/** The signer signs for credentials that were presented to a gateway, and for no command. */
export const KEY_ELSEWHERE = 'Slurm’s key is the signer’s (SLURM_TOKEN_SIGNER=verifier)'

/** Whether there is no key here, and is not meant to be: then slurmrestd can be asked for its versions, and nothing else. */
export function isKeyElsewhere(env: Environment): boolean {
  return (
    readText(env, 'SLURM_TOKEN_SIGNER') === 'verifier' &&
    SLURM_KEY_NAMES.every((name) => readText(env, name) === null)
  )
}

export interface SlurmrestdConnection {
  /** Without a key: throws Outage `signer_unavailable`. */
  readonly send: SendUpstream<NamedUser>
  /** `SLURM_API_VERSIONS`, or what slurmrestd says, asked each time. @throws Outage */
  readonly findVersions: () => Promise<readonly number[]>
}

/**
 * Closes the connection whatever happens.
 * @throws UsageError with every problem of the settings, by name and never by value.
 */
export async function withSlurmrestd<T>(
  { env, clock }: CommandContext,
  deniedUsers: ReadonlySet<string>,
  work: (connection: SlurmrestdConnection) => Promise<T>,
): Promise<T> {
  const { address, key, versions } = readSettings(env)
  if (key !== null && !(await isUsableKey(key))) {
    throw new UsageError('SLURM_JWT_RS256_JWK (or its _FILE) is no usable key')
  }
  const connection = createSlurmrestdUpstream(address, 1)
  const upstream = createGuardedUpstream(connection)
  const timeoutMilliseconds = SLURMRESTD_TIMEOUT_SECONDS * 1000
  const send = createSendUpstream({
    upstream,
    slurmTokens:
      key === null
        ? NO_TOKENS
        : createSlurmTokenSource({ key, lifespanSeconds: SLURM_TOKEN_SECONDS, deniedUsers, now: clock }),
    slots: createQueuedSlots({ all: 1, accounting: 1, perCaller: 1 }),
    nameCaller: ({ slurmUser }) => slurmUser,
    timeoutMilliseconds,
    now: clock,
  })
  const findVersions = (): Promise<readonly number[]> =>
    versions === 'auto' ? fetchVersions({ upstream, timeoutMilliseconds }) : Promise.resolve(versions)
  try {
    return await work({ send, findVersions })
  } finally {
    void connection.close().catch(() => undefined)
  }
}

const NO_TOKENS: SlurmTokenSource<NamedUser> = {
  confirm: null,
  findToken: () => Promise.reject(new Outage('signer_unavailable', KEY_ELSEWHERE)),
}

/** `key`: null where it is elsewhere. */
function readSettings(env: Environment): {
  address: SlurmrestdAddress
  key: SlurmKey | null
  versions: 'auto' | readonly number[]
} {
  const problems: string[] = []
  const address = readSlurmrestd({ env, runtime: 'node' }, problems)
  const key = isKeyElsewhere(env) ? null : readSlurmKey({ env, readKeyFile }, problems)
  const versions = readVersionSetting(env, problems)
  if (problems.length === 0 && address !== null) return { address, key, versions }
  throw new UsageError(`${problems.join('; ')} (set them as the gateway has them)`)
}
