/** The body of a request, from a file or from stdin: the bytes as they are, for what is judged or bound is what is sent. */

import { createReadStream } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { type CommandContext, UsageError } from './command.ts'

/**
 * @param file `-`: stdin.
 * @returns all of it; of more than `maxBytes` at least one byte more, so that whoever judges its length sees it.
 * @throws UsageError for a file that cannot be read.
 */
export async function readBodyFile(
  file: string,
  maxBytes: number,
  context: CommandContext,
): Promise<Uint8Array<ArrayBuffer>> {
  if (file === '-') return await context.readStdin(maxBytes)
  try {
    return new Uint8Array(await buffer(createReadStream(file, { end: maxBytes })))
  } catch {
    throw new UsageError('the file of --body cannot be read')
  }
}
