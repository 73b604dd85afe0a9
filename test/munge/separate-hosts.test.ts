/** Host binding between hosts that really are several: own networks, own names, own munged. Source: CONTRACT "Host binding". */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findHostObstacle } from '../support/network-host.ts'
import { waitUntil } from '../support/program.ts'
import {
  HOST_MAP,
  HOSTS,
  startClusterOfHosts,
  type ClusterOfHosts,
  type GatewayName,
  type HostName,
  type SendOptions,
} from './cluster-of-hosts.ts'

const obstacle = findHostObstacle()
const WRONG_HOST = [401, 'munge_wrong_host']
/** A second of looking, one of standing still, and a slow machine. */
const CHANGE_MILLISECONDS = 15_000

describe.skipIf(obstacle !== null)(`separate hosts${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  let cluster: ClusterOfHosts
  let accepted: readonly [number, string]
  beforeAll(async () => {
    cluster = await startClusterOfHosts()
    accepted = [200, cluster.userName]
  })
  afterAll(() => cluster.stop())

  interface Presentation extends SendOptions {
    readonly madeOn: HostName
    readonly from: HostName
    readonly to?: GatewayName
  }
  async function present({
    madeOn,
    from,
    to = 'mapped',
    ...more
  }: Presentation): Promise<readonly [number, string]> {
    return cluster.send(from, to, await cluster.makeCredential(madeOn), more)
  }

  test('a host whose name is its address on the way to the gate is taken by strict and by map', async () => {
    for (const to of ['strict', 'mapped'] as const) {
      for (const host of ['plain', 'other', 'gate'] as const) {
        expect([to, host, await present({ madeOn: host, from: host, to })]).toEqual([to, host, accepted])
      }
    }
  })

  test('a client on the gate itself is taken over loopback, with a credential of the gate and no other', async () => {
    const loopback = { from: 'gate', gateAddress: '127.0.0.1' } as const
    for (const to of ['strict', 'mapped'] as const) {
      expect(await present({ ...loopback, madeOn: 'gate', to })).toEqual(accepted)
      for (const madeOn of ['plain', 'multi', 'inner1'] as const) {
        expect(await present({ ...loopback, madeOn, to })).toEqual(WRONG_HOST)
      }
    }
  })

  test.each(['multi', 'six', 'inner1', 'inner2'] as const)(
    '%s, whose credentials name another address than it sends from, is refused by strict and taken by map',
    async (host) => {
      expect(await present({ madeOn: host, from: host, to: 'strict' })).toEqual(WRONG_HOST)
      expect(await present({ madeOn: host, from: host })).toEqual(accepted)
    },
  )

  test('a host with two interfaces is taken from the one its name stands for too, by strict as well', async () => {
    for (const to of ['strict', 'mapped'] as const) {
      const request = { madeOn: 'multi', from: 'multi', interface: HOSTS.multi.origin, to } as const
      expect(await present(request)).toEqual(accepted)
    }
  })

  test.each<[madeOn: HostName, from: HostName]>([
    ['plain', 'other'], ['other', 'plain'], ['plain', 'multi'], ['multi', 'plain'], ['multi', 'six'], ['six', 'multi'],
    ['six', 'other'], ['inner1', 'plain'], ['plain', 'inner1'], ['multi', 'inner2'], ['gate', 'plain'], ['multi', 'gate'],
  ])('made on %s, sent from %s: refused by map', async (madeOn, from) => {
    expect(await present({ madeOn, from })).toEqual(WRONG_HOST)
  }) // prettier-ignore

  test('a link-local address, whose zone is the gate’s and not the client’s, is never a host of the map', async () => {
    for (const to of ['mapped', 'strict'] as const) {
      const request = { madeOn: 'six', from: 'six', to, gateAddress: cluster.linkLocalGate } as const
      expect(await present(request)).toEqual(WRONG_HOST)
    }
  })

  test('hosts behind one address are one host to the gate: each can send what the other made (SECURITY.md)', async () => {
    expect(await present({ madeOn: 'inner1', from: 'inner2' })).toEqual(accepted)
    const credential = await cluster.makeCredential('inner1')
    expect(cluster.send('inner1', 'mapped', credential)).toEqual(accepted)
    expect(cluster.send('inner2', 'mapped', credential)).toEqual([401, 'munge_replayed'])
  })

  test.each(['X-Forwarded-For', 'X-Real-IP', 'CF-Connecting-IP', 'True-Client-IP', 'Forwarded'])(
    '%s that a host wrote itself names nobody, to a gate without proxies and to one behind a proxy',
    async (name) => {
      for (const to of ['mapped', 'strict', 'proxied'] as const) {
        for (const madeOn of ['plain', 'multi'] as const) {
          const { client } = HOSTS[madeOn]
          const headers = [`${name}: ${name === 'Forwarded' ? `for=${client}` : client}`]
          expect([to, await present({ madeOn, from: 'other', to, headers })]).toEqual([to, WRONG_HOST])
        }
      }
    },
  )

  const { plain, other, multi, six, proxy } = HOSTS
  test.each<[what: string, madeOn: HostName, hops: string, isTaken: boolean]>([
    ['a host of its own address', 'plain', plain.client, true],
    ['a mapped host', 'multi', multi.client, true],
    ['a mapped host over IPv6', 'six', six.client, true],
    ['a mapped host, written as IPv4 in IPv6', 'multi', `::ffff:${multi.client}`, true],
    ['a mapped host, with its port', 'multi', `${multi.client}:40000`, true],
    ['two trusted proxies in a row', 'multi', `${multi.client}, ${proxy.client}`, true],
    ['what another host wrote in front of the hop', 'multi', `${multi.client}, ${other.client}`, false],
    ['a mapped address in front of an unknown hop', 'multi', `${multi.client}, unknown`, false],
    ['a zone id', 'six', `${six.client}%lan`, false],
    ['another host', 'multi', other.client, false],
    ['loopback', 'multi', '127.0.0.1', false],
    ['the gate itself', 'multi', HOSTS.gate.client, false],
    ['no hop', 'multi', '', false],
  ])('through the trusted proxy: %s', async (_what, madeOn, hops, isTaken) => {
    const headers = [hops === '' ? 'X-Forwarded-For;' : `X-Forwarded-For: ${hops}`]
    const [status, name] = await present({ madeOn, from: 'proxy', to: 'proxied', headers })
    if (isTaken) expect([status, name]).toEqual(accepted)
    else {
      expect(status).toBe(401)
      expect(['munge_wrong_host', 'munge_client_address_unknown']).toContain(name)
    }
  })

  test('the proxy that adds no hop is not the host that a credential names', async () => {
    expect((await present({ madeOn: 'multi', from: 'proxy', to: 'proxied' }))[0]).toBe(401)
  })

  test('a changed map is in force within seconds, without a restart; a bad one changes nothing and is an error', async () => {
    const { pid } = cluster.verifier
    const answers = async (expected: readonly unknown[]): Promise<void> =>
      waitUntil(
        `multi is answered ${String(expected[1])}`,
        async () => (await present({ madeOn: 'multi', from: 'multi' }))[1] === expected[1],
        CHANGE_MILLISECONDS,
      )
    cluster.replaceMap(HOST_MAP.replace(multi.client, '10.77.0.99'))
    await answers(WRONG_HOST)
    cluster.replaceMap(`${HOST_MAP}127.0.0.1 10.77.0.99\n`)
    await waitUntil(
      'the bad map is told',
      () => cluster.verifier.stdout.includes('host_map_refused'),
      CHANGE_MILLISECONDS,
    )
    expect(cluster.verifier.stdout).toMatch(/"level":"error","event":"host_map_refused".*line 8, word 1/)
    expect(await present({ madeOn: 'multi', from: 'multi' })).toEqual(WRONG_HOST)
    expect(await present({ madeOn: 'six', from: 'six' })).toEqual(accepted)
    cluster.replaceMap(HOST_MAP)
    await answers(accepted)
    expect([cluster.verifier.isRunning, cluster.verifier.pid]).toEqual([true, pid])
    expect(cluster.verifier.stdout.split('"verifier_started"')).toHaveLength(2)
  })
})
