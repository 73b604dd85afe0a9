/**
 * Listens to Postgres for changes of tokens, on a connection of its own that it tries three times a second from another
 * one. What it heard counts only while that goes well: a connection that went silent, or a pooler that passes no
 * notifications on, is found out within a second. For runtimes that outlive a request.
 */

import postgres from 'postgres'
import {
  CHANGES_BEAT_MILLISECONDS,
  CHANGES_RETRY_MILLISECONDS,
  CHANGES_TOLD_MILLISECONDS,
} from '../limits.ts'
import type { Clock, Log, RandomBytes } from '../ports.ts'
import { DatabaseDeadline, describeDatabaseError } from './database-error.ts'
import { formatHex } from '../hex.ts'
import { TOKEN_CHANGES_CHANNEL } from './schema.ts'
import type { ChangeFeed } from './warm-tokens.ts'

export interface ChangeListener extends ChangeFeed {
  /** Listens until it is closed; tries again for ever. */
  start(): void
  close(): Promise<void>
}

export interface ChangeListenerOptions {
  readonly url: string
  readonly log: Log
  readonly now: Clock
  readonly randomBytes: RandomBytes
}

/** Our own beats come back on it, as changes come on the other. */
const BEAT_CHANNEL_PREFIX = 'slurmgate_beat_'
const BEAT_CHANNEL_BYTES = 16

/** Opens nothing yet. */
export function createChangeListener(options: ChangeListenerOptions): ChangeListener {
  const { log, now } = options
  const listeners: (() => void)[] = []
  const run = { isClosed: false, end: (): void => undefined }
  let isListening = false
  /** Once, also where it never was listening: a pooler may drop all. */
  let isLossSaid = false
  /** When the last beat that came back was sent: all that was told before it has arrived. */
  let heardUpTo = Number.NEGATIVE_INFINITY
  let running: Promise<void> = Promise.resolve()

  function forget(): void {
    for (const listener of listeners) listener()
  }

  function lose(reason: string): void {
    const wasListening = isListening
    isListening = false
    heardUpTo = Number.NEGATIVE_INFINITY
    if (wasListening) forget()
    if (!isLossSaid && !run.isClosed) log.write('warn', 'token_changes_lost', { reason })
    isLossSaid = true
  }

  function beat(sentAt: number): void {
    heardUpTo = sentAt
    if (isListening) return
    isListening = true
    isLossSaid = false
    // What changed before this connection was there was told to nobody.
    forget()
    log.write('info', 'token_changes_told', {})
  }

  async function keepListening(): Promise<void> {
    const isClosed = (): boolean => run.isClosed
    while (!isClosed()) {
      try {
        await listen(options, { forget, beat }, run)
      } catch (error) {
        lose(describeDatabaseError(error))
      }
      if (!isClosed()) await pause(CHANGES_RETRY_MILLISECONDS)
    }
  }

  return {
    isCurrent: () => {
      const age = now() - heardUpTo
      return isListening && age >= 0 && age <= CHANGES_TOLD_MILLISECONDS
    },
    subscribe: (listener) => void listeners.push(listener),
    start: () => {
      running = keepListening()
    },
    async close() {
      run.isClosed = true
      run.end()
      await running
      lose('closed')
    },
  }
}

/** What is heard on one connection. */
interface Heard {
  /** A change. */
  readonly forget: () => void
  /** @param sentAt of a beat that has come back. */
  readonly beat: (sentAt: number) => void
}

/** The life of one pair of connections. @throws what it ended with. */
async function listen(
  { url, now, randomBytes }: ChangeListenerOptions,
  { forget, beat }: Heard,
  run: { isClosed: boolean; end: () => void },
): Promise<void> {
  const beatChannel = `${BEAT_CHANNEL_PREFIX}${formatHex(randomBytes(BEAT_CHANNEL_BYTES))}`
  let comeBack = (): void => undefined
  let cut: (reason: Error) => void = () => undefined
  const cutOff = new Promise<never>((_, reject) => (cut = reject))
  cutOff.catch(() => undefined)
  run.end = () => cut(new Error('closed'))
  const onClose = (): void => cut(new Error('the connection was closed'))
  const hearing = openConnection(url, {
    name: 'slurmgate changes',
    onClose,
    onNotify: (channel) => (channel === TOKEN_CHANGES_CHANNEL ? forget() : comeBack()),
  })
  // Beats go the way that changes go, from another connection: what a connection tells itself comes with the answer to its own
  // statement, also through a pooler that drops what comes between statements (PgBouncer, "Features": LISTEN).
  const telling = openConnection(url, { name: 'slurmgate beats', onClose, onNotify: () => undefined })
  try {
    const listening = hearing.unsafe(`listen ${TOKEN_CHANGES_CHANNEL}; listen ${beatChannel}`)
    await within(CONNECT_MILLISECONDS, Promise.all([listening, telling.unsafe('select')]), cutOff)
    while (!run.isClosed) {
      const sentAt = now()
      // In the order of commits: what was told before comes before the beat does.
      const hasComeBack = new Promise<void>((resolve) => (comeBack = resolve))
      const beaten = Promise.all([telling.unsafe(`notify ${beatChannel}`), hasComeBack])
      await within(CHANGES_TOLD_MILLISECONDS, beaten, cutOff)
      beat(sentAt)
      await within(2 * CHANGES_BEAT_MILLISECONDS, pause(CHANGES_BEAT_MILLISECONDS), cutOff)
    }
  } finally {
    await Promise.all([hearing, telling].map((sql) => sql.end({ timeout: 0 }).catch(() => undefined)))
  }
}

const CONNECT_MILLISECONDS = 5_000

interface ConnectionParts {
  /** In `pg_stat_activity`. */
  readonly name: string
  readonly onClose: () => void
  readonly onNotify: (channel: string) => void
}

function openConnection(url: string, { name, onClose, onNotify }: ConnectionParts): postgres.Sql {
  const options = {
    max: 1,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: CONNECT_MILLISECONDS / 1000,
    fetch_types: false,
    prepare: false,
    backoff: false,
    onnotice: () => undefined,
    connection: { application_name: name },
    onclose: onClose,
    // Of the driver's, though not in its types.
    onnotify: onNotify,
  }
  return postgres(url, options)
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** @throws what `cutOff` fails with; DatabaseDeadline. */
async function within(
  milliseconds: number,
  work: PromiseLike<unknown>,
  cutOff: Promise<never>,
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const deadline = new Promise<never>((_, reject) => {
    const give = (): void => reject(new DatabaseDeadline(`no notification within ${milliseconds / 1000} s`))
    timer = setTimeout(give, milliseconds)
  })
  try {
    await Promise.race([work, cutOff, deadline])
  } finally {
    clearTimeout(timer)
  }
}
