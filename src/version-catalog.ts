/**
 * Which API versions are served: the operator's list, or what slurmrestd's own OpenAPI document names, as far as the
 * route table knows them. Keeps what it learnt when slurmrestd stops answering; until it has learnt anything, 503.
 */

import { readAll } from './byte-stream.ts'
import { isWithin } from './is-within.ts'
import {
  OPENAPI_MAX_BYTES,
  VERSIONS_FRESH_MILLISECONDS,
  VERSIONS_RETRY_MILLISECONDS,
  VERSIONS_TIMEOUT_MILLISECONDS,
  VERSIONS_TURN_MILLISECONDS,
} from './limits.ts'
import type { Clock, Log, Upstream } from './ports.ts'
import { Outage } from './refusal.ts'
import { isObject, parseSlurmAnswer } from './slurm-error.ts'
import { createSingleFlight } from './single-flight.ts'
import { NEWEST_VERSION, OLDEST_VERSION } from './policy/route-table.ts'

export interface VersionCatalog {
  /**
   * The NN of v0.0.NN, ascending, never empty; at most five minutes old while slurmrestd answers.
   * @throws Outage `versions_unknown`
   */
  findVersions(): Promise<readonly number[]>
}

export interface VersionCatalogOptions {
  /** `auto`, or the operator's list (ascending). */
  readonly setting: 'auto' | readonly number[]
  readonly upstream: Upstream
  readonly timeoutMilliseconds: number
  readonly maySharePromises: boolean
  readonly now: Clock
  readonly log: Log
}

/**
 * The document wants *a* token but does not check it (measured on 22.05, 24.11 and 26.05): no Slurm token is minted
 * for anybody to learn the versions.
 */
const DISCOVERY_HEADERS = {
  accept: 'application/json',
  // 22.05 wants a name beside the token, any name (measured).
  'x-slurm-user-name': 'nobody',
  'x-slurm-user-token': 'slurmgate-version-discovery',
}

export function createVersionCatalog(options: VersionCatalogOptions): VersionCatalog {
  const { setting, now, log } = options
  if (setting !== 'auto') return { findVersions: () => Promise.resolve(setting) }
  let versions: readonly number[] = []
  /** For how long, and since when, nobody asks. */
  let rest = { since: Number.NEGATIVE_INFINITY, milliseconds: 0 }
  const restFor = (milliseconds: number): void => {
    rest = { since: now(), milliseconds }
  }
  const timeoutMilliseconds = Math.min(options.timeoutMilliseconds, VERSIONS_TIMEOUT_MILLISECONDS)

  const ask = async (): Promise<void> => {
    try {
      const learnt = await fetchVersions({ ...options, timeoutMilliseconds })
      if (learnt.join() !== versions.join()) log.write('info', 'versions_learnt', { versions: learnt })
      versions = learnt
      restFor(VERSIONS_FRESH_MILLISECONDS)
    } catch (cause) {
      restFor(VERSIONS_RETRY_MILLISECONDS)
      log.write('warn', 'versions_not_learnt', { reason: cause instanceof Error ? cause.message : 'unknown' })
    }
  }
  const learn = createSingleFlight(ask, { ...options, turnMilliseconds: VERSIONS_TURN_MILLISECONDS })

  return {
    async findVersions() {
      const isDue = !isWithin(rest.since, rest.milliseconds, now())
      // While one request asks again, the others use what is known.
      if (isDue && versions.length > 0) restFor(VERSIONS_TURN_MILLISECONDS)
      if (isDue) await learn()
      if (versions.length > 0) return versions
      throw new Outage('versions_unknown', 'slurmrestd has not told its versions')
    },
  }
}

/**
 * Asks slurmrestd once, as nobody.
 * @returns the NN of v0.0.NN, ascending, never empty.
 * @throws Outage
 */
export async function fetchVersions(
  options: Pick<VersionCatalogOptions, 'upstream' | 'timeoutMilliseconds'>,
): Promise<readonly number[]> {
  const answer = await options.upstream.send({
    method: 'GET',
    target: '/openapi/v3',
    headers: DISCOVERY_HEADERS,
    body: null,
    timeoutMilliseconds: options.timeoutMilliseconds,
  })
  const bytes = await readAll(answer.body, OPENAPI_MAX_BYTES)
  if (answer.status !== 200 || bytes === null) {
    throw new Outage('versions_unknown', `slurmrestd answered its OpenAPI document with ${answer.status}`)
  }
  const versions = readVersions(parseDocument(bytes))
  if (versions.length === 0) {
    throw new Outage('versions_unknown', 'no version in slurmrestd’s OpenAPI document is known to this gate')
  }
  return versions
}

function parseDocument(bytes: Uint8Array): unknown {
  try {
    return parseSlurmAnswer(bytes)
  } catch (cause) {
    throw new Outage('versions_unknown', 'slurmrestd’s OpenAPI document is no JSON', { cause })
  }
}

/** @returns the known versions among the document's paths, ascending. */
export function readVersions(document: unknown): readonly number[] {
  const paths = isObject(document) ? document['paths'] : null
  if (!isObject(paths)) return []
  const found = new Set<number>()
  for (const path of Object.keys(paths)) {
    const version = Number(/^\/slurm\/v0\.0\.([1-9]\d{0,2})\//.exec(path)?.[1])
    if (version >= OLDEST_VERSION && version <= NEWEST_VERSION) found.add(version)
  }
  return [...found].sort((a, b) => a - b)
}
