/** The gateway's side of the verifier as a program, put together as functions/gateway.ts does it: for hosts of a test's own. */

import { readFileSync } from 'node:fs'
import { createUndiciPost } from '../../functions/node/undici-post.ts'
import { nodeSha256 } from '../../functions/node/node-sha256.ts'
import { buildRemoteVerifier } from './remote-verifier.ts'

const [, , address = '', key = ''] = process.argv
const url = new URL(address)
const verifier = buildRemoteVerifier({
  url,
  keys: [new Uint8Array(Buffer.from(key, 'base64'))],
  fetch: (target, init) => fetch(target, init),
  post: createUndiciPost(url),
  sha256: nodeSha256,
  clock: Date.now,
  randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
})
/** A client on the host itself. */
const client = { address: '127.0.0.1', isDirectLoopback: true, hostAddresses: [] }
void verifier.verify(readFileSync(0, 'utf8').trim(), client).then((outcome) => {
  process.stdout.write(JSON.stringify(outcome))
  process.exit(0)
})
