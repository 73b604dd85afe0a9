/**
 * A database login is exchanged while callers go on, in the order of README.md, and nobody notices; a login that is taken away opens
 * nothing. Each process is one of its own, and Postgres asks for passwords.
 */

import { afterAll, beforeAll, expect, test } from 'vitest'
import { CHANGES_TOLD_MILLISECONDS } from '../../src/limits.ts'
import { createLogin } from '../support/login-role.ts'
import { describeAnswer, LoginStand } from '../support/login-stand.ts'
import { closeLogin } from '../support/password-runbook.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { sleep, waitUntil } from '../support/program.ts'
import type { RawAnswer } from '../support/raw-http.ts'
import { createRoleDatabase, type RoleDatabase } from '../support/role-database.ts'
import { startSteadyCaller } from '../support/steady-caller.ts'
import { connect } from '../support/token-database.ts'

const KEPT_MILLISECONDS = CHANGES_TOLD_MILLISECONDS

type Login = Awaited<ReturnType<typeof createLogin>>

let roles: RoleDatabase
let stand: LoginStand
beforeAll(async () => {
  roles = await createRoleDatabase()
  stand = await LoginStand.start()
})
afterAll(async () => {
  await stand.stop()
  await roles.admin.sql.end()
  await stopOwnPostgres()
})

const createMember = (group: 'gateway' | 'issuer'): Promise<Login> =>
  createLogin(roles.admin.url, { memberOf: [`slurmgate_${group}`] })
const countSessions = async ({ name }: Login): Promise<number> =>
  (await roles.admin.sql`select from pg_stat_activity where usename = ${name}`).length

async function issue({ url }: { readonly url: string }): Promise<string> {
  const { exitCode, stdout, stderr } = await stand.issue(url)
  expect(exitCode, stderr).toBe(0)
  return stdout.trim()
}

const replaceSigner = ({ url }: Login): Promise<void> => stand.signer.replace(() => stand.startSigner(url))
const replaceGateway = ({ url }: Login): Promise<void> =>
  stand.gateway.replace(() => stand.startGateway(url, stand.signer.port))
const replaceGatewayAlone = ({ url }: { readonly url: string }): Promise<void> =>
  stand.gateway.replace(() => stand.startGateway(url, null))

/** As after a leak. */
async function endLogin(login: Login): Promise<void> {
  await closeLogin(roles.admin.sql, login.name)
  expect(await countSessions(login)).toBe(0)
}

async function expectRefused({ url }: Login, code: string): Promise<void> {
  const sql = connect(url)
  await expect(sql`select 1`).rejects.toMatchObject({ code })
  await sql.end()
}

test('from one login to another in the same role, signer, gateway, issuer, then the old ones out: no call fails', async () => {
  const [old, next] = [await createMember('gateway'), await createMember('gateway')]
  const [oldStaff, nextStaff] = [await createMember('issuer'), await createMember('issuer')]
  let staff = oldStaff
  await replaceSigner(old)
  await replaceGateway(old)
  const token = await issue(staff)
  const callers = [
    startSteadyCaller(() => stand.callByToken(token)),
    // The signer has not seen it, so that its own login is needed as well.
    startSteadyCaller(async () => stand.callByToken(await issue(staff))),
    startSteadyCaller(() => stand.callByMunge()),
  ]
  const pass = () => Promise.all(callers.map((caller) => caller.waitForCalls(5)))
  await pass()
  expect(await countSessions(old)).toBeGreaterThan(1)

  await replaceSigner(next)
  await pass()
  await replaceGateway(next)
  await pass()
  staff = nextStaff
  await pass()
  await waitUntil('nobody has the old logins', async () =>
    (await Promise.all([old, oldStaff].map(countSessions))).every((count) => count === 0),
  )
  for (const { name } of [old, oldStaff]) await roles.admin.sql.unsafe(`drop role ${name}`)
  await pass()
  const tallies = await Promise.all(callers.map((caller) => caller.stop()))
  expect(tallies.map(({ failures }) => failures)).toEqual([{}, {}, {}])

  await expectRefused(old, '28P01')
  await expectOpensNothing(old, token)
  const { exitCode, stdout, stderr } = await stand.issue(oldStaff.url)
  expect([exitCode, stdout]).toEqual([1, ''])
  expect(stderr).toContain('28P01')
  expect(await stand.diagnose(next.url)).toMatchObject({ 'token store': 'ok', 'database role': 'ok' })
})

