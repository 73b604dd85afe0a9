/** Many clients that ask for the whole queue again and again, each draining its answer before it asks anew. */

import { buildGet, KeepAliveClient, readCacheMark } from './keep-alive-client.ts'

export interface Polled {
  /** Whole answers with status 200, all of them at least `leastBytes` long. */
  readonly answers: number
  readonly perSecond: number
  readonly bytes: number
  readonly marks: Readonly<Record<string, number>>
}

export interface PollOptions {
  readonly port: number
  readonly target: string
  /** One for each poller. */
  readonly headers: readonly Readonly<Record<string, string>>[]
  readonly seconds: number
  readonly leastBytes: number
}

/** What was asked for in time counts, and the time goes on until the last of it has come: nobody gains by the end. */
export async function poll({ port, target, headers, seconds, leastBytes }: PollOptions): Promise<Polled> {
  const clients = await Promise.all(headers.map(() => KeepAliveClient.open(port)))
  const marks: Record<string, number> = {}
  let [answers, bytes] = [0, 0]
  const startedAt = performance.now()
  const endsAt = startedAt + seconds * 1000
  const work = async (client: KeepAliveClient, request: string): Promise<void> => {
    while (performance.now() < endsAt) {
      const answer = await client.ask(request)
      if (answer.status !== 200 || answer.bodyBytes < leastBytes)
        throw new Error(`not a whole answer: ${String(answer.bodyBytes)} bytes, ${answer.head}`)
      answers += 1
      bytes += answer.bodyBytes
      const mark = readCacheMark(answer) ?? 'none'
      marks[mark] = (marks[mark] ?? 0) + 1
    }
  }
  try {
    await Promise.all(clients.map((client, index) => work(client, buildGet(target, headers[index] ?? {}))))
  } finally {
    for (const client of clients) client.close()
  }
  return { answers, bytes, marks, perSecond: (answers * 1000) / (performance.now() - startedAt) }
}
