/** MUNGE credentials: a short life, an ordinary user, and nothing inside. */

import { expect } from 'vitest'
import type { Rule } from '../../../src/refusal.ts'
import { sleep } from '../../support/program.ts'
import { OTHER_ADDRESS } from '../../support/surroundings.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal, readSent } from '../expect-answer.ts'

const SOURCE = 'CONTRACT HTTP, 401'
const NOBODY_UID = 65_534
const UNNAMED_UID = 6_999

export const asMunge = (credential: string): [string, string] => ['Authorization', `MUNGE ${credential}`]

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

export const MUNGE_CASES: readonly ConformanceCase[] = [...taken, ...malformed, ...refused]
