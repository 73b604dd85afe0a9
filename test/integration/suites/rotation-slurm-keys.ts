/**
 * Slurm's keys are exchanged while callers go on: under RS256 with an overlap, under HS256 by way of RS256, nobody notices;
 * under HS256 alone there is a gap, in which nothing is done twice. What Slurm reads when is measured here too.
 */

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { chownSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { slurmUid } from '../../../functions/up/cluster-config.ts'
import { runCli } from '../../support/cli.ts'
import { Front } from '../../support/front.ts'
import { requestRaw, type RawRequest } from '../../support/raw-http.ts'
import { startSteadyCaller } from '../../support/steady-caller.ts'
import type { Environment } from '../../support/surroundings.ts'
import {
  bearer,
  buildJob,
  JSON_TYPE,
  parseAnswer,
  type RealCluster,
  type RealGateway,
} from '../real-cluster.ts'

const JOB_NAME = 'rotation'
/** Slurm keeps ended jobs for minutes, and tells them all to whoever asks for jobs. */
const SUBMIT_REST_MILLISECONDS = 200
const HS256_FILE = 'jwt_hs256.key'
const JWKS_FILE = 'jwks.json'

export function describeSlurmKeyRotation(requireCluster: () => RealCluster): void {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-rotation-'))
  let token = ''
  let front: Front | null = null
  let gateway: RealGateway | null = null
  const before = new Map<string, Buffer>()

  /** Where Slurm reads it; exchanged at once, as an operator should. */
  const keyPath = (name: string): string => join(requireCluster().slurm.instanceDir, 'state/keys', name)
  const installKey = (name: string, bytes: Uint8Array | string): void => {
    const path = keyPath(name)
    writeFileSync(`${path}.new`, bytes, { mode: 0o600 })
    chownSync(`${path}.new`, slurmUid, slurmUid)
    renameSync(`${path}.new`, path)
  }
  const reconfigure = async (): Promise<void> => {
    const { code, stderr } = await requireCluster().slurm.run(['scontrol', 'reconfigure'])
    expect(code, stderr).toBe(0)
  }
  const readKeysAnew = async (): Promise<void> => {
    await reconfigure()
    await requireCluster().slurm.restart('slurmdbd')
  }

  beforeAll(async () => {
    for (const name of [HS256_FILE, JWKS_FILE]) before.set(name, readFileSync(keyPath(name)))
    token = await requireCluster().issueToken(null)
  })
  afterAll(async () => {
    await gateway?.stop()
    await front?.stop()
    for (const [name, bytes] of before) installKey(name, bytes)
    await readKeysAnew()
    await requireCluster().slurm.run(['scancel', '--user=alice', `--name=${JOB_NAME}`])
    rmSync(directory, { recursive: true, force: true })
  })

  /** A new gateway takes the place of the one that serves, which answers what it has and ends. */
  async function replaceGateway(
    environment: Environment,
    betweenStartAndSwitch?: () => Promise<void>,
  ): Promise<void> {
    const old = gateway
    gateway = await requireCluster().startGateway(environment)
    await betweenStartAndSwitch?.()
    if (front === null) front = await Front.start(gateway.port)
    else front.pointTo(gateway.port)
    await old?.stop()
  }
  const call = (request: RawRequest) =>
    requestRaw({ host: '127.0.0.1', port: front?.port ?? 0 }, request, { timeoutMilliseconds: 30_000 })
  const read = (target: string) => () => call({ method: 'GET', target, headers: [bearer(token)] })
  const submit = () =>
    call({
      method: 'POST',
      target: '/slurm/latest/job/submit',
      headers: [bearer(token), JSON_TYPE],
      body: buildJob({ name: JOB_NAME }),
    })
  const startCallers = () =>
    [
      startSteadyCaller(read('/slurm/latest/diag')),
      startSteadyCaller(submit, SUBMIT_REST_MILLISECONDS),
    ] as const

  async function countJobs(): Promise<number> {
    const { stdout } = await requireCluster().slurm.run(['squeue', '-h', '-n', JOB_NAME, '-o', '%i'])
    return stdout.split('\n').filter((line) => line !== '').length
  }

  /** What a gateway with this key gets of slurmctld and of slurmdbd, and what doctor says. */
  async function ask(environment: Environment): Promise<readonly string[]> {
    const tried = await requireCluster().startGateway(environment)
    const answers = await Promise.all(
      ['/slurm/latest/jobs', '/slurmdb/latest/users'].map((target) =>
        tried.call({ method: 'GET', target, headers: [bearer(token)] }),
      ),
    )
    await tried.stop()
    return answers.map((answer) => `${String(answer.status)} ${parseAnswer(answer).errors?.[0]?.error ?? ''}`)
  }
  async function diagnose(environment: Environment): Promise<readonly string[]> {
    const { databaseUrl, slurm, munged } = requireCluster()
    const { stdout } = await runCli(['doctor', '--json'], {
      environment: {
        DATABASE_URL: databaseUrl,
        SLURMRESTD_URL: slurm.slurmrestdUrl,
        MUNGE_SOCKET: munged.socket,
        ...environment,
      },
    })
    const found = JSON.parse(stdout) as { dependency: string; state: string }[]
    return ['slurmctld', 'slurmdbd'].map(
      (name) => found.find(({ dependency }) => dependency === name)?.state ?? '',
    )
  }

  const useHs256 = (name: string, bytes: Uint8Array): Environment => {
    const path = join(directory, name)
    writeFileSync(path, bytes, { mode: 0o600 })
    return { SLURM_JWT_HS256_KEY_FILE: path }
  }
  const useRs256 = (path: string): Environment => ({
    SLURM_JWT_HS256_KEY_FILE: undefined,
    SLURM_JWT_RS256_JWK_FILE: path,
  })
  /** @returns the public half, for Slurm's JWKS, and a gateway's environment with the private one. */
  function makeRs256(kid: string): { readonly jwk: object; readonly environment: Environment } {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const path = join(directory, `${kid}.jwk`)
    writeFileSync(path, JSON.stringify({ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', kid }), {
      mode: 0o600,
    })
    return { jwk: { ...publicKey.export({ format: 'jwk' }), alg: 'RS256', kid }, environment: useRs256(path) }
  }
  const readJwks = (): readonly object[] =>
    (JSON.parse(readFileSync(keyPath(JWKS_FILE), 'utf8')) as { keys: object[] }).keys
  const REFUSED = ['502 slurm_token_refused', '502 slurm_token_refused']

  test('RS256: the new key beside the old one, then the gateway, then the old one out: no call fails', async () => {
    const old = useRs256(requireCluster().slurm.rs256JwkFile)
    const next = makeRs256('next')
    await replaceGateway(old)
    const jobs = await countJobs()
    const [reader, writer] = startCallers()
    installKey(JWKS_FILE, JSON.stringify({ keys: [next.jwk, ...readJwks()] }))
    await reconfigure()
    // slurmdbd reads keys at its start only, and doctor tells.
    expect(await Promise.all([ask(next.environment), diagnose(next.environment)])).toEqual([
      ['200 ', '502 slurm_token_refused'],
      ['ok', 'FAILED'],
    ])
    await requireCluster().slurm.restart('slurmdbd')
    expect(await diagnose(next.environment)).toEqual(['ok', 'ok'])
    const accounting = startSteadyCaller(read('/slurmdb/latest/users'))
    await replaceGateway(next.environment)
    await accounting.waitForCalls(10)
    expect((await accounting.stop()).failures).toEqual({})

    installKey(JWKS_FILE, JSON.stringify({ keys: [next.jwk] }))
    await readKeysAnew()
    await Promise.all([reader, writer].map((caller) => caller.waitForCalls(10)))
    expect(await ask(old)).toEqual(REFUSED)
    expect((await reader.stop()).failures).toEqual({})
    const written = await writer.stop()
    expect(written.failures).toEqual({})
    expect(await countJobs()).toBe(jobs + written.good)
  })

  test('HS256: by way of RS256 no call fails, and the old key is refused afterwards', async () => {
    const between = makeRs256('between')
    const old = useHs256('old.key', before.get(HS256_FILE) ?? new Uint8Array())
    const nextBytes = randomBytes(32)
    const next = useHs256('next.key', nextBytes)
    await replaceGateway(old)
    const jobs = await countJobs()
    const [reader, writer] = startCallers()
    installKey(JWKS_FILE, JSON.stringify({ keys: [between.jwk] }))
    await readKeysAnew()
    await replaceGateway(between.environment)

    installKey(HS256_FILE, nextBytes)
    await readKeysAnew()
    await replaceGateway(next)
    await Promise.all([reader, writer].map((caller) => caller.waitForCalls(10)))
    expect(await ask(old)).toEqual(REFUSED)
    expect((await reader.stop()).failures).toEqual({})
    const written = await writer.stop()
    expect(written.failures).toEqual({})
    expect(await countJobs()).toBe(jobs + written.good)
  })

  test('HS256 at once: calls of the gap are 502 slurm_token_refused, and none of them has happened', async () => {
    const jobs = await countJobs()
    const [reader, writer] = startCallers()
    const nextBytes = randomBytes(32)
    await replaceGateway(useHs256('last.key', nextBytes), async () => {
      installKey(HS256_FILE, nextBytes)
      await readKeysAnew()
      await writer.waitForCalls(4)
    })
    await Promise.all([reader, writer].map((caller) => caller.waitForCalls(10)))
    const [readings, written] = [await reader.stop(), await writer.stop()]
    expect(Object.keys(readings.failures)).toEqual(['502 slurm_token_refused'])
    expect(Object.keys(written.failures)).toEqual(['502 slurm_token_refused'])
    expect(await countJobs()).toBe(jobs + written.good)
  })
}
