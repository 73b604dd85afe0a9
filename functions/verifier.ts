/** The verifier process: on the cluster, beside munged. Reads the environment once; knows a database and Slurm only where it signs. */

import type { Environment } from '../src/environment.ts'
import { createQuestionAnswerer, QUESTION_MAX_BYTES } from '../src/munge/answer-question.ts'
import { createVerifierEnd } from '../src/munge/exchange.ts'
import { createVerifierService } from '../src/munge/verifier-service.ts'
import { parseVerifierSettings, type VerifierSettings } from '../src/munge/verifier-settings.ts'
import { createSparingLine } from '../src/sparing-line.ts'
import { findSignerProblems } from '../src/signer/signer-settings.ts'
import { createLineBatch } from './node/line-batch.ts'
import { openHostMap } from './node/host-map-watch.ts'
import { createHttpServer, readTls } from './node/http-server.ts'
import { createJsonLog } from './node/json-log.ts'
import { readKeyFile } from './node/key-file.ts'
import { openSigner, SIGNER_DATABASE_LIMITS } from './node/local-signer.ts'
import { createLocalVerifier } from './node/local-verifier.ts'
import { MUNGED_DEADLINE_MILLISECONDS } from './node/munged-socket.ts'
import { nodeSha256 } from './node/node-sha256.ts'
import { GETENT_TIMEOUT_MILLISECONDS } from './node/passwd.ts'
import { VERIFIER_SERVER_LIMITS } from './node/server-limits.ts'
import { createShortPost } from './node/short-post.ts'
import { isSchemaFit } from './node/schema-fit.ts'
import { findStopSignal } from './node/stop-signal.ts'

const EXIT_FAILED = 1
const EXIT_CONFIGURATION = 2
const STOP_MARGIN_MILLISECONDS = 1_000
/**
 * A call of munged, two of getent and, where it signs, one of Postgres, each as long as it may be. Shorter than TimeoutStopSec= of
 * the unit file.
 */
export const STOP_MILLISECONDS =
  MUNGED_DEADLINE_MILLISECONDS +
  2 * GETENT_TIMEOUT_MILLISECONDS +
  SIGNER_DATABASE_LIMITS.deadlineSeconds * 1000 +
  STOP_MARGIN_MILLISECONDS

/**
 * Serves until SIGTERM or SIGINT. Bad settings are printed all at once, by name, and set exit code 2.
 * @throws where it cannot listen.
 */
export async function runVerifier(env: Environment): Promise<void> {
  const settings = parseVerifierSettings(env, readKeyFile)
  const problems = 'problems' in settings ? [...settings.problems] : []
  const tls = 'problems' in settings ? null : readTls(settings.listener.tls, problems)
  const hostMap = 'problems' in settings ? null : openHostMap(settings.policy.hostMapFile, problems)
  if (!('problems' in settings) && settings.signer !== null)
    problems.push(...(await findSignerProblems(settings.signer)))
  if ('problems' in settings || problems.length > 0) {
    process.stderr.write(problems.map((problem) => `slurmgate verifier: ${problem}\n`).join(''))
    process.exitCode = EXIT_CONFIGURATION
    return
  }
  const lines = createLineBatch((text, onWritten) => process.stdout.write(text, onWritten))
  const log = createJsonLog({ level: settings.logLevel, clock: Date.now, ...lines })
  const signing =
    settings.signer === null
      ? null
      : openSigner(settings.signer, { policy: settings.policy, now: Date.now, log })
  if (signing !== null && !(await isSchemaFit(signing.db, 'slurmgate verifier', log))) {
    process.exitCode = EXIT_FAILED
    return signing.close()
  }
  const parts = {
    end: createVerifierEnd({ keys: settings.keys, clock: Date.now, sha256: nodeSha256 }),
    verifier: createLocalVerifier({ policy: settings.policy, hostMap, clock: Date.now, log }),
    signer: signing?.signer ?? null,
    questionsPerSecond: settings.questionsPerSecond,
    clock: Date.now,
    log,
  }
  const answerer = createQuestionAnswerer(parts)
  const service = createVerifierService(parts, answerer)
  const takeQuestions = createShortPost({
    path: '/verify',
    bodyMaxBytes: QUESTION_MAX_BYTES,
    answer: (body) => answerer.answer(body),
  })
  const logDrop = createSparingLine(log, 'warn', 'connection_refused')
  const server = createHttpServer(service, settings.listener, tls, {
    takeFirst: takeQuestions,
    limits: VERIFIER_SERVER_LIMITS,
    onDrop: () => logDrop({ connectionsMax: VERIFIER_SERVER_LIMITS.connectionsMax }),
  })
  await server.listen()
  log.write('info', 'verifier_started', describe(settings))
  hostMap?.start(log)
  log.write('info', 'verifier_stopping', { signal: await findStopSignal() })
  await server.stop(STOP_MILLISECONDS)
  await signing?.close()
}

/** What an operator wants to see at the start; no key. */
function describe({
  listener,
  policy,
  keys,
  questionsPerSecond,
  signer,
  logLevel,
}: VerifierSettings): Record<string, unknown> {
  return {
    host: listener.host,
    port: listener.port,
    tls: listener.tls !== null,
    keys: keys.length,
    munged: policy.socketPath,
    maxTtlSeconds: policy.maxTtlSeconds,
    minUid: policy.minUid,
    deniedUsers: [...policy.deniedUsers],
    hostBinding: policy.hostBinding,
    questionsPerSecond,
    signs: signer !== null,
    ...(signer !== null && {
      slurmKey: signer.key.algorithm,
      replayGuard: signer.replayGuard,
      /** The `kid` of SIGNER_PUBLIC_KEY, or of each that a gateway may have. */
      signerKeys: signer.decryptionKeys.map(({ keyId }) => keyId),
    }),
    logLevel,
    pid: process.pid,
  }
}
