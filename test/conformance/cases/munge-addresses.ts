/** A MUNGE credential is good on one host: which address a client is taken to have, and gates that learn none. */

import { expect } from 'vitest'
import {
  HOME_ADDRESS,
  MAPPED_ADDRESS,
  MAPPED_IPV6_ADDRESS,
  OTHER_ADDRESS,
  SHARED_ADDRESS,
} from '../../support/surroundings.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal } from '../expect-answer.ts'
import { asMunge } from './munge.ts'

const STRANGE_ADDRESS = '203.0.113.9'

const addresses: readonly ConformanceCase[] = [
  {
    name: 'headers that are not the configured one do not name the client',
    source: 'CONTRACT CLIENT_ADDRESS_FROM',
    async run(bench) {
      const credential = await bench.makeCredential()
      const [configured] = bench.target.clientHeader('')
      const others = ['X-Forwarded-For', 'CF-Connecting-IP', 'X-Real-IP', 'True-Client-IP', 'X-Client-IP']
        .filter((name) => name !== configured)
        .map((name) => [name, '192.0.2.10'] as const)
      const headers = [...others, ['Forwarded', 'for=192.0.2.10'] as const, asMunge(credential)]
      const answer = await bench.send({ headers, clientAddress: STRANGE_ADDRESS })
      expectRefusal(bench, answer, 'munge_wrong_host')
    },
  },
  {
    name: 'an address the client put in front of its real one does not count',
    source: 'CONTRACT CLIENT_ADDRESS_FROM: right-most untrusted hop',
    async run(bench) {
      const headers = [asMunge(await bench.makeCredential())]
      const answer = await bench.send({ headers, clientAddress: `192.0.2.10, ${STRANGE_ADDRESS}` })
      expectRefusal(bench, answer, 'munge_wrong_host', 'munge_client_address_unknown')
    },
  },
  ...['', 'unknown', '192.0.2.010', '3221225994', '192.0.2.10:1234 x', '::ffff:203.0.113.9'].map(
    (address): ConformanceCase => ({
      name: `an address that reads "${address}" is not the host of the credential`,
      source: 'CONTRACT Host binding',
      async run(bench) {
        const headers = [asMunge(await bench.makeCredential())]
        const answer = await bench.send({ headers, clientAddress: address })
        expectRefusal(bench, answer, 'munge_wrong_host', 'munge_client_address_unknown')
      },
    }),
  ),
  {
    name: 'without the header that names the client a credential is refused',
    source: 'CONTRACT CLIENT_ADDRESS_FROM',
    async run(bench) {
      const headers = [asMunge(await bench.makeCredential())]
      const answer = await bench.send({ headers, clientAddress: null })
      expectRefusal(bench, answer, 'munge_wrong_host', 'munge_client_address_unknown')
    },
  },
  {
    name: 'the address of the client written as IPv4 in IPv6 is the same address',
    source: 'CONTRACT Host binding',
    async run(bench) {
      const headers = [asMunge(await bench.makeCredential())]
      expectForwarded(bench, await bench.send({ headers, clientAddress: '::ffff:192.0.2.10' }))
    },
  },
]

interface MappedSender {
  readonly what: string
  readonly clientAddress: string
  readonly isTaken: boolean
  /** The credential was made on `OTHER_ADDRESS`; default: on `HOME_ADDRESS`. */
  readonly isOtherHost?: true
}

const MAPPED_SENDERS: readonly MappedSender[] = [
  { what: 'its own address', clientAddress: HOME_ADDRESS, isTaken: true },
  { what: 'a mapped address', clientAddress: MAPPED_ADDRESS, isTaken: true },
  { what: 'a mapped address, IPv4 in IPv6', clientAddress: `::ffff:${MAPPED_ADDRESS}`, isTaken: true },
  { what: 'a mapped IPv6 address', clientAddress: MAPPED_IPV6_ADDRESS, isTaken: true },
  { what: 'a mapped IPv6 address spelt out', clientAddress: '2001:DB8:0:0::000A', isTaken: true },
  { what: 'a shared address', clientAddress: SHARED_ADDRESS, isTaken: true },
  { what: 'a shared address', clientAddress: SHARED_ADDRESS, isTaken: true, isOtherHost: true },
  { what: "another host's mapped address", clientAddress: MAPPED_ADDRESS, isTaken: false, isOtherHost: true },
  { what: "another host's own address", clientAddress: OTHER_ADDRESS, isTaken: false },
  { what: 'an address of nobody', clientAddress: STRANGE_ADDRESS, isTaken: false },
  { what: 'a mapped address with a zone', clientAddress: `${MAPPED_IPV6_ADDRESS}%eth0`, isTaken: false },
  { what: 'loopback', clientAddress: '127.0.0.1', isTaken: false },
  {
    what: 'a stranger behind a mapped address of his own making',
    clientAddress: `${MAPPED_ADDRESS}, ${STRANGE_ADDRESS}`,
    isTaken: false,
  },
]

