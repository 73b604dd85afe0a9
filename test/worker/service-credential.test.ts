/**
 * On every way of a Worker into the cluster it shows who it is: by a service token of Cloudflare Access or by a client
 * certificate. Real workerd, verifier, Postgres and munged; the door before each service is the tests' own.
 */

import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { Bench } from '../conformance/bench.ts'
import { expectForwarded, expectOutage, readJson } from '../conformance/expect-answer.ts'
import { startWorker, toBindings, type OtherBindings, type StartTarget } from '../support/gateway-target.ts'
import { waitUntil } from '../support/program.ts'
import { makeCertificate, ServiceDoor, type Certificate, type Visit } from '../support/service-door.ts'
import type { Environment } from '../support/surroundings.ts'

type Way = 'access' | 'certificate'
type HopName = 'slurmrestd' | 'verifier'

const HOPS: readonly HopName[] = ['slurmrestd', 'verifier']
const TOKENS = {
  slurmrestd: { id: 'canary-one.access', secret: 'canary-secret-of-slurmrestd' },
  verifier: { id: 'canary-two.access', secret: 'canary-secret-of-the-verifier' },
}
const ACCESS: Environment = {
  SLURMRESTD_ACCESS_CLIENT_ID: TOKENS.slurmrestd.id,
  SLURMRESTD_ACCESS_CLIENT_SECRET: TOKENS.slurmrestd.secret,
  MUNGE_VERIFIER_ACCESS_CLIENT_ID: TOKENS.verifier.id,
  MUNGE_VERIFIER_ACCESS_CLIENT_SECRET: TOKENS.verifier.secret,
}
const NO_ACCESS: Environment = Object.fromEntries(Object.keys(ACCESS).map((name) => [name, undefined]))
const WAY = 'TEST_WAY'
const CERTIFICATE_OF = 'TEST_CERTIFICATE_OF'
const HYPERDRIVE = 'TEST_HYPERDRIVE'

const server = makeCertificate('server', ['localhost'])
const clients = { gateway: makeCertificate('gateway'), stranger: makeCertificate('stranger') }

const stops: (() => Promise<void>)[] = []
let bench: Bench
let doors: Readonly<Record<Way, Readonly<Record<HopName, ServiceDoor>>>> | null = null
/** Where a redirect leads: nobody may come. */
let trap: ServiceDoor

async function openDoors(environment: Environment): Promise<NonNullable<typeof doors>> {
  const portOf = (name: string): number => Number(new URL(environment[name] ?? '').port)
  const ports = { slurmrestd: portOf('SLURMRESTD_URL'), verifier: portOf('MUNGE_VERIFIER_URL') }
  const open = (hop: HopName, way: Way): Promise<ServiceDoor> =>
    ServiceDoor.start({
      port: ports[hop],
      token: way === 'access' ? TOKENS[hop] : null,
      tls: way === 'access' ? null : { own: server, client: clients.gateway },
    })
  const openBoth = async (way: Way) => ({
    slurmrestd: await open('slurmrestd', way),
    verifier: await open('verifier', way),
  })
  return { access: await openBoth('access'), certificate: await openBoth('certificate') }
}

/** In the place of an `mtls_certificates` binding: a `fetch` with this certificate. @param client null: with none. */
function bindCertificate(client: Certificate | null) {
  const keypair =
    client === null ? {} : { keypair: { privateKey: client.key, certificateChain: client.cert } }
  const tlsOptions = { ...keypair, trustedCertificates: [server.cert] }
  return { network: { allow: ['private'], tlsOptions } }
}

const start: StartTarget = async ({
  [WAY]: way,
  [CERTIFICATE_OF]: owner,
  [HYPERDRIVE]: hyperdrive,
  ...environment
}) => {
  doors ??= await openDoors(environment)
  const common = { CLIENT_ADDRESS_FROM: 'cf-connecting-ip' }
  if (way !== 'certificate') {
    const { slurmrestd, verifier } = doors.access
    const urls = {
      SLURMRESTD_URL: `http://127.0.0.1:${slurmrestd.port}`,
      MUNGE_VERIFIER_URL: `http://127.0.0.1:${verifier.port}`,
    }
    const others = hyperdrive === undefined ? {} : { hyperdrives: { HYPERDRIVE: hyperdrive } }
    return startWorker(toBindings({ ...common, ...ACCESS, ...environment, ...urls }), others)
  }
  const client = owner === undefined ? clients.gateway : owner === 'stranger' ? clients.stranger : null
  const { slurmrestd, verifier } = doors.certificate
  const others: OtherBindings = {
    serviceBindings: {
      SLURMRESTD_MTLS: bindCertificate(client),
      MUNGE_VERIFIER_MTLS: bindCertificate(client),
    },
  }
  const urls = {
    SLURMRESTD_URL: `https://localhost:${slurmrestd.port}`,
    MUNGE_VERIFIER_URL: `https://localhost:${verifier.port}`,
  }
  return startWorker(toBindings({ ...common, ...environment, ...urls }), others)
}

