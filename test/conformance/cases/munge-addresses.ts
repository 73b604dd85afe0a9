/** A MUNGE credential is good on one host: which address a client is taken to have, and gates that learn none. */

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

const settings: readonly ConformanceCase[] = [
  {
    name: 'MUNGE_MODE=off answers 401 with its reason and still takes tokens',
    source: 'CONTRACT MUNGE_MODE',
    run: (bench) =>
      bench.withSettings(
        { MUNGE_MODE: 'off', MUNGE_VERIFIER_URL: undefined, MUNGE_VERIFIER_KEY: undefined },
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

export const MUNGE_ADDRESS_CASES: readonly ConformanceCase[] = [...addresses, ...settings]
