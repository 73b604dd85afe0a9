/**
 * What stands before a service of the cluster, as a Worker reaches it: lets in who shows the credential that is asked for, a
 * service token of Cloudflare Access or a client certificate, and records who came.
 */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import {
  createServer,
  request as requestHttp,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'

export interface Certificate {
  readonly key: string
  readonly cert: string
}

export interface Visit {
  readonly target: string
  /** As they came: names in lower case. */
  readonly accessHeaders: Readonly<Record<string, string>>
  /** Name in the client's certificate; null: none, or not over TLS. */
  readonly clientName: string | null
  readonly isLetIn: boolean
}

/** `redirect`: to a log-in, as Access answers who looks like a browser; `forbid`: as it answers programs. */
export type Turning = { readonly kind: 'forbid' } | { readonly kind: 'redirect'; readonly location: string }

interface DoorOptions {
  /** Of the service behind it. */
  readonly port: number
  /** null: nobody is asked for headers. */
  readonly token: { readonly id: string; readonly secret: string } | null
  /** null: plain HTTP. */
  readonly tls: { readonly own: Certificate; readonly client: Certificate } | null
}

export class ServiceDoor {
  turning: Turning = { kind: 'forbid' }
  /** Codes, one for each handshake that failed. */
  readonly handshakeErrors: string[] = []
  readonly #visits: Visit[] = []
  readonly #server: Server
  readonly #options: DoorOptions

  private constructor(options: DoorOptions) {
    this.#options = options
    const answer = (incoming: IncomingMessage, outgoing: ServerResponse): void =>
      this.#answer(incoming, outgoing)
    const { tls } = options
    this.#server =
      tls === null
        ? createServer(answer)
        : createTlsServer(
            { ...tls.own, ca: tls.client.cert, requestCert: true, rejectUnauthorized: true },
            answer,
          )
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      // What Node holds against the certificate, where one came: a code, though typed as an Error.
      const { authorizationError } = socket as { authorizationError: unknown }
      this.handshakeErrors.push(
        typeof authorizationError === 'string' ? authorizationError : (error.code ?? error.message),
      )
    })
  }

  static async start(options: DoorOptions): Promise<ServiceDoor> {
    const door = new ServiceDoor(options)
    await new Promise<void>((resolve) => door.#server.listen(0, '127.0.0.1', resolve))
    return door
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** @returns the visits since the last call. */
  takeVisits(): readonly Visit[] {
    return this.#visits.splice(0)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const names = ['cf-access-client-id', 'cf-access-client-secret']
    const accessHeaders = Object.fromEntries(
      Object.entries(incoming.headersDistinct)
        .filter(([name]) => name.startsWith('cf-access'))
        .map(([name, values]) => [name, values?.join(' | ') ?? '']),
    )
    const { token } = this.#options
    const isLetIn =
      token === null || names.map((name) => accessHeaders[name]).join() === `${token.id},${token.secret}`
    const clientName = readClientName(incoming)
    this.#visits.push({ target: incoming.url ?? '', accessHeaders, clientName, isLetIn })
    if (isLetIn) relay(incoming, outgoing, this.#options.port, names)
    else turnAway(incoming, outgoing, this.turning)
  }
}

function readClientName({ socket }: IncomingMessage): string | null {
  if (!('getPeerCertificate' in socket)) return null
  const { subject } = (socket as TLSSocket).getPeerCertificate()
  return String(subject.CN)
}

function turnAway(incoming: IncomingMessage, outgoing: ServerResponse, turning: Turning): void {
  incoming.resume()
  const headers = {
    'content-type': 'text/html',
    ...(turning.kind === 'redirect' && { location: turning.location }),
  }
  outgoing.writeHead(turning.kind === 'redirect' ? 302 : 403, headers).end('<h1>Cloudflare Access</h1>')
}

function relay(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  port: number,
  without: readonly string[],
): void {
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).filter(([name]) => !without.includes(name)),
  )
  const options = {
    host: '127.0.0.1',
    port,
    method: incoming.method,
    path: incoming.url,
    headers,
    agent: false,
  }
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', () => {
    requestHttp(options, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
      .on('error', () => outgoing.destroy())
      .end(Buffer.concat(chunks))
  })
}

/** Self-signed, for these host names, or with a common name alone for a client. Needs openssl. */
export function makeCertificate(name: string, hosts: readonly string[] = []): Certificate {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-certificate-'))
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const hostNames = hosts.map((host) => `DNS:${host}`).join(',')
  const named = hosts.length === 0 ? [] : ['-addext', `subjectAltName=${hostNames}`]
  const files = ['-days', '2', '-keyout', keyFile, '-out', certFile]
  try {
    execFileSync('openssl', [...made, '-subj', `/CN=${name}`, ...named, ...files], { stdio: 'pipe' })
    return { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
