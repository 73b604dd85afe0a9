/** How a body arrives: in which framing, in how many pieces, and that none of it is taken for a second request. */

import { expect } from 'vitest'
import type { RawHeader } from '../../support/raw-http.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectNothingForwarded, expectRefusal, readSent } from '../expect-answer.ts'
import { expectSubmitted, SMALL, SUBMIT } from '../expect-submitted.ts'
import { postJson } from '../post-json.ts'

const SOURCE = 'CONTRACT Bodies'

const BIG = JSON.stringify({
  script: `#!/bin/sh\n${'# a long script\n'.repeat(10_000)}`,
  job: {
    name: 'big',
    environment: Array.from({ length: 5_000 }, (_, at) => `VARIABLE_${String(at)}=value of it`),
  },
})

export const FRAMING_CASES: readonly ConformanceCase[] = [
  {
    name: 'a chunked body is taken and sent on whole with Content-Length',
    source: 'slurm.md HTTP towards slurmrestd',
    run: (bench) => expectSubmitted(bench, { ...postJson(SUBMIT, SMALL), framing: 'chunked', pieceBytes: 5 }),
  },
  {
    name: 'a body in many small TCP pieces is taken',
    source: SOURCE,
    run: (bench) => expectSubmitted(bench, { ...postJson(SUBMIT, SMALL), pieceBytes: 3 }),
  },
  {
    name: 'a request whose head arrives in small TCP pieces is taken, and slurmrestd gets its head at once',
    source: 'slurm.md: a request head split over several TCP reads fails',
    run: (bench) => expectSubmitted(bench, { ...postJson(SUBMIT, SMALL), splitHead: true, pieceBytes: 11 }),
  },
  {
    name: 'a submission of 300 KB is taken',
    source: 'clients.md Requests: submissions of 300 KB',
    run: (bench) => {
      expect(BIG.length).toBeGreaterThan(300_000)
      return expectSubmitted(bench, postJson(SUBMIT, BIG), BIG)
    },
  },
  {
    name: 'a chunked submission of 300 KB is taken',
    source: 'clients.md Requests: chunked POST bodies',
    run: (bench) =>
      expectSubmitted(bench, { ...postJson(SUBMIT, BIG), framing: 'chunked', pieceBytes: 8192 }, BIG),
  },
  {
    name: 'Expect: 100-continue is served',
    source: 'clients.md Requests: Expect: 100-continue',
    async run(bench) {
      const connection = await bench.openConnection()
      const headers: RawHeader[] = [
        bench.bearer('confined'),
        ['Content-Type', 'application/json'],
        ['Content-Length', String(SMALL.length)],
        ['Expect', '100-continue'],
      ]
      await connection.send({ method: 'POST', target: SUBMIT, headers, framing: 'bare' })
      // RFC 9110 section 10.1.1: a client does not wait for ever; curl sends after one second.
      await connection.waitForContinue(1000)
      await connection.write(SMALL)
      const request = expectForwarded(bench, await connection.readAnswer('POST'))
      connection.close()
      expect(readSent(request, 'expect')).toBeNull()
    },
  },
  {
    name: 'Expect: 100-continue without a credential is answered 401 at once',
    source: 'CONTRACT HTTP, Credentials: read before any body',
    async run(bench) {
      const headers: RawHeader[] = [
        ['Content-Type', 'application/json'],
        ['Content-Length', '1000000'],
        ['Expect', '100-continue'],
      ]
      const answer = await bench.send({ method: 'POST', target: SUBMIT, headers, framing: 'bare' })
      expectRefusal(bench, answer, 'credential_missing')
    },
  },
  {
    name: 'a body that ends before its Content-Length is not forwarded',
    source: SOURCE,
    async run(bench) {
      const connection = await bench.openConnection()
      const headers: RawHeader[] = [
        bench.bearer('confined'),
        ['Content-Type', 'application/json'],
        ['Content-Length', '500'],
      ]
      await connection.send({ method: 'POST', target: SUBMIT, headers, body: SMALL, framing: 'bare' })
      connection.close()
      await new Promise((resolve) => setTimeout(resolve, 300))
      expectNothingForwarded(bench)
    },
  },
  ...(
    [
      ['both lengths, Content-Length and chunked', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
      ['two different lengths', ['Content-Length: 5', 'Content-Length: 6']],
      ['a length that is not a number', ['Content-Length: +5']],
      ['an unknown transfer coding', ['Transfer-Encoding: xchunked']],
      ['a folded header line', ['X-Odd: a\r\n b', 'Content-Length: 2']],
    ] as const
  ).map(([name, lines]): ConformanceCase => ({
    name: `smuggling: ${name} never yields a second request`,
    source: 'RFC 9112 sections 5.2, 6.1 and 6.3',
    async run(bench) {
      const connection = await bench.openConnection()
      const smuggled = `0\r\n\r\nGET /slurm/v0.0.42/diag HTTP/1.1\r\nHost: x\r\n\r\n`
      const headers = [bench.bearer('free'), 'Content-Type: application/json', ...lines]
      await connection.send({ method: 'POST', target: SUBMIT, headers, body: smuggled, framing: 'bare' })
      const status = await connection.readAnswer('POST').then(
        (answer) => answer.status,
        () => 400,
      )
      connection.close()
      expect(status).toBeGreaterThanOrEqual(400)
      expectNothingForwarded(bench)
    },
  })),
]
