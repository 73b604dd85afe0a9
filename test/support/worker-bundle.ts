/** The Worker exactly as `wrangler deploy` would upload it, with the compatibility date and flags of wrangler.toml. */

import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { runProgram } from './program.ts'

export interface WorkerBundle {
  readonly script: string
  /** Every file that wrangler wrote beside the script, but for its own README.md. */
  readonly otherFiles: readonly string[]
  /** Absolute paths of the sources that went in. */
  readonly sources: readonly string[]
  readonly compatibility: Compatibility
  readonly buildMilliseconds: number
}

export interface Compatibility {
  readonly compatibilityDate: string
  readonly compatibilityFlags: string[]
}

export const ROOT = join(import.meta.dirname, '../..')
const CONFIGURATION = join(ROOT, 'wrangler.toml')
const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js')
/** About 3 s; a busy machine needs more. */
const BUILD_LIMIT_MILLISECONDS = 100_000

/** Nothing asked, nothing sent; logs and caches go to `home` and not to the user's. */
export function buildWranglerEnvironment(home: string): Readonly<Record<string, string>> {
  return {
    CI: '1',
    HOME: home,
    NO_COLOR: '1',
    WRANGLER_SEND_METRICS: 'false',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  }
}

let bundle: Promise<WorkerBundle> | null = null

/** Made once per test process. Needs no network. */
export function loadWorkerBundle(): Promise<WorkerBundle> {
  bundle ??= buildWithWrangler()
  return bundle
}

async function buildWithWrangler(): Promise<WorkerBundle> {
  const compatibility = parseCompatibility(readFileSync(CONFIGURATION, 'utf8'))
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-worker-'))
  const startedAt = Date.now()
  try {
    const output = join(directory, 'output')
    await runProgram(
      process.execPath,
      [WRANGLER, 'deploy', '--dry-run', '--config', CONFIGURATION, '--outdir', output],
      { environment: buildWranglerEnvironment(directory), timeoutMilliseconds: BUILD_LIMIT_MILLISECONDS },
    )
    const known = ['worker.js', 'worker.js.map', 'README.md']
    const map = JSON.parse(readFileSync(join(output, 'worker.js.map'), 'utf8')) as { sources: string[] }
    return {
      script: readFileSync(join(output, 'worker.js'), 'utf8'),
      otherFiles: readdirSync(output).filter((name) => !known.includes(name)),
      sources: map.sources.map((source) => resolve(output, source)),
      compatibility,
      buildMilliseconds: Date.now() - startedAt,
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * Reads two keys of wrangler.toml, each on one line before the first table; importing wrangler to read them takes 2 s.
 * @throws where they stand in another way: better than to guess what would be deployed.
 */
export function parseCompatibility(toml: string): Compatibility {
  const [topLevel = ''] = toml.split(/^\s*\[/m)
  const date = /^compatibility_date *= *"(\d{4}-\d{2}-\d{2})" *$/m.exec(topLevel)?.[1]
  const list = /^compatibility_flags *= *\[((?: *"[a-z0-9_]+" *,?)*) *\] *$/m.exec(topLevel)?.[1]
  const count = [...toml.matchAll(/\bcompatibility_(?:date|flags)\b/g)].length
  if (date === undefined || list === undefined || count !== 2) {
    throw new Error('wrangler.toml: compatibility_date and compatibility_flags are wanted once, at the top')
  }
  return {
    compatibilityDate: date,
    compatibilityFlags: [...list.matchAll(/"([^"]+)"/g)].map(([, flag = '']) => flag),
  }
}
