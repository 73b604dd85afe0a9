/** The API tokens of the cases, issued through the real CLI. */

import { createHash, randomBytes } from 'node:crypto'
import { sleep } from '../support/program.ts'
import type { Surroundings } from '../support/surroundings.ts'

export interface IssuedToken {
  readonly id: string
  /** The token itself. */
  readonly text: string
}

const ALL_SCOPES = 'slurm:read,slurmdb:read,slurm:jobs:manage'

/** `user`: null is the ordinary user. `account`: null is `--any-account`. */
const TOKENS = {
  /** The usual restricted token: all public scopes, confined to proj_a. */
  confined: { account: 'proj_a', scope: ALL_SCOPES },
  free: { account: null, scope: ALL_SCOPES },
  reader: { account: null, scope: 'slurm:read' },
  accountingReader: { account: null, scope: 'slurmdb:read' },
  confinedAccountingReader: { account: 'proj_a', scope: 'slurmdb:read' },
  manager: { account: 'proj_a', scope: 'slurm:jobs:manage' },
  jwt: { account: 'proj_a', scope: ALL_SCOPES, more: ['--format', 'jwt'] },
  imported: { account: 'proj_a', scope: ALL_SCOPES, more: ['--token-from-stdin'] },
  expired: { account: 'proj_a', scope: ALL_SCOPES },
  revoked: { account: 'proj_a', scope: ALL_SCOPES },
  bob: { account: 'proj_a', scope: ALL_SCOPES, user: 'bob' },
  /** The gateway denies carol, the CLI that issued it did not yet: as after a change of policy. */
  denied: { account: null, scope: ALL_SCOPES, user: 'carol' },
} as const satisfies Record<
  string,
  { account: string | null; scope: string; user?: string; more?: readonly string[] }
>

export type TokenName = keyof typeof TOKENS

/** How long a start of the CLI may take on a busy machine: the shorter is tried first. */
const EXPIRES_SOON_SECONDS = [5, 30] as const

/** Issues all of them; the expired one has expired and the revoked one is revoked when this returns. */
export async function issueTokens(world: Surroundings): Promise<Record<TokenName, IssuedToken>> {
  const [expired, expiresAt] = await issueExpiringSoon(world)
  const names = (Object.keys(TOKENS) as TokenName[]).filter((name) => name !== 'expired')
  const issued = await Promise.all(
    names.map(async (name) => [name, await issueToken(world, name, null)] as const),
  )
  const tokens = Object.fromEntries([...issued, ['expired', expired]]) as Record<TokenName, IssuedToken>
  await world.runCli(['token', 'revoke', tokens.revoked.id])
  await sleep(Math.max(0, expiresAt + 1000 - Date.now()))
  return tokens
}

async function issueExpiringSoon(world: Surroundings): Promise<[token: IssuedToken, expiresAt: number]> {
  let failure: unknown = null
  for (const seconds of EXPIRES_SOON_SECONDS) {
    const expiresAt = Date.now() + seconds * 1000
    try {
      return [await issueToken(world, 'expired', expiresAt), expiresAt]
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

async function issueToken(
  world: Surroundings,
  name: TokenName,
  expiresAt: number | null,
): Promise<IssuedToken> {
  const settings: { account: string | null; scope: string; user?: string; more?: readonly string[] } =
    TOKENS[name]
  const parameters = [
    'token',
    'issue',
    ...['--name', `conformance ${name}`, '--user', settings.user ?? world.users.ordinary.name],
    ...(settings.account === null ? ['--any-account'] : ['--account', settings.account]),
    ...['--scope', settings.scope, '--issued-by', 'conformance', '--json'],
    ...(settings.more ?? []),
    ...(expiresAt === null ? [] : ['--expires', new Date(expiresAt).toISOString()]),
  ]
  const output = await world.runCli(parameters, {
    ...(name === 'imported' ? { input: `${buildForeignToken()}\n` } : {}),
  })
  const { id, token } = JSON.parse(output) as { id?: unknown; token?: unknown }
  if (typeof id !== 'string' || typeof token !== 'string')
    throw new Error('token issue --json: no id or token')
  world.secrets.add(token)
  return { id, text: token }
}

/** In the form of another system's token: RFC 6750 syntax, not ours. */
function buildForeignToken(): string {
  return createHash('sha256').update(randomBytes(32)).digest('base64').replaceAll('=', '') + '~._-'
}
