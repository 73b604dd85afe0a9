/** `npm run dev:edge` as a person uses it: it answers, says what is missing, and leaves no process behind. */

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Program, waitUntil } from '../support/program.ts'
import { findHeader, requestRaw, type RawAnswer } from '../support/raw-http.ts'
import { findFreePort, isAnswering, type Environment } from '../support/surroundings.ts'
import { ROOT, buildWranglerEnvironment } from '../support/worker-bundle.ts'

const TIMEOUT = 60_000
const START_LIMIT = 45_000
const STOP_LIMIT = 10_000
const PASSWORD = 'canary-value-that-must-not-be-printed'
const KEY = Buffer.alloc(32, 1).toString('base64')
const SETTINGS: Environment = {
  DATABASE_URL: `postgres://u:${PASSWORD}@127.0.0.1:1/d`,
  SLURMRESTD_URL: 'http://127.0.0.1:1',
  SLURM_JWT_HS256_KEY: KEY,
  SLURM_KEY_AT_EDGE: 'accept-cluster-root',
}

interface DevEdge {
  readonly program: Program
  get(target: string): Promise<RawAnswer>
  /** Processes of its group that run, by name. */
  findProcesses(): string[]
}

/** Runs `work` with a started `npm run dev:edge`; whatever the work does, its whole process group ends with it. */
async function withDevEdge(settings: Environment, work: (edge: DevEdge) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-edge-'))
  const settingsFile = join(directory, 'settings.env')
  const lines = Object.entries(settings).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}\n`],
  )
  writeFileSync(settingsFile, lines.join(''), { mode: 0o600 })
  const port = await findFreePort()
  const own = ['--port', String(port), '--env-file', settingsFile]
  const apart = ['--inspector-port', '0', '--persist-to', join(directory, 'state')]
  // setsid: a process group of its own, whose number is the program's.
  const program = new Program(
    'setsid',
    ['npm', '--prefix', ROOT, 'run', 'dev:edge', '--', ...own, ...apart],
    { environment: buildWranglerEnvironment(directory) },
  )
  const killGroup = (): boolean => signalGroup(program.pid, 'SIGKILL')
  process.once('exit', killGroup)
  try {
    await waitUntil(
      'npm run dev:edge answers',
      async () => {
        if (!program.isRunning) throw new Error(`npm run dev:edge ended: ${program.lines.join('\n')}`)
        return isAnswering(port, '/ping')
      },
      START_LIMIT,
    )
    await work({
      program,
      get: (target) => requestRaw({ host: '127.0.0.1', port }, { method: 'GET', target }),
      findProcesses: () => findGroup(program.pid),
    })
  } finally {
    killGroup()
    process.off('exit', killGroup)
    await program.exit
    rmSync(directory, { recursive: true, force: true })
  }
}

/** @returns false where the group is gone. */
function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  if (group <= 1) return false
  try {
    return process.kill(-group, signal)
  } catch {
    return false
  }
}

/** Zombies do not count: they wait for whoever inherited them. */
function findGroup(group: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((processId) => {
      const [, command = '', state = '', processGroup = ''] =
        /^\d+ \((.*)\) (\S) \d+ (\d+) /s.exec(readStat(processId)) ?? []
      return processGroup === String(group) && state !== 'Z' ? [`${processId} ${command}`] : []
    })
}

/** @returns '' where the process has just ended. */
function readStat(processId: string): string {
  try {
    return readFileSync(`/proc/${processId}/stat`, 'utf8')
  } catch {
    return ''
  }
}

async function expectEnd(edge: DevEdge, signal: NodeJS.Signals): Promise<void> {
  expect(edge.findProcesses().join()).toContain('workerd')
  signalGroup(edge.program.pid, signal)
  await waitUntil('no process is left', () => edge.findProcesses().length === 0, STOP_LIMIT).catch(
    (error: unknown) => {
      throw new Error(`left: ${edge.findProcesses().join(', ')}`, { cause: error })
    },
  )
  await edge.program.exit
}

it(
  'answers /ping and refuses a request without credential; SIGTERM ends all of it',
  async () => {
    await withDevEdge(SETTINGS, async (edge) => {
      const ping = await edge.get('/ping')
      expect({ status: ping.status, body: ping.body.toString() }).toEqual({ status: 200, body: 'pong' })
      const refused = await edge.get('/slurm/v0.0.42/jobs/')
      expect(refused.status).toBe(401)
      expect(findHeader(refused, 'www-authenticate')).toContain('Bearer')
      const log = (): string => edge.program.lines.join('\n')
      await waitUntil('the audit has the refusal', () => log().includes('"rule":"credential_missing"'))
      expect(log()).not.toContain(PASSWORD)
      expect(log()).not.toContain(KEY)

      await expectEnd(edge, 'SIGTERM')
    })
  },
  TIMEOUT,
)

it(
  'Slurm’s key without consent is 503, and the log says what it would mean and how to consent',
  async () => {
    await withDevEdge({ ...SETTINGS, SLURM_KEY_AT_EDGE: undefined }, async (edge) => {
      expect((await edge.get('/ping')).status).toBe(503)
      const log = (): string => edge.program.lines.join('\n')
      await waitUntil('the log says so', () => log().includes('SLURM_KEY_AT_EDGE=accept-cluster-root'))
      expect(log()).not.toContain(KEY)
    })
  },
  TIMEOUT,
)

it(
  'a missing setting is 503 without its name, and the log names it; SIGINT, as Ctrl-C sends it, ends all of it',
  async () => {
    await withDevEdge({ ...SETTINGS, DATABASE_URL: undefined }, async (edge) => {
      const answer = await edge.get('/ping')
      expect(answer.status).toBe(503)
      expect(answer.body.toString()).toBe('slurmgate is not configured\n')
      expect(findHeader(answer, 'retry-after')).not.toBeNull()
      expect(answer.headers.flat().join('\n')).not.toContain('DATABASE_URL')
      const log = (): string => edge.program.lines.join('\n')
      await waitUntil('the log names it', () => log().includes('slurmgate gateway: DATABASE_URL is required'))
      expect(log()).not.toContain(KEY)

      await expectEnd(edge, 'SIGINT')
    })
  },
  TIMEOUT,
)
