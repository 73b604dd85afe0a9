/** What `wrangler deploy` would upload: small, self-contained, and nothing of Node's side in it. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { beforeAll, expect, it } from 'vitest'
import { ROOT, loadWorkerBundle, parseCompatibility, type WorkerBundle } from '../support/worker-bundle.ts'

/** What the Postgres driver's workerd build imports (facts/runtimes.md), and `waitUntil`. */
const ALLOWED = ['cloudflare:sockets', 'cloudflare:workers', 'node:buffer', 'node:events', 'node:stream']
const KIB = 1024
/** Workers' own limit is 3 MiB on the free plan; start-up time grows with size. */
const GZIP_LIMIT = 300 * KIB

let bundle: WorkerBundle

beforeAll(async () => {
  bundle = await loadWorkerBundle()
}, 180_000)

/** Static and dynamic imports and `require`, as a parser sees them. */
async function findImports(script: string): Promise<string[]> {
  const found = new Set<string>()
  await build({
    stdin: { contents: script, loader: 'js' },
    bundle: true,
    write: false,
    format: 'esm',
    logLevel: 'silent',
    plugins: [
      {
        name: 'collect-imports',
        setup(builder) {
          builder.onResolve({ filter: /.*/ }, ({ path }) => {
            found.add(path)
            return { path, external: true }
          })
        },
      },
    ],
  })
  return [...found].sort()
}

it('imports exactly what the Postgres driver and waitUntil need', async () => {
  expect(await findImports(bundle.script)).toEqual(ALLOWED)
  // A require that was already turned into a call, and Node's way around imports, are no imports to a parser.
  expect(bundle.script).not.toMatch(/__require\d*\(["'`]|getBuiltinModule/)
})

it('the search for imports sees every kind of import', async () => {
  const script = `import 'a'; export * from 'b'; await import('c'); require('d'); import e from "node:fs"; e()`
  expect(await findImports(script)).toEqual(['a', 'b', 'c', 'd', 'node:fs'])
})

it('is one module, and none of its sources belongs to Node', () => {
  expect(bundle.otherFiles).toEqual([])
  const ours = bundle.sources
    .filter((source) => !source.includes('/node_modules/'))
    .map((source) => source.replace(`${ROOT}/`, ''))
  expect(ours).toContain('functions/worker.ts')
  const isOfWorker = /^(?:src\/|functions\/worker\.ts$|functions\/workerd\/)/
  expect(ours.filter((name) => !isOfWorker.test(name))).toEqual([])
  const isOfNode = /node_modules\/(?:undici|@hono\/node-server|unenv|pg|postgres\/(?!cf\/))/
  expect(bundle.sources.filter((source) => isOfNode.test(source))).toEqual([])
})

it('is at most 300 KiB with gzip', () => {
  const plain = Buffer.byteLength(bundle.script)
  const gzip = gzipSync(bundle.script).length
  process.stdout.write(
    `Worker bundle: ${(plain / KIB).toFixed(1)} KiB, ${(gzip / KIB).toFixed(1)} KiB with gzip, ` +
      `made by wrangler in ${(bundle.buildMilliseconds / 1000).toFixed(1)} s\n`,
  )
  expect(gzip).toBeLessThanOrEqual(GZIP_LIMIT)
})

it('is run by the tests with the date and flags that would be deployed', async () => {
  const { unstable_readConfig: readConfig } = await import('wrangler')
  const configuration: unknown = readConfig({ config: join(ROOT, 'wrangler.toml') }, { hideWarnings: true })
  expect(configuration).toMatchObject({
    compatibility_date: bundle.compatibility.compatibilityDate,
    compatibility_flags: bundle.compatibility.compatibilityFlags,
  })
}, 180_000)

it('would be deployed under no address of its own: no workers.dev name, no preview URLs, in no environment', async () => {
  const { unstable_readConfig: readConfig } = await import('wrangler')
  const config = join(ROOT, 'wrangler.toml')
  const configuration: unknown = readConfig({ config }, { hideWarnings: true })
  expect(configuration).toMatchObject({ workers_dev: false, preview_urls: false })
  expect(readFileSync(config, 'utf8')).not.toMatch(/^\s*\[+\s*env\b/m)
}, 180_000)

it.each([
  ['compatibility_date = "2026-04-01"\n'],
  ['compatibility_date = "2026-04-01"\n[env.x]\ncompatibility_flags = ["nodejs_compat"]\n'],
  ['compatibility_date = "2026-04-01"\ncompatibility_flags = [\n"nodejs_compat"]\n'],
  ['compatibility_date = "2026-04-01"\ncompatibility_flags = []\n[env.x]\ncompatibility_date = "2026-01-01"'],
])('a wrangler.toml whose keys stand in another way is refused, not guessed: %j', (toml) => {
  expect(() => parseCompatibility(toml)).toThrow('wrangler.toml')
})
