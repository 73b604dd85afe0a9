/** The CLI as a child process, built as `npm run build` builds it, into a folder of this test file's own. */

import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { Program } from './program.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface BuiltCli {
  run(parameters: readonly string[], options?: CliOptions): Promise<CliOutcome>
  remove(): Promise<void>
}

export interface CliOptions {
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly input?: string
}

export interface CliOutcome {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Under `node_modules`, so that packages are found; beside links to what the package ships next to `dist`. */
export async function buildCli(): Promise<BuiltCli> {
  const cache = join(ROOT, 'node_modules', '.cache')
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(join(cache, 'slurmgate-cli-'))
  for (const name of ['migrations', 'package.json']) await symlink(join(ROOT, name), join(folder, name))
  await build({
    entryPoints: [join(ROOT, 'functions', 'cli.ts')],
    outdir: join(folder, 'dist'),
    packages: 'external',
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    logLevel: 'warning',
  })
  const cli = join(folder, 'dist', 'cli.js')
  return {
    run: (parameters, options = {}) => runCli(cli, parameters, options),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

async function runCli(cli: string, parameters: readonly string[], options: CliOptions): Promise<CliOutcome> {
  const program = new Program(process.execPath, [cli, ...parameters], options)
  const exitCode = await program.exit
  return { exitCode, stdout: program.stdout, stderr: program.stderr }
}
