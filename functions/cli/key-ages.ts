/**
 * What `slurmgate doctor` says of the keys that the environment names: how old they are, how many there are, and what
 * comes next in a rotation. Says nothing of a key itself but its public name.
 */

import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { sql } from 'drizzle-orm'
import { type Environment, readText } from '../../src/environment.ts'
import { CERTIFICATE_WARN_DAYS, KEY_AGE_MAX_DAYS, TOKEN_END_WARN_DAYS } from '../../src/limits.ts'
import { readExchangeKeys } from '../../src/munge/verifier-settings.ts'
import { parseDecryptionKeys } from '../../src/signer/encryption-key.ts'
import { readSlurmKey, SLURM_KEY_NAMES } from '../../src/slurm-key-settings.ts'
import type { Database } from '../../src/tokens/database.ts'
import { readSealRules } from '../../src/tokens/row-seal-settings.ts'
import { checkSeals } from '../../src/tokens/seal-rows.ts'
import { readKeyFile } from '../node/key-file.ts'
import { type CommandContext, CommandFailure } from './command.ts'
import { type Check, find, type Finding, type Said } from './finding.ts'
import { cleanCell } from './table.ts'

const DAY_MILLISECONDS = 86_400_000
const HOW = 'README.md, "Rotating keys"'

type KeyContext = Pick<CommandContext, 'env' | 'clock'>

/** One for each key that the environment names, and one for the tokens. */
export async function checkKeys(context: KeyContext, db: Database): Promise<readonly Finding[]> {
  const checks: readonly (readonly [names: readonly string[], what: string, check: Check])[] = [
    [SLURM_KEY_NAMES, 'slurm key', () => describeSlurmKey(context)],
    [['MUNGE_VERIFIER_KEY'], 'verifier key', () => describeVerifierKeys(context)],
    [['TOKEN_KEY_FILE'], 'token key', () => describeTokenKeys(context, db)],
    [['SIGNER_PRIVATE_KEY_FILE'], 'signer key', () => describeSignerKeys(context)],
    [['TLS_CERT_FILE'], 'certificate', () => describeCertificate(context)],
  ]
  const named = checks.filter(([names]) => names.some((name) => readText(context.env, name) !== null))
  return await Promise.all([
    ...named.map(([, what, check]) => find(what, check)),
    find('tokens', () => countEndingTokens(db)),
  ])
}

function describeSlurmKey(context: KeyContext): Promise<Said> {
  const { env } = context
  const key = requireRead((problems) => readSlurmKey({ env, readKeyFile }, problems))
  const name = SLURM_KEY_NAMES.find((each) => readText(env, each) !== null) ?? ''
  const kind = key.algorithm === 'HS256' ? 'HS256' : `RS256, kid ${cleanCell(key.keyId)}`
  return Promise.resolve(withAge(kind, name, context))
}

/** In an environment there is no date. */
function describeVerifierKeys({ env }: KeyContext): Promise<Said> {
  const { length } = requireRead((problems) => readExchangeKeys(env, problems))
  if (length === 1) return Promise.resolve('1 key; of what age it is, nothing tells')
  return Promise.resolve(
    underWay(length, 'once whoever is at the other end has the first one, take the others out here'),
  )
}

async function describeTokenKeys(context: KeyContext, db: Database): Promise<Said> {
  const { env } = context
  const seals = requireRead((problems) => readSealRules({ env, readKeyFile }, problems))
  if (seals.keys.length === 1) return withAge('1 key', 'TOKEN_KEY_FILE', context)
  const { rowsByKey, findings } = await checkSeals(db, seals)
  const older = rowsByKey.slice(1).reduce((sum, rows) => sum + rows, 0)
  const wrong =
    findings.length === 0 ? '' : `; ${count(findings.length, 'row')} not counting: slurmgate db seal --check`
  const next =
    older > 0
      ? `${count(older, 'row')} sealed by older keys; next: slurmgate db seal`
      : 'no row needs the older ones; next: take them out, of this file and its copy at the signer'
  return { warning: `${seals.keys.length} keys: a rotation is under way; ${next}${wrong}` }
}

