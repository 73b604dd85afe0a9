/** `token issue` asks about the token's user first: bounded in time, and a failure is one more warning. */

import { Outage } from '../../src/refusal.ts'
import type { IssueOrder } from '../../src/tokens/issue-rules.ts'
import { lookUpUser, warnOfFailedLookUp } from '../../src/tokens/look-up-user.ts'
import {
  findServiceUserWarnings,
  type ServiceUser,
  type ServiceUserWarning,
} from '../../src/tokens/service-user.ts'
import { type CommandContext, UsageError } from './command.ts'
import { isKeyElsewhere, KEY_ELSEWHERE, SLURMRESTD_TIMEOUT_SECONDS, withSlurmrestd } from './slurmrestd.ts'

export const LOOK_UP_MILLISECONDS = SLURMRESTD_TIMEOUT_SECONDS * 1000

/** Never throws: what could not be found out is said. */
export async function warnOfServiceUser(
  order: IssueOrder,
  deniedUsers: ReadonlySet<string>,
  context: CommandContext,
): Promise<readonly ServiceUserWarning[]> {
  try {
    return findServiceUserWarnings(await lookUp(order.slurmUser, deniedUsers, context), order)
  } catch (cause) {
    const isOurs = cause instanceof Outage || cause instanceof UsageError
    return [warnOfFailedLookUp(order.slurmUser, isOurs ? cause.message : 'the answer is not slurmrestd’s')]
  }
}

async function lookUp(
  slurmUser: string,
  deniedUsers: ReadonlySet<string>,
  context: CommandContext,
): Promise<ServiceUser> {
  if (isKeyElsewhere(context.env)) throw new Outage('signer_unavailable', KEY_ELSEWHERE)
  const timeoutMilliseconds = context.lookUpMilliseconds ?? LOOK_UP_MILLISECONDS
  return await withSlurmrestd(context, deniedUsers, (connection) =>
    failAfter(timeoutMilliseconds, lookUpUser(slurmUser, connection)),
  )
}

async function failAfter<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    const outage = new Outage('upstream_timeout', `no answer from slurmrestd within ${milliseconds / 1000} s`)
    timer = setTimeout(() => reject(outage), milliseconds)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}
