/** What a connection tells of one call's answer, and what it can be told meanwhile. */

import type { UpstreamAnswer } from '../../src/ports.ts'

/** Of the connection that a call is under way on. Not to be called once the answer is over. */
export interface AnswerController {
  /** Bytes may still come. */
  pause(): void
  resume(): void
  /** Breaks the connection, and tells nothing more. */
  abort(): void
}

export type AnswerStart = Pick<UpstreamAnswer, 'status' | 'contentType' | 'contentLength'> & {
  /** The connection is not used again, and its end may be the answer's. */
  readonly isClosing: boolean
}

/** In this order; an error may come at any time, and is the last. From the head on silence is timed, and is an error. */
export interface AnswerEvents {
  /** Before anything is sent. @returns false: nobody waits any more, so nothing may be sent. */
  onRequestStart(controller: AnswerController): boolean
  /** @param start holds for the time of the call only. */
  onResponseStart(start: AnswerStart): void
  /** @param piece not empty; holds for the time of the call only. */
  onResponseData(piece: Uint8Array): void
  onResponseEnd(): void
  onResponseError(cause: Error): void
}
