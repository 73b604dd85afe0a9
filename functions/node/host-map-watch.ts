/**
 * The host map in force: read at the start, and again when its file changes. A file that cannot be used leaves the map
 * from before in force, and says so in the log.
 */

import { HOST_MAP_LOOK_MILLISECONDS } from '../../src/limits.ts'
import type { HostMap } from '../../src/munge/host-map.ts'
import type { Log } from '../../src/ports.ts'
import { findHostMapMark, readHostMapFile, type FileMark } from './host-map-file.ts'

export interface HostMapWatch {
  readonly findHostMap: () => HostMap
  /** Looks until the process ends, without keeping it. */
  start(log: Log): void
}

const REFUSED =
  'the host map in force is still the one from before; a start with this file would fail: correct it, best by renaming a good one over it'

/**
 * @param path null: nothing is mapped.
 * @returns null without a map, and with at least one problem where the file cannot be used.
 */
export function openHostMap(path: string | null, problems: string[]): HostMapWatch | null {
  if (path === null) return null
  const reading = readHostMapFile(path)
  if ('map' in reading) return createHostMapWatch(path, reading)
  problems.push(...reading.problems.map((problem) => `MUNGE_HOST_MAP_FILE: ${problem}`))
  return null
}

function createHostMapWatch(path: string, first: { map: HostMap; mark: FileMark }): HostMapWatch {
  let map = first.map
  /** Of the file that was judged last, and of the last look. */
  let judged: FileMark | null = first.mark
  let seen: FileMark | null = first.mark

  function judge(log: Log): void {
    const reading = readHostMapFile(path)
    if (reading.mark !== null && reading.mark !== seen) return
    judged = seen
    if ('map' in reading) {
      map = reading.map
      log.write('info', 'host_map_loaded', { path, ...count(map) })
    } else {
      log.write('error', 'host_map_refused', { path, problems: reading.problems, message: REFUSED })
    }
  }

  async function look(log: Log): Promise<void> {
    const mark = await findHostMapMark(path)
    // A file that is being written changes from look to look; half of it may read like another map.
    const isStill = mark === seen
    seen = mark
    if (isStill && mark !== judged) judge(log)
  }

  return {
    findHostMap: () => map,
    start(log) {
      log.write('info', 'host_map_loaded', { path, ...count(map) })
      const lookAgain = (): void => {
        const timer = setTimeout(() => void look(log).finally(lookAgain), HOST_MAP_LOOK_MILLISECONDS)
        timer.unref()
      }
      lookAgain()
    },
  }
}

function count({ hosts, sharedHosts }: HostMap): Record<string, number> {
  return { hosts, sharedHosts }
}