function describeSignerKeys(context: KeyContext): Promise<Said> {
  const name = 'SIGNER_PRIVATE_KEY_FILE'
  const bytes = readKeyFile(readText(context.env, name, { default: '' }))
  const found = typeof bytes === 'string' ? bytes : parseDecryptionKeys(new TextDecoder().decode(bytes))
  if (typeof found === 'string') throw new CommandFailure(`${name} ${found}`)
  const kids = found.map(({ keyId }) => cleanCell(keyId)).join(', ')
  if (found.length === 1) return Promise.resolve(withAge(`1 key, kid ${kids}`, name, context))
  const next = `once every gateway has SIGNER_PUBLIC_KEY of the first, take the others out (kids ${kids})`
  return Promise.resolve(underWay(found.length, next))
}

function describeCertificate({ env, clock }: KeyContext): Promise<Said> {
  const until = readCertificateEnd(readText(env, 'TLS_CERT_FILE', { default: '' }))
  const days = Math.floor((until - clock()) / DAY_MILLISECONDS)
  const date = new Date(until).toISOString().slice(0, 10)
  if (days < 0) throw new CommandFailure(`TLS_CERT_FILE ended on ${date}`)
  const text = `TLS_CERT_FILE ends on ${date}, in ${count(days, 'day')}`
  return Promise.resolve(days < CERTIFICATE_WARN_DAYS ? { warning: `${text}; next: renew it` } : text)
}

function readCertificateEnd(path: string): number {
  try {
    return Date.parse(new X509Certificate(readFileSync(path)).validTo)
  } catch {
    throw new CommandFailure('TLS_CERT_FILE cannot be read as a certificate')
  }
}

/** By the database's clock, as everything about it. */
async function countEndingTokens(db: Database): Promise<Said> {
  const [row] = await db.query((drizzle) =>
    drizzle.execute<{ ending: number }>(sql`
      select pg_catalog.count(*)::int as ending from api_tokens where revoked_at is null and replaced_by is null
        and expires_at between pg_catalog.now() and pg_catalog.now() + pg_catalog.make_interval(days => ${TOKEN_END_WARN_DAYS}::int)`),
  )
  const ending = Number(row?.ending)
  const within = `within ${TOKEN_END_WARN_DAYS} days`
  if (ending === 0) return `none without a successor ends ${within}`
  return {
    warning: `${count(ending, 'token')} without a successor: the end is ${within}; see: slurmgate token list`,
  }
}

/** @param name of the variable; only a file has a date. */
function withAge(text: string, name: string, { env, clock }: KeyContext): Said {
  if (!name.endsWith('_FILE')) return `${name}: ${text}; of what age it is, nothing tells`
  const days = Math.max(0, Math.floor((clock() - readDate(env, name)) / DAY_MILLISECONDS))
  const aged = `${name}: ${text}; by the file's date ${count(days, 'day')} old`
  return days <= KEY_AGE_MAX_DAYS
    ? aged
    : { warning: `${aged}, more than ${KEY_AGE_MAX_DAYS}; next: rotate it (${HOW})` }
}

function readDate(env: Environment, name: string): number {
  try {
    return statSync(readText(env, name, { default: '' })).mtimeMs
  } catch {
    throw new CommandFailure(`${name} cannot be read`)
  }
}

function underWay(keys: number, next: string): Said {
  return { warning: `${keys} keys: a rotation is under way; next: ${next} (${HOW})` }
}

/** @throws CommandFailure with the problems, which name no value. */
function requireRead<T>(read: (problems: string[]) => T | null): T {
  const problems: string[] = []
  const value = read(problems)
  if (problems.length > 0 || value === null) throw new CommandFailure(problems.join('; '))
  return value
}

function count(number: number, noun: string): string {
  return number === 1 ? `1 ${noun}` : `${number} ${noun}s`
}