beforeAll(async () => {
  trap = await ServiceDoor.start({ port: 1, token: TOKENS.slurmrestd, tls: null })
  stops.push(() => trap.stop())
  bench = await Bench.start('workerd', start, 'verifier')
  stops.push(() => bench.stop())
})

afterAll(async () => {
  for (const stop of stops.reverse()) await stop()
  for (const pair of Object.values(doors ?? {})) for (const door of Object.values(pair)) await door.stop()
})

beforeEach(() => {
  bench.reset()
  for (const way of ['access', 'certificate'] as const) {
    for (const hop of HOPS) {
      door(way, hop).turning = { kind: 'forbid' }
      door(way, hop).takeVisits()
    }
  }
})

function door(way: Way, hop: HopName): ServiceDoor {
  if (doors === null) throw new Error('no doors yet')
  return doors[way][hop]
}

/** Readiness, version discovery, a call with a token and one with MUNGE: all that goes into the cluster. */
async function useEveryHop(gate: Bench): Promise<string> {
  const ready = await gate.send({ target: '/readyz' })
  expect(readJson(ready)).toMatchObject({
    dependencies: { database: 'ok', slurmrestd: 'ok', munge: 'ok', signer: 'ok' },
  })
  const byToken = await gate.sendAs('free')
  expectForwarded(gate, byToken)
  gate.reset()
  const byMunge = await gate.sendAsMunge()
  expectForwarded(gate, byMunge)
  return [ready, byToken, byMunge]
    .map(({ headers, body }) => `${JSON.stringify(headers)} ${body.toString('utf8')}`)
    .join('\n')
}

/** Without a fresh start version discovery would not be seen: what one learnt stays for minutes. */
const SETTINGS: Environment = { SLURM_API_VERSIONS: 'auto' }

function expectVisits(visits: Readonly<Record<HopName, readonly Visit[]>>): void {
  const targets = visits.slurmrestd.map(({ target }) => target)
  expect(targets.filter((target) => target === '/openapi/v3').length).toBeGreaterThanOrEqual(2)
  expect(targets.filter((target) => target.startsWith('/slurm/')).length).toBe(2)
  expect(visits.verifier.length).toBeGreaterThanOrEqual(4)
  expect(new Set(visits.verifier.map(({ target }) => target))).toEqual(new Set(['/verify']))
}

it('the service token of Access goes with every request of its hop, and nowhere else', async () => {
  await bench.withSettings(SETTINGS, async (gate) => {
    const answers = await useEveryHop(gate)
    const visits = {
      slurmrestd: door('access', 'slurmrestd').takeVisits(),
      verifier: door('access', 'verifier').takeVisits(),
    }
    expectVisits(visits)
    for (const hop of HOPS) {
      const { id, secret } = TOKENS[hop]
      const expected = { 'cf-access-client-id': id, 'cf-access-client-secret': secret }
      for (const visit of visits[hop]) expect(visit).toMatchObject({ accessHeaders: expected, isLetIn: true })
    }
    expect(answers).not.toContain('canary')
    expect(gate.allLines.join('\n')).not.toContain('canary')
  })
})

it('what a client sends in those headers does not come in the way', async () => {
  const headers = [['CF-Access-Client-Id', 'mine'], ['CF-Access-Client-Secret', 'mine']] as const // prettier-ignore
  expectForwarded(bench, await bench.sendAs('free', { headers }))
  const visits = door('access', 'slurmrestd').takeVisits()
  expect(visits.map(({ isLetIn }) => isLetIn)).toContain(true)
  expect(JSON.stringify(visits)).not.toContain('mine')
})

