/**
 * What the fake slurmrestd claims about the real daemon. Run against the fake with the unit tests, and against a real
 * slurmrestd in the integration tests, so that the conformance list rests on nothing invented.
 */

import { expect } from 'vitest'
import {
  RawConnection,
  findHeader,
  requestRaw,
  type RawAddress,
  type RawAnswer,
  type RawHeader,
  type RawRequest,
} from '../support/raw-http.ts'

export interface ContractSubject {
  readonly address: RawAddress
  /** A version both serve, such as `v0.0.42`. */
  readonly version: string
  /** 22.05 says some of this differently; 26.05 answers errors twice. Null: the fake. */
  readonly release: '22.05' | '24.11' | '26.05' | null
  /** Slurm's user of the tokens. */
  readonly user: string
  mintToken(options?: { expired?: boolean; wrongKey?: boolean }): string
}

export interface ContractCase {
  /** The guarantee, in words. */
  readonly name: string
  /** slurm.md section the claim comes from. */
  readonly source: string
  /** Releases the claim does not hold for, as measured. */
  readonly notOn?: readonly string[]
  run(subject: ContractSubject): Promise<void>
}

function call(
  subject: ContractSubject,
  request: Partial<RawRequest> & { headers?: readonly RawHeader[] },
): Promise<RawAnswer> {
  const target = request.target ?? `/slurm/${subject.version}/jobs/`
  return requestRaw(subject.address, { method: 'GET', ...request, target })
}

function signIn(subject: ContractSubject): RawHeader[] {
  return [
    ['X-SLURM-USER-NAME', subject.user],
    ['X-SLURM-USER-TOKEN', subject.mintToken()],
  ]
}

function refusesRequest(answer: RawAnswer): void {
  expect(answer.status).toBeGreaterThanOrEqual(400)
}