/** One gateway, asked by all of them: its verifier has the host map. */
const mapped: ConformanceCase = {
  name: 'with a host map a credential is taken from the addresses of its host and from no other',
  source: 'CONTRACT Host binding: `map` also consults the file',
  run: (bench) =>
    bench.withSettings({ MUNGE_VERIFIER_URL: bench.world.verifierUrls.map }, async (withMap) => {
      for (const { what, clientAddress, isTaken, isOtherHost } of MAPPED_SENDERS) {
        withMap.reset()
        const from = isOtherHost === true ? withMap.world.otherHostMunge : withMap.world.munge
        const headers = [asMunge(await withMap.makeCredential(undefined, { from }))]
        const answer = await withMap.send({ headers, clientAddress })
        expect([what, answer.status]).toEqual([what, isTaken ? 200 : 401])
        if (isTaken) expectForwarded(withMap, answer)
        else expectRefusal(withMap, answer, 'munge_wrong_host', 'munge_client_address_unknown')
      }
    }),
}

/** The address that Cloudflare names, taken at its word by either runtime. */
const behindEdge: ConformanceCase = {
  name: 'behind Cloudflare a strict verifier takes no credential and uses none up; one with a host map takes it',
  source: 'SECURITY.md: host binding behind Cloudflare is `map`, or MUNGE is off',
  run(bench) {
    const asVerifiedAt = (url: string) => ({
      CLIENT_ADDRESS_FROM: 'cf-connecting-ip',
      MUNGE_VERIFIER_URL: url,
    })
    const { strict, map } = bench.world.verifierUrls
    return bench.withSettings(asVerifiedAt(strict), (atStrict) =>
      bench.withSettings(asVerifiedAt(map), async (atMap) => {
        const headers = [['CF-Connecting-IP', HOME_ADDRESS] as const, asMunge(await bench.makeCredential())]
        const request = { headers, clientAddress: null }
        expectRefusal(atStrict, await atStrict.send(request), 'munge_edge_needs_map')
        expectForwarded(atMap, await atMap.send(request))
        atMap.reset()
        expectRefusal(atMap, await atMap.send(request), 'munge_replayed')
        expectForwarded(atStrict, await atStrict.sendAs('free'))
      }),
    )
  },
}

const settings: readonly ConformanceCase[] = [
  {
    name: 'MUNGE_MODE=off answers 401 with its reason and still takes tokens',
    source: 'CONTRACT MUNGE_MODE',
    run: (bench) =>
      bench.withSettings(
        {
          MUNGE_MODE: 'off',
          // Where it signs, it is asked all the same.
          ...(bench.world.signer === 'gateway' && {
            MUNGE_VERIFIER_URL: undefined,
            MUNGE_VERIFIER_KEY: undefined,
          }),
        },
        async (off) => {
          expectRefusal(off, await off.sendAsMunge(), 'munge_off')
          expectForwarded(off, await off.sendAs('free'))
        },
      ),
  },
  {
    name: 'CLIENT_ADDRESS_FROM=none answers 401 with its reason and still takes tokens',
    source: 'CONTRACT CLIENT_ADDRESS_FROM',
    run: (bench) =>
      bench.withSettings({ CLIENT_ADDRESS_FROM: 'none', TRUSTED_PROXIES: undefined }, async (none) => {
        expectRefusal(none, await none.sendAsMunge(), 'munge_client_address_unknown')
        expectForwarded(none, await none.sendAs('free'))
      }),
  },
]

export const MUNGE_ADDRESS_CASES: readonly ConformanceCase[] = [...addresses, mapped, behindEdge, ...settings]
