/** The published examples, run as they stand but for host and token, and shown with their answers. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from './command.ts'

export interface Example {
  title: string
  /** As published. */
  command: string
  usesMunge: boolean
}

export interface ExampleAnswer {
  status: number
  body: string
}

const mungeHeader = '-H "Authorization: MUNGE $(munge -n -t 5)"'

/** The four published commands; the trailing comma in the second is part of them. */
export function buildExamples(url: string, token: string): readonly [Example, Example, Example, Example] {
  return [
    { title: 'jobs, with MUNGE', command: `curl ${url}/slurm/latest/jobs ${mungeHeader}`, usesMunge: true },
    {
      title: 'submit a job, with MUNGE',
      command: `curl ${url}/slurm/latest/job/submit -H "Content-Type: application/json" ${mungeHeader} -d '{
"job": { "name": "test-job", "environment": [ "PATH=/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin" ],
"current_working_directory": "'$HOME'", "script": "#!/bin/bash\\nhostname\\nsleep 30\\necho done",
}
}'`,
      usesMunge: true,
    },
    {
      title: 'jobs, with a bearer token',
      command: `curl -s -H "Authorization: Bearer ${token}" ${url}/slurm/latest/jobs`,
      usesMunge: false,
    },
    {
      title: 'jobs, with the header pair',
      command: `curl -s -H "X-Slurm-User-Name: palmapi_bearer" -H "X-Slurm-User-Token: ${token}" ${url}/slurm/latest/jobs`,
      usesMunge: false,
    },
  ]
}

/** What a person types: the command itself, or, for somebody else, through su. */
export function buildTypedCommand(command: string, user: string | null): string {
  return user === null ? command : `su - ${user} -c '${command.replaceAll("'", `'\\''`)}'`
}

/**
 * Runs the command in a shell of that user's. Status and silence come from a curlrc beside it, so the command itself stays
 * as published.
 */
export async function runExample(
  command: string,
  user: string | null,
  curlDir: string,
): Promise<ExampleAnswer> {
  await mkdir(curlDir, { recursive: true, mode: 0o755 })
  await writeFile(
    join(curlDir, '.curlrc'),
    'silent\nshow-error\nwrite-out = "%{stderr}HTTP %{response_code}"\n',
  )
  const script = `export CURL_HOME='${curlDir}'; ${command}`
  const shell = user === null ? ['bash', '-c', script] : ['su', '-', user, '-c', script]
  const { stdout, stderr } = await runCommand(shell, { timeoutSeconds: 60 })
  const status = Number(/HTTP (\d{3})$/.exec(stderr.trim())?.[1] ?? '0')
  return { status, body: status === 0 ? stderr.trim() : stdout }
}

const shownLines = 10
const shownBytes = 900

/** Status and the beginning of the body, indented; says how much is left out. */
export function describeAnswer({ status, body }: ExampleAnswer): string {
  const shown = body.split('\n').slice(0, shownLines).join('\n').slice(0, shownBytes)
  const leftOut = Buffer.byteLength(body) - Buffer.byteLength(shown)
  const lines = shown.trimEnd().split('\n')
  if (leftOut > 1) lines.push(`… (${leftOut} bytes left out)`)
  return [`HTTP ${status}`, ...lines].map((line) => `   < ${line}`).join('\n')
}
