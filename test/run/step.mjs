/** Child processes of the run: each in a process group of its own, with a time limit, none left behind. */

import { spawn } from 'node:child_process'

const GRACE = 5_000
const groups = new Set()

process.once('exit', () => {
  for (const group of groups) signalGroup(group, 'SIGKILL')
})

/** @returns `{ ok, milliseconds, note }`; `note` says why it was ended, if it was. */
export async function runStep(command, parameters, { limit, env = {}, quiet = false } = {}) {
  const startedAt = Date.now()
  const child = spawn(command, parameters, {
    env: { ...process.env, ...env },
    stdio: ['ignore', quiet ? 'ignore' : 'inherit', quiet ? 'ignore' : 'inherit'],
    detached: true,
  })
  let note
  const ended = new Promise((resolve) => {
    child.once('error', (error) => {
      note = error.message
      resolve(1)
    })
    child.once('exit', (code, signal) => {
      resolve(code ?? signal)
    })
  })
  if (child.pid !== undefined) groups.add(child.pid)
  const timer = setTimeout(() => {
    note = `not done within ${Math.round(limit / 60_000)} minutes`
    void endGroup(child.pid)
  }, limit)
  const code = await ended
  clearTimeout(timer)
  // Whatever the step started and forgot ends with it.
  if (child.pid !== undefined) await endGroup(child.pid)
  return { ok: code === 0, milliseconds: Date.now() - startedAt, note }
}

export async function endAll() {
  await Promise.all([...groups].map((group) => endGroup(group)))
}

async function endGroup(group) {
  const until = Date.now() + GRACE
  signalGroup(group, 'SIGTERM')
  while (isAlive(group) && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 50))
  signalGroup(group, 'SIGKILL')
  groups.delete(group)
}

function isAlive(group) {
  return signalGroup(group, 0)
}

function signalGroup(group, signal) {
  try {
    return process.kill(-group, signal)
  } catch {
    return false
  }
}
