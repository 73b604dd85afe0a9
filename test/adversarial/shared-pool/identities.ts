/**
 * Fifty Slurm users whose answers name them: each has an account and held jobs of its own, and Slurm shows nobody the jobs
 * of another (PrivateData). So an answer that came to the wrong caller names somebody else.
 */

import { randomBytes } from 'node:crypto'
import type { Cluster, ClusterUser } from '../../../functions/up/cluster.ts'
import { issueToken } from '../../../src/tokens/issue-token.ts'
import { checkIssueRequest } from '../../../src/tokens/issue-rules.ts'
import { openDatabase, type Database } from '../../../src/tokens/database.ts'
import { measureRate } from '../../bench/in-flight.ts'
import { requestRaw } from '../../support/raw-http.ts'
import { signSlurmJwt } from '../../support/slurm-jwt.ts'

export interface Identity {
  readonly name: string
  readonly account: string
  /** Ids, in no order. */
  readonly jobs: readonly string[]
  /** Its token may write to its own account only: its writes are looked at before. */
  readonly isBound: boolean
  /** An API token that reads and manages jobs. */
  readonly token: string
  /** One that reads the accounting alone. */
  readonly accountingToken: string
}

export const IDENTITIES = 50
const FIRST_UID = 6101
const JOBS = 3
/** Of the first two: their lists are 2.4 MB, more than what lies in buffers on the way. */
const MANY_JOBS = 300
const WITH_MANY = 2
/** More jobs than the others have. */
export const LONG_LIST = 20
const SUBMITTERS = 8
const SLURM_TOKEN_SECONDS = 600

/** Every name that a wrong answer could hold is found by this, and no name is a part of another. */
const NAMED = /ident\d\d/g

export function findNames(text: string): ReadonlySet<string> {
  return new Set(text.match(NAMED) ?? [])
}

export function buildUsers(): ClusterUser[] {
  return Array.from({ length: IDENTITIES }, (_, index) => {
    const name = `ident${String(index).padStart(2, '0')}`
    return { name, uid: FIRST_UID + index, accounts: [`lab-${name}`] }
  })
}

/** @param user of `buildUsers`. */
function findAccount({ accounts }: ClusterUser): string {
  return accounts[0] ?? ''
}

/** Every second one is bound. */
export async function makeIdentities(
  cluster: Cluster,
  slurmKey: Uint8Array,
  databaseUrl: string,
): Promise<readonly Identity[]> {
  const users = buildUsers()
  const jobs = await submitJobs(cluster, slurmKey, users)
  const { db, close } = openDatabase(databaseUrl)
  try {
    return await Promise.all(
      users.map(async (user, index) => ({
        name: user.name,
        account: findAccount(user),
        jobs: jobs.get(user.name) ?? [],
        isBound: isBound(index),
        token: await issue(db, user, isBound(index), 'slurm:read,slurmdb:read,slurm:jobs:manage'),
        accountingToken: await issue(db, user, false, 'slurmdb:read'),
      })),
    )
  } finally {
    await close()
  }
}

const isBound = (index: number): boolean => index % 2 === 0

async function issue(db: Database, user: ClusterUser, isOfAccount: boolean, scopes: string): Promise<string> {
  const clock = (): number => Date.now()
  const account = isOfAccount ? { account: findAccount(user), anyAccount: false } : { anyAccount: true }
  const order = checkIssueRequest(
    { name: user.name, user: user.name, ...account, scopes: [scopes], issuedBy: 'tests' },
    { deniedUsers: new Set(), areAdminScopesOpen: false, nowSeconds: Math.floor(clock() / 1000) },
  )
  if (order.kind !== 'issue-order') throw new Error(order.problems.map(({ text }) => text).join('\n'))
  const ports = { clock, seals: null, randomBytes: (length: number) => new Uint8Array(randomBytes(length)) }
  const issued = await issueToken(db, order, user.uid, ports)
  if (issued.kind !== 'issued') throw new Error('the store has this token already')
  return issued.token
}

async function submitJobs(
  cluster: Cluster,
  slurmKey: Uint8Array,
  users: readonly ClusterUser[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const jobs = new Map<string, string[]>(users.map(({ name }) => [name, []]))
  const wanted = users.flatMap((user, index) =>
    Array.from({ length: index < WITH_MANY ? MANY_JOBS : JOBS }, () => user),
  )
  await measureRate(wanted, SUBMITTERS, async (user) => {
    jobs.get(user.name)?.push(await submitJob(cluster.ports.slurmrestd, slurmKey, user))
  })
  return jobs
}

/** Behind the gate's back. */
async function submitJob(port: number, slurmKey: Uint8Array, user: ClusterUser): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const slurmToken = signSlurmJwt(slurmKey, { sun: user.name, iat: now, exp: now + SLURM_TOKEN_SECONDS })
  const job = {
    name: `job of ${user.name}`,
    account: findAccount(user),
    environment: ['PATH=/usr/bin:/bin'],
    current_working_directory: `/tmp/${user.name}`,
    script: '#!/bin/bash\nsleep 1\n',
    hold: true,
  }
  const { status, body } = await requestRaw(
    { host: '127.0.0.1', port },
    {
      method: 'POST',
      target: '/slurm/v0.0.45/job/submit',
      headers: [
        ['X-SLURM-USER-NAME', user.name],
        ['X-SLURM-USER-TOKEN', slurmToken],
        ['Content-Type', 'application/json'],
      ],
      body: JSON.stringify({ job }),
    },
  )
  const { job_id: jobId } = JSON.parse(body.toString('utf8')) as { readonly job_id?: number }
  if (status !== 200 || jobId === undefined) throw new Error(`${String(status)} ${body.toString('utf8')}`)
  return String(jobId)
}