it.each(['forbid', 'redirect'] as const)(
  'a door that turns the Worker away (%s) is an outage, never 401; nobody goes where it leads, and the log has the names',
  async (kind) => {
    const location = `http://127.0.0.1:${trap.port}/cdn-cgi/access/login`
    for (const hop of HOPS) door('access', hop).turning = kind === 'forbid' ? { kind } : { kind, location }
    const wrong = { ...SETTINGS, ...NO_ACCESS, SLURM_API_VERSIONS: 'v0.0.42' }
    await bench.withSettings(wrong, async (gate) => {
      expect((await gate.send({ target: '/readyz' })).status).toBe(503)
      expectOutage(await gate.sendAs('free'), 'verifier_unavailable')
      expectOutage(await gate.sendAsMunge(), 'verifier_unavailable')
    })
    const onlyVerifier = { ...wrong, MUNGE_VERIFIER_ACCESS_CLIENT_ID: TOKENS.verifier.id, MUNGE_VERIFIER_ACCESS_CLIENT_SECRET: TOKENS.verifier.secret } // prettier-ignore
    await bench.withSettings(onlyVerifier, async (gate) => {
      expectOutage(await gate.sendAs('free'), 'upstream_unreachable')
      const ready = await gate.send({ target: '/readyz' })
      expect(readJson(ready)).toMatchObject({ dependencies: { slurmrestd: 'failed', munge: 'ok' } })
      await waitUntil('the log says what to look at', () =>
        gate.target.logs().join().includes('SLURMRESTD_ACCESS_CLIENT_ID'),
      )
    })
    await bench.withSettings({ ...onlyVerifier, SLURM_API_VERSIONS: 'auto' }, async (gate) => {
      expectOutage(await gate.sendAs('free'), 'versions_unknown')
    })
    expect(trap.takeVisits()).toEqual([])
    expect(bench.allLines.join('\n')).toContain('MUNGE_VERIFIER_ACCESS_CLIENT_ID')
    expect(bench.world.upstream.operations).toEqual([])
  },
)

it('with a binding that shows a client certificate every request of its hop goes through it', async () => {
  await bench.withSettings({ ...SETTINGS, [WAY]: 'certificate' }, async (gate) => {
    await useEveryHop(gate)
    const visits = {
      slurmrestd: door('certificate', 'slurmrestd').takeVisits(),
      verifier: door('certificate', 'verifier').takeVisits(),
    }
    expectVisits(visits)
    for (const hop of HOPS) {
      for (const visit of visits[hop]) {
        expect(visit).toMatchObject({ clientName: 'gateway', accessHeaders: {} })
      }
    }
  })
  for (const hop of HOPS) expect(door('access', hop).takeVisits()).toEqual([])
})

it.each([
  ['nobody', /PEER_DID_NOT_RETURN_A_CERTIFICATE/],
  ['stranger', /DEPTH_ZERO_SELF_SIGNED_CERT/],
])('a certificate of %s opens no door: that is an outage, never 401', async (owner, code) => {
  const wrong = { ...SETTINGS, SLURM_API_VERSIONS: 'v0.0.42', [WAY]: 'certificate', [CERTIFICATE_OF]: owner }
  await bench.withSettings(wrong, async (gate) => {
    const ready = await gate.send({ target: '/readyz' })
    expect(readJson(ready)).toMatchObject({ dependencies: { slurmrestd: 'failed', munge: 'failed' } })
    expectOutage(await gate.sendAs('free'), 'verifier_unavailable')
    expectOutage(await gate.sendAsMunge(), 'verifier_unavailable')
  })
  for (const hop of HOPS) {
    expect(door('certificate', hop).takeVisits()).toEqual([])
    expect(door('certificate', hop).handshakeErrors.splice(0).join()).toMatch(code)
  }
}) // prettier-ignore

it('with a binding HYPERDRIVE Postgres is asked where that leads, and DATABASE_URL is not needed', async () => {
  const { DATABASE_URL } = bench.world.gatewayEnvironment
  await bench.withSettings({ DATABASE_URL: undefined, [HYPERDRIVE]: DATABASE_URL }, async (gate) => {
    await useEveryHop(gate)
  })
  await bench.withSettings({ [HYPERDRIVE]: DATABASE_URL }, async (gate) => {
    expect((await gate.send({ target: '/ping' })).status).toBe(503)
    await waitUntil('the log has the problem', () =>
      gate.target.logs().join().includes('DATABASE_URL is set, and HYPERDRIVE is bound'),
    )
  })
})
