/**
 * `slurmgate signer-key`: the key pair that API tokens are encrypted with on their way to the signer. The private half goes
 * into a file and is never printed; the public half is for the gateway.
 */

import type { JWK } from 'jose'
import { makeEncryptionKey, parseDecryptionKeys, takePublicHalf } from '../../src/signer/encryption-key.ts'
import { readKeyFile } from '../node/key-file.ts'
import { type Command, CommandFailure, parseOptions } from './command.ts'
import { writePrivateFile } from './private-file.ts'

/** `signer-key new FILE`: an existing file is left alone. */
export const makeSignerKey: Command = async (args, context) => {
  const { positionals } = parseOptions(args, {}, 1)
  const [file = ''] = positionals
  const key = await makeEncryptionKey()
  writePrivateFile(file, key)
  context.note(
    `${file} has the private key, for SIGNER_PRIVATE_KEY_FILE; this is SIGNER_PUBLIC_KEY of the gateway:`,
  )
  printPublicHalf(key, context)
  return 0
}

/** `signer-key public FILE`: of a set, the first one's. */
export const printSignerKey: Command = (args, context) => {
  const { positionals } = parseOptions(args, {}, 1)
  const [file = ''] = positionals
  const bytes = readKeyFile(file)
  const decryptionKeys =
    typeof bytes === 'string' ? bytes : parseDecryptionKeys(new TextDecoder().decode(bytes))
  if (typeof decryptionKeys === 'string') throw new CommandFailure(`${file} ${decryptionKeys}`)
  const [first] = decryptionKeys
  if (first === undefined) throw new CommandFailure(`${file} has no key`)
  printPublicHalf(first.jwk, context)
  return Promise.resolve(0)
}

function printPublicHalf(key: JWK, context: { print(text: string): void }): void {
  context.print(`${JSON.stringify(takePublicHalf(key))}\n`)
}
