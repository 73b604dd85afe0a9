/**
 * Real Slurm behind a gateway that has no key: everything works as with one. And an attacker with all that such a gateway
 * has (its shared key, its database user, its place on the network): what he can get, and what he cannot.
 */

import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createVerifierChannel, type VerifierChannel } from '../../../src/munge/verifier-channel.ts'
import type { ClientAddress } from '../../../src/ports.ts'
import { parseEncryptionKey, type EncryptionKey } from '../../../src/signer/encryption-key.ts'
import { encryptToken } from '../../../src/signer/encrypted-token.ts'
import { runProgram, sleep, type Program } from '../../support/program.ts'
import { CLI_PATH, startVerifier, type Environment } from '../../support/surroundings.ts'
import {
  ALICE,
  bearer,
  BOB,
  buildJob,
  JSON_TYPE,
  mungeHeader,
  OTHER_ACCOUNT,
  OWN_ACCOUNT,
  parseAnswer,
  type RealCluster,
  type RealGateway,
} from '../real-cluster.ts'
import { NO_KEY, prepareSigning } from '../signing.ts'

const HERE: ClientAddress = { address: '127.0.0.1', isDirectLoopback: true, hostAddresses: [] }

interface Field {
  readonly signer: { readonly program: Program; readonly port: number }
  readonly gateway: RealGateway
  /** What the gateway is started with: all its secrets. */
  readonly secrets: Environment
  readonly sql: postgres.Sql
  readonly issue: (account: string) => Promise<string>
  readonly runCli: (parameters: readonly string[]) => Promise<string>
}

function digest(token: string): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(token).digest())
}

async function startField(cluster: RealCluster, directory: string): Promise<Field> {
  const signing = await prepareSigning(cluster, directory)
  const signer = await startVerifier(signing.signer)
  const secrets = { ...signing.gateway, MUNGE_VERIFIER_URL: `http://127.0.0.1:${String(signer.port)}` }
  const gateway = await cluster.startGateway({ ...secrets, ...NO_KEY })
  const run = (parameters: readonly string[]): Promise<string> =>
    runProgram(process.execPath, [CLI_PATH, ...parameters], { environment: signing.issuer })
  const names = ['--name', 'signed', '--user', ALICE.name, '--issued-by', 'tests', '--account']
  return {
    signer,
    gateway,
    secrets,
    sql: postgres(cluster.databaseUrl, { max: 1, onnotice: () => undefined }),
    issue: async (account) =>
      (await run(['token', 'issue', ...names, account, '--scope', 'slurm:read,slurm:jobs:manage'])).trimEnd(),
    runCli: run,
  }
}