/** A gateway that is started with it lets no token through, nor a signer anybody, and doctor says why. */
async function expectOpensNothing(login: Login, token: string): Promise<void> {
  stand.upstream.reset()
  const signer = await stand.startSigner(login.url)
  const signerPorts = [signer.port, null, stand.signer.port]
  const gateways = await Promise.all(signerPorts.map((port) => stand.startGateway(login.url, port)))
  const ask = async (port: number) => [await stand.callByToken(token, port), await stand.callByMunge(port)]
  const answers = await Promise.all(gateways.map(async ({ port }) => (await ask(port)).map(describeAnswer)))
  await Promise.all([...gateways, signer].map((each) => each.stop()))
  expect(answers).toEqual([
    ['503 token_store_unavailable', '503 replay_guard_unavailable'],
    ['503 token_store_unavailable', '503 replay_guard_unavailable'],
    // The signer that serves claims credentials itself, with its own login.
    ['503 token_store_unavailable', '200'],
  ])
  expect(stand.upstream.operations.length).toBe(1)
  for (const { program } of gateways) {
    expect(program.stdout).toContain('28P01 password authentication failed')
    expect(program.stdout).not.toContain(new URL(login.url).password)
  }
  expect(await stand.diagnose(login.url)).toMatchObject({
    'token store': 'FAILED',
    'database role': 'FAILED',
  })
}

/** Calls without a break, and says what came of those that began after some moment. */
function watchAnswers(call: () => Promise<RawAnswer>) {
  const seen: { readonly beganAt: number; readonly answer: string }[] = []
  const caller = startSteadyCaller(async () => {
    const beganAt = Date.now()
    const answer = await call()
    seen.push({ beganAt, answer: describeAnswer(answer) })
    return answer
  })
  return {
    caller,
    list: (since: number): readonly string[] => [
      ...new Set(seen.filter(({ beganAt }) => beganAt >= since).map(({ answer }) => answer)),
    ],
  }
}

test('a login that is closed under a running gateway: 503 within a second, never 401, and open again without a restart', async () => {
  const login = await createMember('gateway')
  await replaceGatewayAlone(login)
  const token = await issue({ url: roles.issuerUrl })
  const [byToken, byMunge] = [
    watchAnswers(() => stand.callByToken(token)),
    watchAnswers(() => stand.callByMunge()),
  ]
  await Promise.all([byToken, byMunge].map(({ caller }) => caller.waitForCalls(10)))
  expect([byToken.list(0), byMunge.list(0)]).toEqual([['200'], ['200']])

  const closedAt = Date.now()
  await endLogin(login)
  const endedAt = Date.now()
  // What is kept of tokens in use counts for a second at most (SECURITY.md, "API tokens").
  await sleep(KEPT_MILLISECONDS)
  stand.upstream.reset()
  await Promise.all([byToken, byMunge].map(({ caller }) => caller.waitForCalls(20)))
  expect(stand.upstream.operations.length).toBe(0)
  expect([byToken.list(endedAt + KEPT_MILLISECONDS), byMunge.list(endedAt)]).toEqual([
    ['503 token_store_unavailable'],
    ['503 replay_guard_unavailable'],
  ])
  const allowed = ['200', '503 token_store_unavailable', '503 replay_guard_unavailable']
  expect(allowed).toEqual(expect.arrayContaining([...byToken.list(closedAt), ...byMunge.list(closedAt)]))

  await roles.admin.sql.unsafe(`alter role ${login.name} login`)
  await waitUntil('it serves again', async () => (await stand.callByToken(token)).status === 200)
  await waitUntil('MUNGE too', async () => (await stand.callByMunge()).status === 200)
})

test('a login that is closed under a running signer: what it has not signed yet is 503, never 401', async () => {
  const [login, signerLogin] = [await createMember('gateway'), await createMember('gateway')]
  await replaceSigner(signerLogin)
  await replaceGateway(login)
  const used = await issue({ url: roles.issuerUrl })
  expect(describeAnswer(await stand.callByToken(used))).toBe('200')
  await endLogin(signerLogin)
  const fresh = await issue({ url: roles.issuerUrl })
  const answers = [await stand.callByToken(fresh), await stand.callByMunge(), await stand.callByToken(used)]
  // The gateway looked the last one up itself, and uses what was signed for it for up to a minute (README.md, "Rotating keys").
  expect(answers.map(describeAnswer)).toEqual([
    '503 token_store_unavailable',
    '503 replay_guard_unavailable',
    '200',
  ])
})

test('a new password alone is no rotation: sessions go on with the old one, each new one is refused it', async () => {
  const login = await createMember('gateway')
  await replaceGatewayAlone(login)
  const token = await issue({ url: roles.issuerUrl })
  expect(describeAnswer(await stand.callByToken(token))).toBe('200')
  const sessions = await countSessions(login)

  const url = new URL(login.url)
  url.password = 'another'
  await roles.admin.sql.unsafe(`alter role ${login.name} password 'another'`)
  expect(await countSessions(login)).toBe(sessions)
  const fresh = await issue({ url: roles.issuerUrl })
  expect(describeAnswer(await stand.callByToken(fresh))).toBe('200')
  await expectRefused(login, '28P01')
  expect(await stand.diagnose(login.url)).toMatchObject({ 'token store': 'FAILED' })

  // As a pool does by itself with what was not used for half a minute.
  await roles.admin
    .sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = ${login.name}`
  await sleep(KEPT_MILLISECONDS)
  expect(describeAnswer(await stand.callByToken(token))).toBe('503 token_store_unavailable')
  await replaceGatewayAlone({ url: url.href })
  expect(describeAnswer(await stand.callByToken(token))).toBe('200')
})
