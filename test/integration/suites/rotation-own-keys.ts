/**
 * The gate's own keys are exchanged while callers by MUNGE and by API token go on, in the order of README.md: the processes
 * take each other's place behind one address, and no call fails. Afterwards the old key is worth nothing.
 */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../support/cli.ts'
import { Place } from '../../support/place.ts'
import { waitUntil } from '../../support/program.ts'
import { requestRaw, type RawAnswer, type RawHeader } from '../../support/raw-http.ts'
import { startSteadyCaller } from '../../support/steady-caller.ts'
import { startVerifier, type Environment } from '../../support/surroundings.ts'
import { ALICE, bearer, mungeHeader, OWN_ACCOUNT, parseAnswer, type RealCluster } from '../real-cluster.ts'
import { NO_KEY, prepareSigning } from '../signing.ts'

export function describeOwnKeyRotation(requireCluster: () => RealCluster): void {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-rotation-'))
  const [verifier, gateway] = [new Place(), new Place()]
  let verifierEnvironment: Environment = {}
  let gatewayEnvironment: Environment = {}
  let issuer: Environment = {}

  async function replaceVerifier(change: Environment): Promise<void> {
    verifierEnvironment = { ...verifierEnvironment, ...change }
    await verifier.replace(async () => {
      const { port, program } = await startVerifier(verifierEnvironment)
      return { port, stop: () => program.stop() }
    })
  }
  async function replaceGateway(change: Environment): Promise<void> {
    gatewayEnvironment = { ...gatewayEnvironment, ...change }
    await gateway.replace(() => requireCluster().startGateway(gatewayEnvironment))
  }

  const run = async (parameters: readonly string[], environment: Environment = issuer): Promise<string> => {
    const { exitCode, stdout, stderr } = await runCli(parameters, { environment })
    expect(exitCode, stderr).toBe(0)
    return stdout.trimEnd()
  }
  const issueNamed = async (environment: Environment = issuer): Promise<{ id: string; token: string }> => {
    const names = ['--name', 'rotated', '--user', ALICE.name, '--account', OWN_ACCOUNT]
    const text = await run(['token', 'issue', ...names, '--scope', 'slurm:read', '--json'], environment)
    return JSON.parse(text) as { id: string; token: string }
  }
  const issue = async (environment?: Environment): Promise<string> => (await issueNamed(environment)).token
  const call = (header: RawHeader, port = gateway.port): Promise<RawAnswer> => {
    const request = { method: 'GET', target: '/slurm/latest/diag', headers: [header] }
    return requestRaw({ host: '127.0.0.1', port }, request, { timeoutMilliseconds: 30_000 })
  }
  const describeAnswer = (answer: RawAnswer): string =>
    `${String(answer.status)} ${parseAnswer(answer).errors?.[0]?.error ?? ''}`
  const present = async (token: string, port?: number): Promise<string> =>
    describeAnswer(await call(bearer(token), port))
  /** Of another gateway beside the one that serves. */
  async function askOther<T>(change: Environment, ask: (port: number) => Promise<T>): Promise<T> {
    const other = await requireCluster().startGateway({ ...gatewayEnvironment, ...change })
    return await ask(other.port).finally(() => other.stop())
  }
  async function diagnose(change: Environment): Promise<readonly string[]> {
    const environment = {
      ...gatewayEnvironment,
      SLURMRESTD_URL: requireCluster().slurm.slurmrestdUrl,
      ...change,
    }
    const { stdout } = await runCli(['doctor', '--json'], { environment })
    const found = JSON.parse(stdout) as { dependency: string; state: string; detail: string }[]
    const { state = '', detail = '' } = found.find(({ dependency }) => dependency === 'signer') ?? {}
    return [state, detail]
  }
  /** A token that the signer has not seen yet has to be good too: for others the gateway has a Slurm token. */
  function startCallers(token: string) {
    const callers = [
      startSteadyCaller(() => call(bearer(token))),
      startSteadyCaller(async () => call(mungeHeader(requireCluster().makeCredential()))),
    ]
    return {
      async pass(): Promise<void> {
        const [fresh] = await Promise.all([
          issue().then(present),
          ...callers.map((each) => each.waitForCalls(5)),
        ])
        expect(fresh).toBe('200 ')
      },
      async expectNoFailure(): Promise<void> {
        const tallies = await Promise.all(callers.map((caller) => caller.stop()))
        expect(tallies.map(({ failures }) => failures)).toEqual([{}, {}])
      },
    }
  }

  const write = (name: string, text: string): string => {
    const path = join(directory, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const makeKey = (): string => randomBytes(32).toString('base64')
  const [newKey, newTokenKey] = [makeKey(), makeKey()]
  let oldKey = ''

  beforeAll(async () => {
    const signing = await prepareSigning(requireCluster(), directory)
    oldKey = signing.gateway['MUNGE_VERIFIER_KEY'] ?? ''
    issuer = signing.issuer
    await replaceVerifier(signing.signer)
    const MUNGE_VERIFIER_URL = `http://127.0.0.1:${String(verifier.port)}`
    await replaceGateway({ ...signing.gateway, ...NO_KEY, MUNGE_VERIFIER_URL })
  })
  afterAll(async () => {
    await gateway.stop()
    await verifier.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test('MUNGE_VERIFIER_KEY: old,new at the verifier, new,old at the gateway, new at both: no call fails', async () => {
    const token = await issue()
    const callers = startCallers(token)
    await replaceVerifier({ MUNGE_VERIFIER_KEY: `${oldKey},${newKey}` })
    await callers.pass()
    await replaceGateway({ MUNGE_VERIFIER_KEY: `${newKey},${oldKey}` })
    await callers.pass()
    await replaceVerifier({ MUNGE_VERIFIER_KEY: newKey })
    await callers.pass()
    await replaceGateway({ MUNGE_VERIFIER_KEY: newKey })
    await callers.pass()
    await callers.expectNoFailure()

    const answers = await askOther({ MUNGE_VERIFIER_KEY: oldKey }, async (port) => [
      describeAnswer(await call(mungeHeader(requireCluster().makeCredential()), port)),
      await present(token, port),
    ])
    expect(answers).toEqual(['503 verifier_unavailable', '503 verifier_unavailable'])
  })

  test('the signer’s key: both at the signer, the new one at the gateway, the old one out: no call fails', async () => {
    const callers = startCallers(await issue())
    const oldPublicKey = gatewayEnvironment['SIGNER_PUBLIC_KEY']
    const nextFile = join(directory, 'second.jwk')
    const SIGNER_PUBLIC_KEY = await run(['signer-key', 'new', nextFile])
    const [next, old] = [nextFile, join(directory, 'signer.jwk')].map((path) => readFileSync(path, 'utf8'))
    const bothFile = write('both.jwk', `{"keys": [${String(next)}, ${String(old)}]}`)
    await replaceVerifier({ SIGNER_PRIVATE_KEY_FILE: bothFile })
    await callers.pass()
    await replaceGateway({ SIGNER_PUBLIC_KEY })
    await callers.pass()
    await replaceVerifier({ SIGNER_PRIVATE_KEY_FILE: nextFile })
    await callers.pass()
    await callers.expectNoFailure()

    const { kid } = JSON.parse(SIGNER_PUBLIC_KEY) as { kid: string }
    expect(await diagnose({})).toEqual(['ok', expect.stringContaining(kid)])
    const token = await issue()
    const change = { SIGNER_PUBLIC_KEY: oldPublicKey }
    expect(await askOther(change, (port) => present(token, port))).toBe('503 signer_unavailable')
    expect((await diagnose(change))[0]).toBe('FAILED')
  })

  test('TOKEN_KEY_FILE: both at the signer, then at the issuer, db seal, the old one out: no call fails', async () => {
    const [kept, revoked] = [await issue(), await issueNamed()]
    const oldIssuer = issuer
    const callers = startCallers(kept)
    const oldTokenKey = readFileSync(join(directory, 'token.key'), 'utf8')
    const both = `${newTokenKey}\n${oldTokenKey}\n`
    await replaceVerifier({ TOKEN_KEY_FILE: write('both-token.key', both) })
    await callers.pass()
    issuer = { ...issuer, TOKEN_KEY_FILE: join(directory, 'both-token.key') }
    await callers.pass()

    // What is revoked in the middle of it is revoked.
    expect(await present(revoked.token)).toBe('200 ')
    await run(['token', 'revoke', revoked.id])
    await waitUntil(
      'it is refused',
      async () => (await present(revoked.token)) === '401 token_revoked',
      6_000,
    )

    const countRows = async (): Promise<readonly number[]> => {
      const { stdout } = await runCli(['db', 'seal', '--check', '--json'], { environment: issuer })
      return (JSON.parse(stdout) as { rows_by_key: number[] }).rows_by_key
    }
    expect((await countRows())[1]).toBeGreaterThan(1)
    // It fails for rows of other tests, which were forged or never sealed.
    await runCli(['db', 'seal'], { environment: issuer })
    expect((await countRows())[1]).toBe(0)
    await callers.pass()
    await replaceVerifier({ TOKEN_KEY_FILE: write('new-token.key', newTokenKey) })
    issuer = { ...issuer, TOKEN_KEY_FILE: join(directory, 'new-token.key') }
    await callers.pass()
    await callers.expectNoFailure()
    expect(await present(await issue(oldIssuer))).toBe('401 token_altered')
  })

  test('doctor with the signer’s environment looks at all of its keys, and at Slurm', async () => {
    const environment = { ...verifierEnvironment, SLURMRESTD_URL: requireCluster().slurm.slurmrestdUrl }
    const { stdout, stderr } = await runCli(['doctor', '--json'], { environment })
    expect(stderr).toBe('')
    const found = JSON.parse(stdout) as { dependency: string; state: string }[]
    const states = new Map(found.map(({ dependency, state }) => [dependency, state]))
    const names = ['slurmctld', 'slurmdbd', 'munge', 'slurm key', 'verifier key', 'token key', 'signer key']
    expect(names.map((name) => [name, states.get(name)])).toEqual(names.map((name) => [name, 'ok']))
  })
}