export function describeSigner(requireCluster: () => RealCluster): void {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-signer-'))
  let field: Field | null = null
  const requireField = (): Field => {
    if (field === null) throw new Error('the signer did not start')
    return field
  }
  beforeAll(async () => {
    field = await startField(requireCluster(), directory)
  })
  afterAll(async () => {
    await field?.gateway.stop()
    await field?.signer.program.stop()
    await field?.sql.end()
    rmSync(directory, { recursive: true, force: true })
  })

  test('the gateway starts without a key, and says who signs', () => {
    const { gateway, secrets } = requireField()
    expect(Object.keys(secrets).filter((name) => /^SLURM_JWT_|^TOKEN_KEY/.test(name))).toEqual([])
    expect(gateway.program.stdout).toContain('"slurmTokenSigner":"verifier"')
  })

  test('a submission by API token and its cancellation do in Slurm what they do elsewhere', async () => {
    const { gateway, issue } = requireField()
    const token = await issue(OWN_ACCOUNT)
    const headers = [bearer(token), JSON_TYPE]
    const body = buildJob({ account: OWN_ACCOUNT })
    const submitted = parseAnswer(
      await gateway.call({ method: 'POST', target: '/slurm/latest/job/submit', headers, body }),
    )
    expect(submitted.errors ?? []).toEqual([])
    const jobId = String(submitted.job_id ?? '')
    const { stdout } = await requireCluster().slurm.run(['squeue', '-h', '-j', jobId, '-o', '%u %a'])
    expect(stdout.trim()).toBe(`alice ${OWN_ACCOUNT}`)
    const cancelled = await gateway.call({
      method: 'DELETE',
      target: `/slurm/latest/job/${jobId}`,
      headers: [bearer(token)],
    })
    expect(cancelled.status).toBe(200)
    const other = await gateway.call({
      method: 'POST',
      target: '/slurm/latest/job/submit',
      headers,
      body: buildJob({ account: OTHER_ACCOUNT }),
    })
    expect(other.status).toBe(403)
  })

  test('a MUNGE credential is its user, once', async () => {
    const { gateway } = requireField()
    const credential = requireCluster().makeCredential(undefined, BOB)
    const call = { method: 'GET', target: '/slurm/latest/jobs', headers: [mungeHeader(credential)] }
    expect((await gateway.call(call)).status).toBe(200)
    const replay = await gateway.call(call)
    expect([replay.status, replay.body.toString('utf8').includes('munge_replayed')]).toEqual([401, true])
  })

  test('the signer writes each of its decisions down, and no secret', async () => {
    const { signer, gateway, issue } = requireField()
    const token = await issue(OWN_ACCOUNT)
    await gateway.call({ method: 'GET', target: '/slurm/latest/jobs', headers: [bearer(token)] })
    const lines = signer.program.stdout
    expect(lines).toMatch(
      /"event":"signer_decision","outcome":"signed","rule":null,"method":"token","user":"alice"/,
    )
    expect(lines).toMatch(/"event":"munge_decision","outcome":"accepted".*"user":"bob".*"signed":true/)
    expect(lines).not.toContain(token)
    expect(lines).not.toMatch(/eyJ[\w-]+\.[\w-]+\./)
  })

  describe('with everything the gateway has', () => {
    const keyOf = ({ secrets }: Pick<Field, 'secrets'>): EncryptionKey => {
      const key = parseEncryptionKey(secrets['SIGNER_PUBLIC_KEY'] ?? '')
      if (typeof key === 'string') throw new Error(key)
      return key
    }
    const channelOf = ({ secrets }: Pick<Field, 'secrets'>): VerifierChannel =>
      createVerifierChannel({
        url: new URL(secrets['MUNGE_VERIFIER_URL'] ?? ''),
        keys: [Uint8Array.from(Buffer.from(secrets['MUNGE_VERIFIER_KEY'] ?? '', 'base64'))],
        fetch,
        clock: Date.now,
        randomBytes: (length) => Uint8Array.from(randomBytes(length)),
        encryptionKey: keyOf({ secrets }),
      })
    const askForToken = async (found: Field, token: string) => {
      const channel = channelOf(found)
      const pending = await channel.end.signTokenRequest((binding) =>
        encryptToken(token, binding, keyOf(found)),
      )
      return channel.ask(pending, { encrypted: pending.encrypted })
    }

    test('a Slurm token of at most 120 s for whoever presented an API token, and for nobody else', async () => {
      const found = requireField()
      const verdict = await askForToken(found, await found.issue(OWN_ACCOUNT))
      if (verdict.kind !== 'signed') throw new Error(verdict.kind)
      const { sun, iat = 0, exp = 0 } = decodeJwt(verdict.signed.slurmToken.token)
      expect(sun).toBe('alice')
      expect(exp - iat).toBeLessThanOrEqual(120)
      const guessed = `slg_${'A'.repeat(43)}000000`
      expect(await askForToken(found, guessed)).toMatchObject({ kind: 'refusal' })
      expect(await askForToken(found, 'alice')).toMatchObject({ kind: 'refusal' })
    })

    test('a recorded call, and a token recorded in its encrypted form, are worth nothing again (replay)', async () => {
      const found = requireField()
      const channel = channelOf(found)
      const token = await found.issue(OWN_ACCOUNT)
      const first = await channel.end.signTokenRequest((binding) =>
        encryptToken(token, binding, keyOf(found)),
      )
      expect((await channel.ask(first, { encrypted: first.encrypted })).kind).toBe('signed')
      // The ciphertext of then, in a request of now.
      const second = await channel.end.signTokenRequest(() => Promise.resolve(first.encrypted))
      await expect(channel.ask(second, { encrypted: second.encrypted })).rejects.toMatchObject({
        rule: 'signer_unavailable',
      })
    })

    test('nothing for a MUNGE credential that was used, nor for a user who made none', async () => {
      const found = requireField()
      const channel = channelOf(found)
      const credential = requireCluster().makeCredential(undefined, ALICE)
      const ask = async () =>
        channel.ask(await channel.end.signRequest(credential, HERE, 'whole'), { credential })
      expect(await ask()).toMatchObject({ kind: 'claimed', identity: { user: 'alice' } })
      expect(await ask()).toMatchObject({ kind: 'refusal', refusal: { rule: 'munge_replayed' } })
      const made = await channel.end.signRequest('MUNGE:AAAA:', HERE, 'whole')
      expect(await channel.ask(made, { credential: 'MUNGE:AAAA:' })).toMatchObject({ kind: 'refusal' })
    })

    test('his database user brings no used credential back (replay)', async () => {
      const found = requireField()
      const credential = requireCluster().makeCredential(undefined, ALICE)
      const channel = channelOf(found)
      const ask = async () =>
        channel.ask(await channel.end.signRequest(credential, HERE, 'whole'), { credential })
      expect(await ask()).toMatchObject({ kind: 'claimed' })
      const before = await found.sql`select credential_digest from munge_replays`
      const sql = postgres(found.secrets['DATABASE_URL'] ?? '', { max: 1, onnotice: () => undefined })
      await sql`delete from munge_replays`
      await sql.end()
      expect(await found.sql`select credential_digest from munge_replays`).toHaveLength(before.length)
    })

    test('his database user neither makes nor changes a token', async () => {
      const { secrets } = requireField()
      const sql = postgres(secrets['DATABASE_URL'] ?? '', { max: 1, onnotice: () => undefined })
      try {
        for (const statement of [
          "update api_tokens set slurm_user = 'bob'",
          'update api_tokens set account = null',
          'update api_tokens set revoked_at = null',
          'insert into api_tokens select * from api_tokens',
          'delete from api_tokens',
          'drop table api_tokens',
        ]) {
          await expect(sql.unsafe(statement), statement).rejects.toMatchObject({ code: '42501' })
        }
      } finally {
        await sql.end()
      }
    })
  })

  describe('who can write the token table', () => {
    const present = async ({ gateway }: Field, token: string) => {
      // A change of the table is told to the gateway within a second.
      await sleep(1_000)
      const answer = await gateway.call({
        method: 'GET',
        target: '/slurm/latest/jobs',
        headers: [bearer(token)],
      })
      return [answer.status, /"error":"(\w+)"/.exec(answer.body.toString('utf8'))?.[1] ?? null]
    }

    test.each([
      ['makes a token another user’s', "slurm_user = 'bob'", 'token_altered'],
      ['takes its restriction away', 'account = null', 'token_altered'],
      ['gives it a later end', "expires_at = now() + interval '10 years'", 'token_altered'],
    ])('and %s is refused, also where the token was in use', async (_what, change, rule) => {
      const found = requireField()
      const token = await found.issue(OWN_ACCOUNT)
      expect(await present(found, token)).toEqual([200, null])
      await found.sql.unsafe(`update api_tokens set ${change} where digest = $1`, [digest(token)])
      expect(await present(found, token)).toEqual([401, rule])
    })

    test('and takes its seal away is refused once it is signed for anew', async () => {
      const found = requireField()
      const token = await found.issue(OWN_ACCOUNT)
      await found.sql`update api_tokens set seal = null, sealed_at = null where digest = ${digest(token)}`
      expect(await present(found, token)).toEqual([401, 'token_not_sealed'])
    })

    test('and makes one that nobody issued, with a digest of his own, is refused', async () => {
      const found = requireField()
      const issued = await found.issue(OWN_ACCOUNT)
      const forged = `forged-${randomBytes(24).toString('hex')}`
      await found.sql.unsafe(
        `insert into api_tokens select 'tok_bbbbbbbbbbbbbbbb', name, slurm_user, $1, scopes, account, 'imported', created_at,
         expires_at, revoked_at, issued_by, policy_version, replaced_by, uid, seal, sealed_at from api_tokens where digest = $2`,
        [digest(forged), digest(issued)],
      )
      expect(await present(found, forged)).toEqual([401, 'token_altered'])
    })

    test('and revives a revoked one is refused', async () => {
      const found = requireField()
      const token = await found.issue(OWN_ACCOUNT)
      const [row] = await found.sql`select id from api_tokens where digest = ${digest(token)}`
      await found.runCli(['token', 'revoke', String(row?.['id'])])
      expect(await present(found, token)).toEqual([401, 'token_revoked'])
      await found.sql`update api_tokens set revoked_at = null where digest = ${digest(token)}`
      expect(await present(found, token)).toEqual([401, 'token_altered'])
    })

    test('is told to the operator each time', () => {
      expect(requireField().signer.program.stdout).toMatch(/"level":"error","event":"token_row_refused"/)
    })
  })
}
