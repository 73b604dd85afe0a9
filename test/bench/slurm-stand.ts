/** A real one-node Slurm with slurmrestd, and as many jobs in its queue as a row needs: held, so that none of them ever runs. */

import { startCluster, type Cluster } from '../../functions/up/cluster.ts'
import { BOB, ALICE, buildJob } from '../integration/real-cluster.ts'
import type { GateStand } from './gate-stand.ts'
import { measureRate } from './in-flight.ts'
import { buildGet, KeepAliveClient } from './keep-alive-client.ts'
import { requestRaw } from '../support/raw-http.ts'

const ACCOUNT = 'ownerlab'
const SUBMITTERS = 8
/** A bench is over within minutes. */
const TOKEN_SECONDS = 3600

export interface SlurmStand {
  readonly slurm: Cluster
  readonly port: number
  readonly version: string
  /** What a client of slurmrestd itself sends, as alice. */
  readonly ownHeaders: Readonly<Record<string, string>>
  /** Submits until so many jobs wait. @returns how many do. */
  fillQueue(jobs: number): Promise<number>
}

export async function startSlurmStand(stand: GateStand): Promise<SlurmStand> {
  const slurm = await startCluster({
    instance: 'bench',
    mungeSocket: stand.munged.socket,
    users: [ALICE, BOB].map((user) => ({ ...user, accounts: [ACCOUNT] })),
    fresh: true,
  })
  stand.onStop(() => slurm.stop())
  const { stdout } = await slurm.run([
    'scontrol',
    'token',
    `username=${ALICE.name}`,
    `lifespan=${String(TOKEN_SECONDS)}`,
  ])
  const token = /SLURM_JWT=(\S+)/.exec(stdout)?.[1]
  if (token === undefined) throw new Error('scontrol made no token')
  const ownHeaders = { 'X-SLURM-USER-NAME': ALICE.name, 'X-SLURM-USER-TOKEN': token }
  const port = slurm.ports.slurmrestd
  let jobs = 0
  return {
    slurm,
    port,
    ownHeaders,
    version: (await slurm.run(['sinfo', '--version'])).stdout.trim(),
    async fillQueue(wanted) {
      const missing = Array.from({ length: wanted - jobs })
      await measureRate(missing, SUBMITTERS, () => submitJob(port, ownHeaders))
      jobs = await countJobs(port, ownHeaders)
      if (jobs < wanted) throw new Error(`${String(jobs)} jobs in the queue instead of ${String(wanted)}`)
      return jobs
    },
  }
}

async function submitJob(port: number, headers: Readonly<Record<string, string>>): Promise<void> {
  const { status, body } = await requestRaw(
    { host: '127.0.0.1', port },
    {
      method: 'POST',
      target: '/slurm/v0.0.42/job/submit',
      headers: [...Object.entries(headers), ['Content-Type', 'application/json']],
      body: buildJob({ account: ACCOUNT }),
    },
  )
  if (status !== 200) throw new Error(`submission: ${String(status)} ${body.toString('utf8').slice(0, 500)}`)
}

/** What every answer with the whole queue has to hold. */
async function countJobs(port: number, headers: Readonly<Record<string, string>>): Promise<number> {
  return (await readJobs(port, headers)).jobs
}

/** One whole answer, read and parsed. */
export async function readJobs(
  port: number,
  headers: Readonly<Record<string, string>>,
): Promise<{ readonly jobs: number; readonly bytes: number; readonly head: string }> {
  const client = await KeepAliveClient.open(port)
  const pieces: Buffer[] = []
  const answer = await client.ask(buildGet('/slurm/v0.0.42/jobs', headers), (piece) =>
    pieces.push(Buffer.from(piece)),
  )
  client.close()
  const text = Buffer.concat(pieces).toString('utf8')
  if (answer.status !== 200) throw new Error(`jobs: ${String(answer.status)} ${text.slice(0, 500)}`)
  const { jobs } = JSON.parse(text) as { readonly jobs: readonly unknown[] }
  return { jobs: jobs.length, bytes: answer.bodyBytes, head: answer.head }
}
