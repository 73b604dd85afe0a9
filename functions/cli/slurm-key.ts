/**
 * `slurmgate slurm-key`: an RS256 key pair for Slurm tokens. The private half goes into a file and is never printed; the public
 * one is printed as the JWKS file that Slurm reads, beside the keys that are there already where they are to overlap.
 */

import { readFileSync } from 'node:fs'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'
import { type Command, CommandFailure, parseOptions } from './command.ts'
import { writePrivateFile } from './private-file.ts'

/** RFC 7518 section 3.3: 2048 bits or more. */
const MODULUS_BITS = 3072

/** `slurm-key new FILE`: an existing file is left alone. */
export const makeSlurmKey: Command = async (args, context) => {
  const { positionals } = parseOptions(args, {}, 1)
  const [file = ''] = positionals
  const { privateKey } = await generateKeyPair('RS256', { modulusLength: MODULUS_BITS, extractable: true })
  const jwk = await exportJWK(privateKey)
  const key = { ...jwk, alg: 'RS256', kid: await calculateJwkThumbprint(jwk) }
  writePrivateFile(file, key)
  context.note(`${file} has the private key, for SLURM_JWT_RS256_JWK_FILE; this is a jwks file for Slurm:`)
  context.print(`${JSON.stringify({ keys: [takePublicHalf(key)] })}\n`)
  return 0
}

/** `slurm-key public FILE [--beside JWKS]`: first this one's, then those of that set. */
export const printSlurmKey: Command = (args, context) => {
  const { values, positionals } = parseOptions(args, { beside: { type: 'string' } }, 1)
  const [file = ''] = positionals
  const [key] = readKeys(file)
  if (key === undefined) throw new CommandFailure(`${file} has no key`)
  const others = values.beside === undefined ? [] : readKeys(values.beside)
  const keys = [key, ...others.filter(({ kid }) => kid !== key.kid)].map(takePublicHalf)
  context.print(`${JSON.stringify({ keys })}\n`)
  return Promise.resolve(0)
}

/** What Slurm reads of a key. */
function takePublicHalf({ kty, alg, kid, n, e }: JWK): object {
  return { kty, alg, kid, n, e }
}

/** Of a JSON Web Key, or a set of them. @throws CommandFailure, without a word of the file. */
function readKeys(file: string): readonly JWK[] {
  const parsed = parseFile(file)
  const given: readonly unknown[] = isSet(parsed) ? parsed.keys : [parsed]
  if (given.every(isRsaKey)) return given
  throw new CommandFailure(`${file} must have RSA keys as JSON Web Keys, each with a kid`)
}

function parseFile(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    throw new CommandFailure(`${file} cannot be read as JSON`)
  }
}

function isSet(value: unknown): value is { keys: readonly unknown[] } {
  return typeof value === 'object' && value !== null && 'keys' in value && Array.isArray(value.keys)
}

function isRsaKey(value: unknown): value is JWK {
  if (typeof value !== 'object' || value === null) return false
  const { kty, kid, n, e } = value as Record<string, unknown>
  return kty === 'RSA' && [kid, n, e].every((text) => typeof text === 'string' && text !== '')
}
