/** slurmrestd as the command line reaches it: with the gateway's own settings, for one command. */

import type { Environment } from '../../src/environment.ts'
import { readSlurmrestd, readVersionSetting, type SlurmrestdAddress } from '../../src/settings.ts'
import { createQueuedSlots } from '../../src/slots.ts'
import { readSlurmKey } from '../../src/slurm-key-settings.ts'
import { createSlurmTokenSource, isUsableKey, type NamedUser, type SlurmKey } from '../../src/slurm-token.ts'
import { createSendUpstream, type SendUpstream } from '../../src/upstream-request.ts'
import { fetchVersions } from '../../src/version-catalog.ts'
import { readKeyFile } from '../node/key-file.ts'
import { createUndiciUpstream } from '../node/undici-upstream.ts'
import { type CommandContext, UsageError } from './command.ts'

/** Of each call. */
export const SLURMRESTD_TIMEOUT_SECONDS = 10
/** The shortest life that the gateway may give one. */
const SLURM_TOKEN_SECONDS = 30

export interface SlurmrestdConnection {
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
  if (!(await isUsableKey(key))) {
    throw new UsageError('SLURM_JWT_RS256_JWK (or its _FILE) is no usable key')
  }
  const upstream = createUndiciUpstream(address, 1)
  const timeoutMilliseconds = SLURMRESTD_TIMEOUT_SECONDS * 1000
  const send = createSendUpstream({
    upstream,
    slurmTokens: createSlurmTokenSource({
      key,
      lifespanSeconds: SLURM_TOKEN_SECONDS,
      deniedUsers,
      now: clock,
    }),
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
    void upstream.close().catch(() => undefined)
  }
}

function readSettings(env: Environment): {
  address: SlurmrestdAddress
  key: SlurmKey
  versions: 'auto' | readonly number[]
} {
  const problems: string[] = []
  const address = readSlurmrestd({ env, runtime: 'node' }, problems)
  const key = readSlurmKey({ env, readKeyFile }, problems)
  const versions = readVersionSetting(env, problems)
  if (problems.length === 0 && address !== null && key !== null) return { address, key, versions }
  throw new UsageError(`${problems.join('; ')} (set them as the gateway has them)`)
}
