/** Runs the published examples against the gate that is up, shows every answer, and follows the submitted job to its end. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildExamples, buildTypedCommand, describeAnswer, runExample, type Example } from './examples.ts'
import { findStateDir, type Stack } from './stack.ts'
import type { Transcript } from './transcript.ts'

export interface DemonstrationInput {
  stack: Stack
  transcript: Transcript
  signal: AbortSignal
  /** Who runs the MUNGE examples: a user's name (through su), `self`, or why nobody can. */
  mungeUser: { name: string } | 'self' | { absentBecause: string }
}

const jobTimeoutSeconds = 180

/** True when every answer was as expected. */
export async function demonstrate(input: DemonstrationInput): Promise<boolean> {
  const { stack, transcript, signal, mungeUser } = input
  const examples = buildExamples(stack.gate.url, stack.token)
  let isAllWell = true
  let jobId: number | null = null
  for (const example of examples) {
    signal.throwIfAborted()
    if (example.usesMunge && typeof mungeUser === 'object' && 'absentBecause' in mungeUser) {
      transcript.say(`\n   left out: ${example.title}, because ${mungeUser.absentBecause}`)
      continue
    }
    const user =
      example.usesMunge && typeof mungeUser === 'object' && 'name' in mungeUser ? mungeUser.name : null
    const body = await show(input, example, user, 200)
    isAllWell &&= body !== null
    if (example === examples[1] && body !== null) jobId = readJobId(body)
    if (example === examples[1] && user !== null && process.getuid?.() === 0) {
      const asRoot = {
        ...examples[0],
        title: 'the first one again, as root: refused, and the answer says why',
      }
      isAllWell = (await show(input, asRoot, null, 401)) !== null && isAllWell
    }
  }
  if (jobId === null) return isAllWell
  return (await followJob(input, jobId)) && isAllWell
}

/** Runs one example and returns its body, or null when its status is not the expected one. */
function show(
  { transcript }: DemonstrationInput,
  example: Example,
  user: string | null,
  expectedStatus: number,
): Promise<string | null> {
  return transcript.step(`Example: ${example.title}`, async () => {
    const typed = buildTypedCommand(example.command, user)
    const prompt = process.getuid?.() === 0 ? '#' : '$'
    transcript.say(`   ${prompt} ${typed.replaceAll('\n', '\n   ')}`)
    const answer = await runExample(example.command, user, join(findStateDir(), 'curl'))
    transcript.say(describeAnswer(answer))
    if (answer.status === expectedStatus) return answer.body
    transcript.say(`   !! expected HTTP ${expectedStatus}`)
    return null
  })
}

function readJobId(body: string): number | null {
  const { job_id: jobId } = JSON.parse(body) as { job_id?: unknown }
  return typeof jobId === 'number' ? jobId : null
}

/** Asks with the demo token until the job has ended; true for COMPLETED. */
function followJob({ stack, transcript, signal }: DemonstrationInput, jobId: number): Promise<boolean> {
  return transcript.step(`Job ${jobId} runs to its end (it sleeps for 30 s)`, async (report) => {
    const startedAt = performance.now()
    const findSeconds = (): number => (performance.now() - startedAt) / 1000
    let shown = ''
    for (;;) {
      signal.throwIfAborted()
      const { state, outputFile } = await readJob(stack, jobId)
      if (state !== shown) transcript.say(`   ${findSeconds().toFixed(0)} s: ${state}`)
      shown = state
      report(state)
      if (!/PENDING|CONFIGURING|RUNNING|COMPLETING/.test(state)) {
        await showOutput(transcript, outputFile)
        return state === 'COMPLETED'
      }
      if (findSeconds() > jobTimeoutSeconds) return false
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  })
}

interface JobNow {
  state: string
  outputFile: string
}

/** The state as `squeue` names it: `job_state` is a list from v0.0.40 on and a string before. */
async function readJob({ gate, token }: Stack, jobId: number): Promise<JobNow> {
  const headers = { Authorization: `Bearer ${token}` }
  const response = await fetch(`${gate.url}/slurm/latest/job/${jobId}`, { headers })
  if (!response.ok) return { state: `HTTP ${response.status}`, outputFile: '' }
  const { jobs } = (await response.json()) as {
    jobs?: { job_state?: string | string[]; standard_output?: string }[]
  }
  const [job = {}] = jobs ?? []
  return { state: [job.job_state ?? 'UNKNOWN'].flat().join(' '), outputFile: job.standard_output ?? '' }
}

/** Only where the job's file is on this host, as it is with a cluster of our own. */
async function showOutput(transcript: Transcript, outputFile: string): Promise<void> {
  const text = await readFile(outputFile, 'utf8').catch(() => null)
  if (text === null) return
  const lines = text.slice(0, 500).trimEnd().split('\n')
  transcript.say([`   its output, ${outputFile}:`, ...lines.map((line) => `   < ${line}`)].join('\n'))
}
