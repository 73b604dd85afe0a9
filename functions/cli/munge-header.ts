/**
 * `slurmgate munge-header`: the header line of one request, its MUNGE credential bound to exactly that request. Asks
 * munged itself, as whoever runs it; needs nothing of the gateway's. For a pipe into `curl -H @-`: a credential in an
 * argument stands in `ps`.
 */

import { BODY_LARGEST_BYTES } from '../../src/limits.ts'
import { buildBindingPayload, digestRequest } from '../../src/munge/binding-payload.ts'
import { createMungedClient } from '../../src/munge/munged-client.ts'
import { readSocketPath } from '../../src/munge/verifier-settings.ts'
import { findQuestionProblem } from '../../src/question.ts'
import { createMungedSocket } from '../node/munged-socket.ts'
import { readBodyFile } from './body-file.ts'
import { type Command, type CommandContext, parseOptions, UsageError } from './command.ts'
import { requireSettings } from './configuration.ts'

const OPTIONS = { body: { type: 'string' } } as const

/** What the gate accepts at most (`MUNGE_MAX_TTL_SECONDS`). */
const TTL_SECONDS = 5

export const printMungeHeader: Command = async (args, context) => {
  const { values, positionals } = parseOptions(args, OPTIONS, 2)
  const [method = '', target = ''] = positionals
  // As it stands in the request line: what no client could send is bound to nothing.
  const problem = findQuestionProblem(method, target)
  if (problem !== null) throw new UsageError(problem)
  const path = requireSettings(context.env, readSocketPath)
  const body = values.body === undefined ? new Uint8Array() : await readBody(values.body, context)
  const payload = buildBindingPayload(await digestRequest({ method, target, body }))
  const munged = createMungedClient(createMungedSocket({ path }))
  context.print(`Authorization: MUNGE ${await munged.encode({ ttlSeconds: TTL_SECONDS, payload })}\n`)
  return 0
}

/** @throws UsageError for what no gate would take. */
async function readBody(file: string, context: CommandContext): Promise<Uint8Array<ArrayBuffer>> {
  const body = await readBodyFile(file, BODY_LARGEST_BYTES, context)
  if (body.length <= BODY_LARGEST_BYTES) return body
  throw new UsageError(`the body is longer than ${BODY_LARGEST_BYTES} bytes`)
}