export const SLURMRESTD_CONTRACT: readonly ContractCase[] = [
  {
    name: 'the jobs list is application/json without a charset, and the connection stays open',
    source: 'HTTP towards slurmrestd',
    async run(subject) {
      const connection = await RawConnection.open(subject.address)
      for (let round = 0; round < 2; round++) {
        await connection.send({
          method: 'GET',
          target: `/slurm/${subject.version}/jobs/`,
          headers: signIn(subject),
        })
        const answer = await connection.readAnswer()
        expect(answer.status).toBe(200)
        expect(findHeader(answer, 'content-type')).toBe('application/json')
        expect(JSON.parse(answer.body.toString('utf8'))).toHaveProperty('jobs')
      }
      connection.close()
    },
  },
  {
    name: 'the token header alone and Authorization: Bearer alone sign a caller in',
    source: 'HTTP towards slurmrestd',
    async run(subject) {
      const token = subject.mintToken()
      for (const header of [
        ['X-SLURM-USER-TOKEN', token],
        ['Authorization', `Bearer ${token}`],
      ] as const) {
        expect((await call(subject, { headers: [header] })).status).toBe(200)
      }
    },
  },
  {
    name: 'Authorization beside X-SLURM-USER-TOKEN is 401',
    source: 'HTTP towards slurmrestd',
    notOn: ['22.05'],
    async run(subject) {
      const headers = [...signIn(subject), ['Authorization', `Bearer ${subject.mintToken()}`] as const]
      expect((await call(subject, { headers })).status).toBe(401)
    },
  },
  {
    name: 'no credential is 401 in plain text',
    source: 'Error bodies',
    async run(subject) {
      const answer = await call(subject, {})
      expect(answer.status).toBe(401)
      expect(findHeader(answer, 'content-type')).toMatch(/^text\/plain/)
    },
  },
  {
    name: 'an expired token or one of another key is not a 401 but 511, 502 or 500',
    source: 'Slurm tokens (auth/jwt)',
    async run(subject) {
      for (const options of [{ expired: true }, { wrongKey: true }]) {
        const headers = [['X-SLURM-USER-TOKEN', subject.mintToken(options)] as const]
        expect([500, 502, 511]).toContain((await call(subject, { headers })).status)
      }
    },
  },
  {
    name: 'the OpenAPI document wants a token but does not check it',
    source: 'Slurm tokens (auth/jwt)',
    async run(subject) {
      const target = '/openapi/v3'
      expect((await call(subject, { target })).status).toBe(401)
      const answer = await call(subject, { target, headers: [['X-SLURM-USER-TOKEN', 'anything']] })
      expect(answer.status).toBe(200)
      const { paths } = JSON.parse(answer.body.toString('utf8')) as { paths: Record<string, unknown> }
      expect(Object.keys(paths).some((path) => path.startsWith(`/slurm/${subject.version}/jobs`))).toBe(true)
    },
  },
  {
    name: 'an unknown job is 404 with error number 2017 in the v0.0.40 shape',
    source: 'clients.md Answers',
    notOn: ['22.05'],
    async run(subject) {
      const target = `/slurm/${subject.version}/job/3999999`
      const answer = await call(subject, { target, headers: signIn(subject) })
      expect(answer.status).toBe(404)
      const body = JSON.parse(answer.body.toString('utf8')) as { errors: { error_number: number }[] }
      expect(body.errors[0]?.error_number).toBe(2017)
    },
  },
  {
    name: 'an error answer says Connection: Close',
    source: 'HTTP towards slurmrestd',
    async run(subject) {
      const answer = await call(subject, { target: '/nope', headers: signIn(subject) })
      expect(answer.status).toBe(404)
      expect(findHeader(answer, 'connection')?.toLowerCase()).toBe('close')
    },
  },
  {
    name: 'a chunked request body is refused',
    source: 'HTTP towards slurmrestd',
    async run(subject) {
      refusesRequest(await submit(subject, { framing: 'chunked' }))
    },
  },
  {
    name: 'a compressed request body is refused',
    source: 'HTTP towards slurmrestd',
    async run(subject) {
      refusesRequest(await submit(subject, {}, [['Content-Encoding', 'gzip']]))
    },
  },
  {
    name: 'application/json with a charset is refused',
    source: 'What the gate has to be built on, 4',
    async run(subject) {
      refusesRequest(await submit(subject, {}, [], 'application/json; charset=utf-8'))
    },
  },
  {
    name: 'a request whose path comes in two TCP pieces fails',
    source: 'HTTP towards slurmrestd',
    async run(subject) {
      const connection = await RawConnection.open(subject.address, { timeoutMilliseconds: 4000 })
      await connection.write('GET /openapi/')
      await new Promise((resolve) => setTimeout(resolve, 100))
      await connection.write('v3 HTTP/1.1\r\nHost: x\r\nX-SLURM-USER-TOKEN: anything\r\n\r\n')
      const status = await connection.readAnswer().then(
        (answer) => answer.status,
        () => null,
      )
      connection.close()
      expect(status).not.toBe(200)
    },
  },
  {
    name: 'repeated and trailing slashes are ignored and %xx is decoded',
    source: 'What the gate has to be built on, 9',
    async run(subject) {
      for (const target of [
        `//slurm//${subject.version}/jobs`,
        `/slurm/${subject.version}/jobs//`,
        `/slurm/${subject.version}/%6Aobs`,
      ]) {
        expect([target, (await call(subject, { target, headers: signIn(subject) })).status]).toEqual([
          target,
          200,
        ])
      }
    },
  },
  {
    name: 'HEAD does not work',
    source: 'HTTP towards slurmrestd',
    async run(subject) {
      refusesRequest(await call(subject, { method: 'HEAD', headers: signIn(subject) }))
    },
  },
  {
    name: 'answers are not compressed, asked or not',
    source: 'HTTP towards slurmrestd',
    async run(subject) {
      const answer = await call(subject, { headers: [...signIn(subject), ['Accept-Encoding', 'gzip']] })
      expect(findHeader(answer, 'content-encoding')).toBeNull()
    },
  },
  {
    name: 'a Keep-Alive header is 400',
    source: 'HTTP towards slurmrestd',
    notOn: ['26.05'],
    async run(subject) {
      const answer = await call(subject, { headers: [...signIn(subject), ['Keep-Alive', 'timeout=5']] })
      expect(answer.status).toBe(400)
    },
  },
  {
    name: 'a submit body with a trailing comma is read',
    source: 'What the gate has to be built on, 5',
    async run(subject) {
      // Whether the job itself is accepted depends on the cluster: the body must not be what is complained about.
      const answer = await submit(subject, { body: '{"script":"#!/bin/sh\\ntrue","job":{"name":"c",},}' })
      expect(findHeader(answer, 'content-type')).toBe('application/json')
    },
  },
  {
    name: 'a submit body that is not JSON is refused',
    source: 'Error bodies',
    async run(subject) {
      refusesRequest(await submit(subject, { body: '{"job":' }))
    },
  },
]

function submit(
  subject: ContractSubject,
  request: Partial<RawRequest>,
  headers: readonly RawHeader[] = [],
  contentType = 'application/json',
): Promise<RawAnswer> {
  return call(subject, {
    method: 'POST',
    target: `/slurm/${subject.version}/job/submit`,
    body: '{}',
    ...request,
    headers: [...signIn(subject), ['Content-Type', contentType], ...headers],
  })
}
