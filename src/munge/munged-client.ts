/** munged as two questions, over whatever carries its frames. Asks each question once: never retries. */

import type { WatchClock } from '../clock-alarm.ts'
import type { Clock } from '../ports.ts'
import { Outage } from '../refusal.ts'
import {
  buildDecodeRequest,
  buildEncodeRequest,
  MESSAGE,
  parseDecodeResponse,
  parseEncodeResponse,
  type DecodeAnswer,
  type EncodeOptions,
  type MessageType,
} from './frame.ts'

/** Carries one request to munged's socket and its answer back. */
export interface MungedSocket {
  /**
   * @returns the body of an answer of type `expected`, whose header was checked and whose length is exact.
   * @throws Outage `munged_unavailable`
   */
  send(request: Uint8Array, expected: MessageType): Promise<Uint8Array>
}

/** What the verifier needs of munged. */
export interface Munged {
  /** Uses the credential up. @throws Outage `munged_unavailable` */
  decode(credential: string): Promise<DecodeAnswer>
  /** A round trip: makes a credential and decodes it. @throws Outage `munged_unavailable` */
  check(): Promise<void>
}

export interface MungedClient extends Munged {
  /** A credential of the calling process's user. @throws Outage `munged_unavailable` */
  encode(options: EncodeOptions): Promise<string>
}

/** @param watch told of munged's clock with each credential it could read, its own of a check included. */
export function createMungedClient(
  socket: MungedSocket,
  watch?: { readonly clock: Clock; readonly watchClock: WatchClock },
): MungedClient {
  const decode = async (credential: string): Promise<DecodeAnswer> => {
    const askedAt = watch === undefined ? 0 : watch.clock() / 1000
    const body = await socket.send(buildDecodeRequest(credential), MESSAGE.decodeResponse)
    const answer = parseDecodeResponse(body)
    if (watch !== undefined && answer.decodedAt > 0) {
      const answeredAt = watch.clock() / 1000
      watch.watchClock('munged', { askedAt, answeredAt, told: answer.decodedAt, precisionSeconds: 1 })
    }
    return answer
  }

  const encode = async (options: EncodeOptions): Promise<string> => {
    const body = await socket.send(buildEncodeRequest(options), MESSAGE.encodeResponse)
    const answer = parseEncodeResponse(body)
    if (answer.errorNumber === 0) return answer.credential
    throw new Outage(
      'munged_unavailable',
      `munged made no credential: error ${answer.errorNumber}, ${answer.errorText}`,
    )
  }

  const check = async (): Promise<void> => {
    const answer = await decode(await encode({ ttlSeconds: 5 }))
    if (answer.errorNumber === 0) return
    throw new Outage(
      'munged_unavailable',
      `munged refuses its own credential: error ${answer.errorNumber}, ${answer.errorText}`,
    )
  }

  return { decode, encode, check }
}
