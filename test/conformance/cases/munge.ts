/** MUNGE credentials: one use, one host, a short life, an ordinary user, and nothing inside. */

import { expect } from 'vitest'
import type { Rule } from '../../../src/refusal.ts'
import { sleep } from '../../support/program.ts'
import {
  HOME_ADDRESS,
  MAPPED_ADDRESS,
  MAPPED_IPV6_ADDRESS,
  OTHER_ADDRESS,
  SHARED_ADDRESS,
} from '../../support/surroundings.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal, readSent } from '../expect-answer.ts'

const SOURCE = 'CONTRACT HTTP, 401'
const NOBODY_UID = 65_534
const UNNAMED_UID = 6_999
const STRANGE_ADDRESS = '203.0.113.9'

const asMunge = (credential: string): [string, string] => ['Authorization', `MUNGE ${credential}`]

const taken: readonly ConformanceCase[] = [
  {
    name: 'a fresh credential is taken, and slurmrestd sees its user',
    source: 'CONTRACT HTTP, Credentials',
    async run(bench) {
      const request = expectForwarded(bench, await bench.sendAsMunge())
      expect(readSent(request, 'x-slurm-user-name')).toBe(bench.userName)
    },
  },
  ...['munge', 'Munge'].map((scheme): ConformanceCase => ({
    name: `the scheme is taken as ${scheme}`,
    source: 'CONTRACT HTTP, Credentials: schemes in any case',
    async run(bench) {
      const headers = [`Authorization:${scheme} ${await bench.makeCredential()}`]
      expectForwarded(bench, await bench.send({ headers }))
    },
  })),
  ...['-t 1', '-t 5'].map((life): ConformanceCase => ({
    name: `a life of ${life.slice(3)} s is short enough`,
    source: 'CONTRACT MUNGE_MAX_TTL_SECONDS',
    async run(bench) {
      const credential = await bench.makeCredential(['-n', ...life.split(' ')])
      expectForwarded(bench, await bench.send({ headers: [asMunge(credential)] }))
    },
  })),
  ...['own name', 'palmapi_bearer'].map((name): ConformanceCase => ({
    name: `a credential is taken beside ${name}`,
    source: 'CONTRACT HTTP, Credentials: a name, in whatever form it comes with',
    async run(bench) {
      const sent = name === 'own name' ? bench.userName : name
      expectForwarded(bench, await bench.sendAsMunge({ headers: [['X-Slurm-User-Name', sent]] }))
    },
  })),
  {
    name: 'a credential of another host of the cluster is taken from that host',
    source: 'CONTRACT Host binding',
    async run(bench) {
      const credential = await bench.makeCredential(undefined, { from: bench.world.otherHostMunge })
      const answer = await bench.send({ headers: [asMunge(credential)], clientAddress: OTHER_ADDRESS })
      expectForwarded(bench, answer)
    },
  },
  {
    name: 'a credential that was refused for its form of sending is not used up',
    source: 'CONTRACT HTTP: 400 two credentials comes before the credential is looked at',
    async run(bench) {
      const credential = await bench.makeCredential()
      const token = ['X-Slurm-User-Token', bench.tokens.free.text] as const
      expectRefusal(bench, await bench.send({ headers: [asMunge(credential), token] }), 'credential_conflict')
      expectForwarded(bench, await bench.send({ headers: [asMunge(credential)] }))
    },
  },
]

const replays: readonly ConformanceCase[] = [
  {
    name: 'a credential is taken once and refused the second time',
    source: SOURCE,
    async run(bench) {
      const headers = [asMunge(await bench.makeCredential())]
      expectForwarded(bench, await bench.send({ headers }))
      bench.reset()
      expectRefusal(bench, await bench.send({ headers }), 'munge_replayed')
    },
  },
  {
    name: 'of eight simultaneous uses of one credential exactly one is taken',
    source: SOURCE,
    async run(bench) {
      const headers = [asMunge(await bench.makeCredential())]
      const answers = await Promise.all(Array.from({ length: 8 }, () => bench.send({ headers })))
      expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(7).fill(401)])
      expect(bench.world.upstream.operations).toHaveLength(1)
    },
  },
  {
    name: 'a replay is refused even by a munged that forgot the first use',
    source: 'munge.md: replay memory is per munged; munged forgets replays when it restarts',
    async run(bench) {
      const headers = [asMunge(await bench.makeCredential())]
      expectForwarded(bench, await bench.send({ headers }))
      await bench.world.munge.stop()
      await bench.world.munge.start()
      bench.reset()
      expectRefusal(bench, await bench.send({ headers }), 'munge_replayed')
    },
  },
]

const MALLEABLE: readonly (readonly [name: string, change: (credential: string) => string])[] = [
  ['with a space inside', (text) => `${text.slice(0, 30)} ${text.slice(30)}`],
  ['with text after its end', (text) => `${text}x`],
  ['with a second credential after its end', (text) => text + text],
  ['without its final colon', (text) => text.slice(0, -1)],
  ['without its second half', (text) => text.slice(0, text.length / 2)],
  ['without its prefix', (text) => text.slice('MUNGE:'.length)],
  ['with its prefix in lower case', (text) => text.replace('MUNGE:', 'munge:')],
  [
    'with padding taken off or added',
    (text) => (text.includes('=') ? text.replaceAll('=', '') : `${text.slice(0, -1)}=:`),
  ],
  ['with the base64url alphabet', (text) => `${text.slice(0, 20)}-_${text.slice(22)}`],
  ['that is empty inside', () => 'MUNGE::'],
]

