/** Keeps the request target as it travelled, beside the one that node:http's listeners are given. */

import type { IncomingMessage } from 'node:http'
import { escapeBackslashes, readOriginForm } from '../../src/request-target.ts'

const sent = new WeakMap<IncomingMessage, string>()

/**
 * RFC 9112 section 3.2: a server takes the absolute form too. Its authority, and a user name in it, are nobody's
 * business; the asterisk and authority forms become paths that do not exist.
 */
export function rewriteTarget(incoming: IncomingMessage): void {
  const target = readOriginForm(incoming.url ?? '/')
  sent.set(incoming, target)
  incoming.url = escapeBackslashes(target)
}

/** @returns path and query, untouched. @throws TypeError for a request that did not come through `rewriteTarget`. */
export function readSentTarget(incoming: IncomingMessage): string {
  const target = sent.get(incoming)
  if (target === undefined) throw new TypeError('the request target was not kept')
  return target
}
