/** nginx as it is packaged, with a configuration of the bench's own: the fixed upstream, and the proxy without auth. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What one job's fields look like, cut to size: the gateway does not read it. */
export const FIXED_BODY_BYTES = 900

/** Answers everything at once with the same JSON; `/requests` tells how many requests it has had. */
export function writeFixedUpstream(directory: string, port: number): string[] {
  const start = '{"jobs":[],"errors":[],"warnings":[],"meta":{"filling":"'
  const end = '"}}'
  const body = `${start}${'x'.repeat(FIXED_BODY_BYTES - start.length - end.length)}${end}`
  return writeConfig(directory, 'fixed', [
    `server { listen 127.0.0.1:${String(port)} backlog=1024; keepalive_requests 100000000;`,
    'location = /requests { stub_status; }',
    `location / { default_type application/json; return 200 '${body}'; } }`,
  ])
}

/** Keeps its connections to the upstream, as every other side does. */
export function writeProxy(directory: string, name: string, port: number, upstreamPort: number): string[] {
  return writeConfig(directory, name, [
    `upstream slurmrestd { server 127.0.0.1:${String(upstreamPort)}; keepalive 64; keepalive_requests 100000000; }`,
    `server { listen 127.0.0.1:${String(port)} backlog=1024; keepalive_requests 100000000;`,
    'location / { proxy_pass http://slurmrestd; proxy_http_version 1.1; proxy_set_header Connection ""; } }',
  ])
}

/** `proxy_pass` and nothing else: HTTP/1.0 and a connection for each request (nginx, ngx_http_proxy_module, before 1.29.7). */
export function writePlainProxy(directory: string, port: number, upstreamPort: number): string[] {
  return writeConfig(directory, 'plain-proxy', [
    `server { listen 127.0.0.1:${String(port)} backlog=1024; keepalive_requests 100000000;`,
    `location / { proxy_pass http://127.0.0.1:${String(upstreamPort)}; } }`,
  ])
}

/** @returns the command that runs it. */
function writeConfig(directory: string, name: string, servers: readonly string[]): string[] {
  const folder = join(directory, `nginx-${name}`)
  mkdirSync(folder)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${join(folder, kind)};`,
  )
  const file = join(folder, 'nginx.conf')
  const lines = [
    'user nobody nogroup; worker_processes 1; daemon off; error_log stderr error;',
    `pid ${join(folder, 'nginx.pid')};`,
    'events { worker_connections 1024; }',
    `http { access_log off; ${temporary.join(' ')}`,
    ...servers,
    '}',
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  return ['nginx', '-p', folder, '-e', 'stderr', '-c', file]
}
