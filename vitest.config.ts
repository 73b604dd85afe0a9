import { defineConfig } from 'vitest/config'

/** What Postgres plans for a million rows is the same under every Node: once is enough. */
const MILLION = process.env['SLURMGATE_MILLION_TOKENS'] === 'no' ? ['test/tokens/million-tokens.test.ts'] : []

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/conformance/**', 'test/integration/**', 'test/adversarial/**', ...MILLION],
          // For what hangs, not for what is slow on a loaded machine.
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'conformance',
          include: ['test/conformance/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/*.test.ts'],
          fileParallelism: false,
          // The first of them may have to build the Debian root: minutes on a new machine.
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'adversarial',
          include: ['test/adversarial/*.test.ts'],
          // Three Slurms side by side, each with its root to be built on a new machine.
          testTimeout: 40 * 60_000,
          hookTimeout: 20 * 60_000,
        },
      },
    ],
  },
})
