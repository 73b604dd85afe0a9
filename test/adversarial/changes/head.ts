/** Other methods, and headers that speak for somebody else, name another type or end a connection. */

import fc from 'fast-check'
import type { Change } from './change.ts'

export const methodChanges: fc.Arbitrary<Change> = fc
  .constantFrom('GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS', 'delete')
  .map((method): Change => (draft) => ({ ...draft, method }))

export const headerChanges: fc.Arbitrary<Change> = fc.oneof(
  fc
    .constantFrom<readonly [string, string]>(
      ['X-SLURM-USER-NAME', 'bob'],
      ['X-SLURM-USER-NAME', 'root'],
      ['X-SLURM-USER-NAME', 'alice'],
      ['X-SLURM-USER-TOKEN', 'x'],
      ['X-SLURM-USER-TOKEN', '{{secret}}'],
      ['X-HTTP-Method-Override', 'DELETE'],
      ['X-Original-URL', '/slurm/latest/job/{{foreign.plain}}'],
      ['X-Forwarded-For', '127.0.0.1'],
      ['Connection', 'close'],
      ['Connection', 'Authorization'],
      ['Keep-Alive', 'timeout=5'],
      ['Accept', 'application/yaml'],
      ['Accept', 'text/html'],
      ['Accept-Encoding', 'gzip'],
      ['Content-Encoding', 'gzip'],
      ['Content-Encoding', 'identity'],
      ['Content-Type', 'application/json'],
      ['Content-Type', 'application/x-yaml'],
      ['Content-Type', 'application/x-www-form-urlencoded'],
      ['If-Modified-Since', 'x'],
      ['Cookie', 'a=b'],
    )
    .map((header): Change => (draft) => ({ ...draft, headers: [...draft.headers, header] })),
  fc
    .constantFrom(
      '',
      'text/plain',
      'application/yaml',
      'application/x-yaml',
      'application/json; charset=utf-8',
      'application/json;charset=utf-16',
      'APPLICATION/JSON',
      'multipart/form-data',
    )
    .map((type): Change => (draft) => ({
      ...draft,
      headers: draft.headers.map(([key, value]) => [key, key === 'Content-Type' ? type : value] as const),
    })),
  fc.constant<Change>((draft) => ({ ...draft, headers: [] })),
  fc.constant<Change>((draft) => ({ ...draft, isChunked: true })),
)
