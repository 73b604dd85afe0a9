/** How long answers of slurmrestd count, and how much room they may take. */

import { readInteger, readText, type Environment } from './environment.ts'
import { READ_KINDS, type ReadKind } from './policy/read-kind.ts'
import type { RuntimeName } from './settings.ts'

export interface CacheSettings {
  /** 0: answers of this kind are neither kept nor shared. */
  readonly ttlSeconds: Readonly<Record<ReadKind, number>>
  /** How much longer they count while slurmrestd cannot be reached. */
  readonly staleSeconds: number
  /** A larger answer is handed on as it comes. */
  readonly entryMaxBytes: number
  /** Of all answers that are held, kept or on their way to a client. */
  readonly maxBytes: number
}

const MIB = 1024 * 1024
const TTL_SECONDS: Readonly<Record<ReadKind, number>> = { jobs: 2, nodes: 10, accounting: 30 }
const TTL_MAX_SECONDS = 3600
/** An isolate has 128 MiB for everything. */
const ROOM = {
  node: { entry: 64 * MIB, all: 256 * MIB, most: 16 * 1024 * MIB },
  workerd: { entry: 8 * MIB, all: 32 * MIB, most: 64 * MIB },
} as const

export function readCacheSettings(env: Environment, runtime: RuntimeName, problems: string[]): CacheSettings {
  const room = ROOM[runtime]
  const bytes = (name: string, byDefault: number): number =>
    readInteger(env, name, { default: byDefault, min: 0, max: room.most }, problems)
  const maxBytes = bytes('CACHE_MAX_BYTES', room.all)
  const entryMaxBytes = bytes('CACHE_ENTRY_MAX_BYTES', Math.min(room.entry, maxBytes))
  if (entryMaxBytes > maxBytes) problems.push('CACHE_ENTRY_MAX_BYTES may not exceed CACHE_MAX_BYTES')
  return {
    ttlSeconds: readTtlSeconds(env, problems),
    staleSeconds: readInteger(env, 'CACHE_STALE_SECONDS', { default: 0, min: 0, max: 86_400 }, problems),
    entryMaxBytes,
    maxBytes,
  }
}

/** `5`: all kinds. `jobs=1,accounting=60`: these. `0,nodes=30`: all, then these. */
function readTtlSeconds(env: Environment, problems: string[]): Readonly<Record<ReadKind, number>> {
  const ttl = { ...TTL_SECONDS }
  const text = readText(env, 'CACHE_TTL_SECONDS')
  for (const [index, item] of (text === null ? [] : text.split(',')).entries()) {
    const [, name, digits = ''] = /^(?:([a-z]+)=)?(\d{1,4})$/.exec(item.trim()) ?? []
    const seconds = digits === '' ? Number.NaN : Number(digits)
    const kinds = READ_KINDS.filter((kind) => (name === undefined ? index === 0 : kind === name))
    if (!(seconds <= TTL_MAX_SECONDS) || kinds.length === 0) {
      problems.push(
        `CACHE_TTL_SECONDS must be seconds up to ${TTL_MAX_SECONDS}, or a comma list such as jobs=2,nodes=10,accounting=30`,
      )
      return ttl
    }
    for (const kind of kinds) ttl[kind] = seconds
  }
  return ttl
}
