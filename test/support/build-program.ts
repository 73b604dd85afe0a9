/** Bundles one process of `functions/` into a single file that Node runs: the code as it stands, not a stale `dist`. */

import { buildSync } from 'esbuild'
import { fileURLToPath } from 'node:url'

/** @param entry a line of TypeScript, resolved against the repository; @param outfile ends in `.cjs`. */
export function buildProgram(entry: string, outfile: string): void {
  buildSync({
    stdin: { contents: entry, resolveDir: fileURLToPath(new URL('../..', import.meta.url)), loader: 'ts' },
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    format: 'cjs',
    logLevel: 'warning',
  })
}