const malformed: readonly ConformanceCase[] = MALLEABLE.map(([name, change]) => ({
  name: `refused: a credential ${name}`,
  source: 'munge.md: a credential string is malleable',
  async run(bench) {
    const credential = await bench.makeCredential()
    expectRefusal(bench, await bench.send({ headers: [asMunge(change(credential))] }), 'munge_malformed')
  },
}))

interface RefusedCredential {
  readonly name: string
  readonly rule: Rule
  readonly source?: string
  readonly needsAnyUser?: true
  readonly make: (bench: Bench) => Promise<string>
  readonly clientAddress?: string
  /** What the description has to say to the caller. */
  readonly says?: RegExp
}

const REFUSED: readonly RefusedCredential[] = [
  {
    name: 'the life munge gives by default (300 s)',
    rule: 'munge_ttl_too_long',
    make: (bench) => bench.makeCredential(['-n']),
    says: /300.*munge -n -t 5/,
  },
  {
    name: 'a life of 6 s',
    rule: 'munge_ttl_too_long',
    make: (bench) => bench.makeCredential(['-n', '-t', '6']),
    says: /6.*munge -n -t 5/,
  },
  {
    name: 'the longest life',
    rule: 'munge_ttl_too_long',
    make: (bench) => bench.makeCredential(['-n', '-t', '-1']),
  },
  {
    name: 'an expired credential',
    rule: 'munge_expired',
    make: async (bench) => {
      const credential = await bench.makeCredential(['-n', '-t', '1'])
      await sleep(3000)
      return credential
    },
    says: /munge -n -t 5/,
  },
  {
    name: 'a payload',
    rule: 'munge_payload',
    make: (bench) => bench.makeCredential(['-s', 'made for something else', '-t', '5']),
  },
  {
    name: 'a payload of one byte',
    rule: 'munge_payload',
    make: (bench) => bench.makeCredential(['-s', 'x', '-t', '5']),
  },
  {
    name: 'a credential restricted to a user',
    rule: 'munge_restricted',
    source: 'munge.md: 18 is "restricted to another uid"',
    make: (bench) => bench.makeCredential(['-n', '-t', '5', '--restrict-uid', 'daemon']),
  },
  {
    name: "a credential restricted to the verifier's own user",
    rule: 'munge_restricted',
    make: (bench) =>
      bench.makeCredential(['-n', '-t', '5', '--restrict-uid', String(process.getuid?.() ?? 0)]),
  },
  {
    name: 'a credential of another cluster',
    rule: 'munge_invalid',
    make: (bench) => bench.makeCredential(undefined, { from: bench.world.otherClusterMunge }),
  },
  {
    name: 'a credential with one character changed',
    rule: 'munge_invalid',
    make: async (bench) => {
      const text = await bench.makeCredential()
      return text.slice(0, 60) + (text[60] === 'A' ? 'B' : 'A') + text.slice(61)
    },
  },
  {
    name: 'a credential sent from another address',
    rule: 'munge_wrong_host',
    make: (bench) => bench.makeCredential(),
    clientAddress: OTHER_ADDRESS,
  },
  {
    name: 'a credential sent from loopback',
    rule: 'munge_wrong_host',
    source: 'CONTRACT Host binding: a client on a direct loopback connection, not through a proxy',
    make: (bench) => bench.makeCredential(),
    clientAddress: '127.0.0.9',
  },
  {
    name: 'a credential sent from an IPv6 address',
    rule: 'munge_wrong_host',
    make: (bench) => bench.makeCredential(),
    clientAddress: '2001:db8::10',
  },
  {
    name: 'a credential made on another host',
    rule: 'munge_wrong_host',
    make: (bench) => bench.makeCredential(undefined, { from: bench.world.otherHostMunge }),
  },
  {
    name: "root's credential",
    rule: 'munge_uid_too_low',
    needsAnyUser: true,
    make: (bench) => bench.makeCredential(undefined, { uid: 0 }),
  },
  {
    name: "a system user's credential",
    rule: 'munge_uid_too_low',
    needsAnyUser: true,
    make: (bench) => bench.makeCredential(undefined, { uid: 1 }),
  },
  {
    name: "a daemon's credential with a high uid",
    rule: 'munge_user_denied',
    source: 'munge.md: nobody is 65534, a minimum uid does not keep daemons out',
    needsAnyUser: true,
    make: (bench) => bench.makeCredential(undefined, { uid: NOBODY_UID }),
  },
  {
    name: 'a credential of a uid without a name',
    rule: 'munge_user_unknown',
    needsAnyUser: true,
    make: (bench) => bench.makeCredential(undefined, { uid: UNNAMED_UID }),
  },
]

const refused: readonly ConformanceCase[] = REFUSED.map((entry) => ({
  name: `refused: ${entry.name}`,
  source: entry.source ?? SOURCE,
  ...(entry.needsAnyUser === true ? { needsAnyUser: true } : {}),
  async run(bench) {
    const headers = [asMunge(await entry.make(bench))]
    const answer = await bench.send({
      headers,
      ...(entry.clientAddress === undefined ? {} : { clientAddress: entry.clientAddress }),
    })
    const description = expectRefusal(bench, answer, entry.rule)
    if (entry.says !== undefined) expect(description).toMatch(entry.says)
  },
}))

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
    bench.withSettings({ MUNGE_VERIFIER_URL: bench.world.mapVerifierUrl }, async (withMap) => {
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

export const MUNGE_CASES: readonly ConformanceCase[] = [
  ...taken,
  ...replays,
  ...malformed,
  ...refused,
  ...addresses,
  mapped,
  ...settings,
]
