/** Writes the head of a request to slurmrestd. What could end a line, or become something else on the wire, is refused. */

import type { ServiceHeaders } from '../../src/hop-settings.ts'
import type { UpstreamRequest } from '../../src/ports.ts'

const TARGET = /^[\x21-\x7e]+$/
const NAME = /^[!#$%&'*+.^_`|~\dA-Za-z-]+$/
/** Each character one byte of Latin-1: U+010A would be cut to an LF. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/**
 * @param host what the Host header says.
 * @param serviceHeaders take the place of a request's own.
 */
export function createRequestHeadBuilder(
  host: string,
  serviceHeaders: ServiceHeaders,
): (request: UpstreamRequest) => string {
  const serviceNames = new Set(Object.keys(serviceHeaders).map((name) => name.toLowerCase()))
  const fixed = `host: ${host}\r\nconnection: keep-alive\r\n`
  const service = Object.entries(serviceHeaders)
    .map(([name, value]) => buildLine(name, value))
    .join('')
  /** @throws TypeError that names no value. */
  return function buildRequestHead({ method, target, headers, body }) {
    if (!TARGET.test(target)) throw new TypeError('a target that cannot be sent')
    let head = `${method} ${target} HTTP/1.1\r\n${fixed}`
    for (const name in headers) {
      if (serviceNames.size > 0 && serviceNames.has(name.toLowerCase())) continue
      head += buildLine(name, headers[name] ?? '')
    }
    head += service
    // slurmrestd reads no other framing; a POST without a body has to say so (RFC 9110 section 8.6).
    if (body !== null) head += `content-length: ${body.length}\r\n`
    else if (method === 'POST') head += 'content-length: 0\r\n'
    return `${head}\r\n`
  }
}

function buildLine(name: string, value: string): string {
  if (!NAME.test(name)) throw new TypeError('a header whose name cannot be sent')
  if (!VALUE.test(value)) throw new TypeError(`a value of ${name} that cannot be sent`)
  return `${name}: ${value}\r\n`
}
