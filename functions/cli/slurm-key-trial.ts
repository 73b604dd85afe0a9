/**
 * Whether Slurm's two daemons, or the signer, take what this gateway would send: a real token of a name that nobody has. Such
 * a token is believed like any other where its key is right, and its user has no rights (22.05, 24.11, 26.05, measured).
 */

import { readAll } from '../../src/byte-stream.ts'
import { ERROR_BODY_MAX_BYTES } from '../../src/limits.ts'
import type { VerifierChannel } from '../../src/munge/verifier-channel.ts'
import { formatVersion } from '../../src/operation.ts'
import type { UpstreamAnswer } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import type { EncryptionKey } from '../../src/signer/encryption-key.ts'
import { isTokenRefused, parseSlurmAnswer, readSlurmErrors, type SlurmError } from '../../src/slurm-error.ts'
import { type CommandContext, CommandFailure, UsageError } from './command.ts'
import { find, type Finding, type Said } from './finding.ts'
import { type SlurmrestdConnection, withSlurmrestd } from './slurmrestd.ts'

const NOBODYS_NAME = 'slurmgate-doctor'
/** ESLURMDB_NOTHING_FOUND: 22.05's word for a user that is not there (measured). */
const NOTHING_FOUND = 9003

export async function trySlurmKey(context: CommandContext): Promise<readonly Finding[]> {
  const attempt = (ask: (connection: SlurmrestdConnection) => Promise<Said>) => async (): Promise<Said> => {
    try {
      return await withSlurmrestd(context, new Set(), ask)
    } catch (error) {
      throw error instanceof UsageError ? new CommandFailure(error.message) : error
    }
  }
  return await Promise.all([find('slurmctld', attempt(askSlurmctld)), find('slurmdbd', attempt(askSlurmdbd))])
}

async function askSlurmctld(connection: SlurmrestdConnection): Promise<Said> {
  const { status, errors } = await get(connection, 'slurm', 'diag')
  if (status < 400 && errors.length === 0) return 'takes our Slurm tokens'
  if (isTokenRefused(status, errors)) {
    throw new CommandFailure(
      `refuses our Slurm tokens (HTTP ${status}): is SLURM_JWT_… the key that Slurm has, and was Slurm told to read it?`,
    )
  }
  throw new CommandFailure(`${describe(status, errors)}: does it run, and is SLURM_JWT_… the key it has?`)
}

async function askSlurmdbd(connection: SlurmrestdConnection): Promise<Said> {
  const { status, errors } = await get(connection, 'slurmdb', `user/${NOBODYS_NAME}`)
  // Without AccountingStorageType=accounting_storage/slurmdbd slurmrestd has no such paths (26.05, measured).
  if (status === 404 && errors.length === 0) return { off: 'slurmrestd has no accounting' }
  if (errors.every(({ number }) => number === NOTHING_FOUND) && (status < 400 || errors.length > 0)) {
    return 'takes our Slurm tokens'
  }
  if (isTokenRefused(status, errors)) {
    throw new CommandFailure(
      `refuses our Slurm tokens (HTTP ${status}): it reads keys at its start only, so restart it after a change`,
    )
  }
  // 26.05 says the same of a slurmdbd that is down and of a token it does not take (measured).
  throw new CommandFailure(
    `${describe(status, errors)}: is it down, or was it not restarted since its keys were changed?`,
  )
}

async function get(
  { send, findVersions }: SlurmrestdConnection,
  plugin: 'slurm' | 'slurmdb',
  path: string,
): Promise<{ readonly status: number; readonly errors: readonly SlurmError[] }> {
  const version = (await findVersions()).at(-1)
  if (version === undefined) throw new Outage('versions_unknown', 'no API version is known')
  const answer = await send(
    { slurmUser: NOBODYS_NAME },
    {
      method: 'GET',
      target: `/${plugin}/${formatVersion(version)}/${path}`,
      accept: 'application/json',
      body: null,
      sendBefore: null,
    },
  )
  return { status: answer.status, errors: await readErrors(answer) }
}

/** Many of slurmrestd's errors are plain text. */
async function readErrors({ body }: UpstreamAnswer): Promise<readonly SlurmError[]> {
  const bytes = await readAll(body, ERROR_BODY_MAX_BYTES)
  try {
    return bytes === null ? [] : readSlurmErrors(parseSlurmAnswer(bytes)['errors'])
  } catch {
    return []
  }
}

function describe(status: number, [error]: readonly SlurmError[]): string {
  return `slurmrestd answered ${status}${error === undefined ? '' : `, ${error.description || 'an error'}`}`
}

/** Who says that it signs has opened what this gateway encrypts, and proves it in the answer. */
export async function trySigner(
  channel: Pick<VerifierChannel, 'checkSigner'>,
  encryptionKey: EncryptionKey,
): Promise<Finding> {
  return await find('signer', async () => {
    await channel.checkSigner()
    return `signs, and opens what is encrypted for SIGNER_PUBLIC_KEY, kid ${encryptionKey.keyId}`
  })
}
