/** How many descriptors a process holds: what a leak shows in. Linux. */

import { readdirSync } from 'node:fs'

export function countDescriptors(pid: number | 'self' = 'self'): number {
  return readdirSync(`/proc/${String(pid)}/fd`).length
}
