/** The least that a proxy in Node can do: node:http on both sides, each answer piped through, nobody asked who they are. */

import { Agent, createServer, request } from 'node:http'

export function runBarePipe(port: number, upstreamPort: number): void {
  const agent = new Agent({ keepAlive: true })
  const server = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming
    const call = request(
      { host: '127.0.0.1', port: upstreamPort, agent, method, path: url, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      },
    )
    call.on('error', () => outgoing.destroy())
    incoming.pipe(call)
  })
  server.listen(port, '127.0.0.1')
}
