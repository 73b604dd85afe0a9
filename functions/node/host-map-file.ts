/** Reads the host map's file, whole and bounded, and refuses one that others than its owner could change. */

import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { HOST_MAP_MAX_BYTES } from '../../src/limits.ts'
import { parseHostMap, type HostMap } from '../../src/munge/host-map.ts'

/** Whoever writes the map says whose credentials are good where. */
const WRITABLE_BY_OTHERS = 0o022n

/** What of a file changes with its content, its replacement by renaming, or its permissions. */
export type FileMark = string

export type HostMapReading =
  | { readonly mark: FileMark; readonly map: HostMap }
  | { readonly mark: FileMark | null; readonly problems: readonly string[] }

export function readHostMapFile(path: string): HostMapReading {
  let file: number | null = null
  try {
    // A pipe without a writer would hold the process.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const status = fstatSync(file, { bigint: true })
    const mark = buildMark(status)
    const problem = findProblem(status)
    if (problem !== null) return { mark, problems: [problem] }
    const text = readText(file)
    if (text === null) return { mark, problems: [TOO_LARGE] }
    return { mark, ...parseResult(text) }
  } catch (cause) {
    return { mark: null, problems: [`cannot be read (${findCode(cause)})`] }
  } finally {
    if (file !== null) closeSync(file)
  }
}

/** @returns null where there is no file to look at. */
export async function findHostMapMark(path: string): Promise<FileMark | null> {
  return stat(path, { bigint: true }).then(buildMark, () => null)
}

const TOO_LARGE = `is larger than ${HOST_MAP_MAX_BYTES} bytes`

function findProblem(status: BigIntStats): string | null {
  if (!status.isFile()) return 'is no regular file'
  if ((status.mode & WRITABLE_BY_OTHERS) !== 0n) return 'can be written by others than its owner: chmod go-w'
  return status.size > BigInt(HOST_MAP_MAX_BYTES) ? TOO_LARGE : null
}

function parseResult(text: string): { map: HostMap } | { problems: readonly string[] } {
  const map = parseHostMap(text)
  return 'problems' in map ? map : { map }
}

/** @returns null where it is too large: it may have grown. */
function readText(file: number): string | null {
  const bytes = new Uint8Array(HOST_MAP_MAX_BYTES + 1)
  let length = 0
  for (;;) {
    const count = readSync(file, bytes, length, bytes.length - length, null)
    length += count
    if (length > HOST_MAP_MAX_BYTES) return null
    if (count === 0) return new TextDecoder().decode(bytes.subarray(0, length))
  }
}

function buildMark({ dev, ino, size, mode, mtimeNs, ctimeNs }: BigIntStats): FileMark {
  return [dev, ino, size, mode, mtimeNs, ctimeNs].join(':')
}

function findCode(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
}
