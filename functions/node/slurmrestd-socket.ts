/** Opens sockets to slurmrestd, as its address has them: TCP, TLS or a socket file. */

import { connect, isIP, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { SlurmrestdAddress } from '../../src/settings.ts'

/** Whoever holds a connection notices within minutes that the other host has gone. */
const PROBE_MILLISECONDS = 60_000

export interface SlurmrestdDoor {
  /** What the Host header says. */
  readonly host: string
  /** The event that says that requests can be sent. */
  readonly readyEvent: 'connect' | 'secureConnect'
  /** @param onread is given the bytes, in place of a readable stream. */
  open(onread: OnReadOpts): Socket
}

export function findSlurmrestdDoor(address: SlurmrestdAddress): SlurmrestdDoor {
  if (address.kind === 'unix') {
    const { path } = address
    return { host: 'localhost', readyEvent: 'connect', open: (onread) => connect({ path, onread }) }
  }
  const { url } = address
  // An IPv6 address stands in brackets in a URL.
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isTls = url.protocol === 'https:'
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port)
  const at = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: PROBE_MILLISECONDS }
  return isTls
    ? { host: url.host, readyEvent: 'secureConnect', open: createTlsOpener(at) }
    : { host: url.host, readyEvent: 'connect', open: (onread) => connect({ ...at, onread }) }
}

/** Node checks the certificate, by the CAs it trusts (NODE_EXTRA_CA_CERTS too), and its name. */
function createTlsOpener(at: { host: string; port: number; noDelay: boolean }): SlurmrestdDoor['open'] {
  let session: Buffer | undefined
  return (onread) => {
    const options = {
      ...at,
      onread,
      minVersion: 'TLSv1.2' as const,
      ALPNProtocols: ['http/1.1'],
      // RFC 6066 section 3: no addresses.
      ...(isIP(at.host) === 0 ? { servername: at.host } : {}),
      ...(session === undefined ? {} : { session }),
    }
    const socket = connectTls(options)
    // Each error answer costs a connection: the next one need not do the whole handshake.
    socket.on('session', (fresh) => {
      session = fresh
    })
    return socket
  }
}
