/**
 * The key that Slurm tokens come back encrypted with, so that whoever reads the way between signer and gateway gets none:
 * random, made by the gateway, and sent to the signer encrypted for it. Used for a while, for to agree on a key costs both
 * ends more than all the rest of a call (measured).
 */

import { CompactEncrypt, compactDecrypt, decodeJwt, type CryptoKey } from 'jose'
import { createBoundedMap, type BoundedMap } from '../bounded-map.ts'
import { SLURM_TOKENS_KEPT } from '../limits.ts'
import { webSha256 } from '../munge/sha256.ts'
import type { Clock, RandomBytes } from '../ports.ts'
import type { SealedSlurmToken } from '../slurm-token.ts'
import type { DecryptionKey, EncryptionKey } from './encryption-key.ts'
import { decryptAsSigner, encryptForSigner } from './signer-encryption.ts'

const TYPE = 'slurmgate-answer-key+jwe'
const KEY_BYTES = 32
const USED_MILLISECONDS = 10 * 60_000
/** RFC 7518 section 4.5: the key as it is, and authenticated encryption. Nothing else is read. */
const HEADER = { alg: 'dir', enc: 'A256GCM' } as const

/** A key of 32 bytes and the JWE around it are some 500. */
export const ANSWER_KEY_MAX_CHARACTERS = 1_024

/** Of a SHA-256: whoever does not make both keys finds no second one with the name of a first (2^128). */
const NAME_CHARACTERS = 32
const NAME = /^[0-9a-f]{32}$/

/** Whether this is the name of a key that the signer was sent before, not a key encrypted for it (JWE). */
export function isKeyName(text: string): boolean {
  return NAME.test(text)
}

/**
 * What stands for a key once the signer has it. Made of what the signer was sent, so that each end makes it itself, and every
 * signer the same. To know it is worth nothing: what is answered is for who has the key.
 */
async function nameKey(encrypted: string): Promise<string> {
  return (await webSha256.hashToHex(encrypted)).slice(0, NAME_CHARACTERS)
}

/** At the gateway. */
export interface AnswerKey {
  /** What the signer gets of it. */
  readonly encrypted: string
  readonly name: string
  /** @param sealed untrusted. @returns null unless it was sealed for this key. */
  open(sealed: string): Promise<string | null>
  /**
   * The same for a Slurm token, which comes often: it is opened once.
   * @param sealed its digest by the signed word of who sealed it: what goes by the same one is not looked at again.
   * @returns null also for what is no Slurm token.
   */
  openSlurmToken(sealed: Pick<SealedSlurmToken, 'token' | 'digest'>): Promise<OpenedSlurmToken | null>
}

export interface OpenedSlurmToken {
  /** Fit for a header. */
  readonly token: string
  /** Whom Slurm takes its bearer for. */
  readonly user: string
}

/** RFC 7515 section 7.1. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** @returns null unless it is a Slurm token for somebody. Whether its signature is good, only Slurm knows. */
export function readSlurmToken(text: string | null): OpenedSlurmToken | null {
  if (text === null || !COMPACT_JWS.test(text)) return null
  try {
    const { sun } = decodeJwt(text)
    return typeof sun === 'string' ? { token: text, user: sun } : null
  } catch {
    return null
  }
}

export interface AnswerKeyOptions {
  readonly encryptionKey: EncryptionKey
  readonly randomBytes: RandomBytes
  readonly clock: Clock
}

/** @returns what gives the key to ask with: one for ten minutes. */
export function createAnswerKeys({
  encryptionKey,
  randomBytes,
  clock,
}: AnswerKeyOptions): () => Promise<AnswerKey> {
  // The key is kept, not the promise of it: a Worker may share data between requests, but no pending promise.
  let last: { readonly answerKey: AnswerKey; readonly madeAt: number } | null = null
  return async function findAnswerKey() {
    const now = clock()
    if (last !== null && Math.abs(now - last.madeAt) < USED_MILLISECONDS) return last.answerKey
    const bytes = new Uint8Array(randomBytes(KEY_BYTES))
    const encrypted = await encryptForSigner(bytes, TYPE, encryptionKey)
    const opening = createOpening(await importKey(bytes, 'decrypt'))
    const answerKey = { encrypted, name: await nameKey(encrypted), ...opening }
    last = { answerKey, madeAt: now }
    return answerKey
  }
}

function createOpening(key: CryptoKey): Pick<AnswerKey, 'open' | 'openSlurmToken'> {
  const kept = createBoundedMap<string, OpenedSlurmToken>(SLURM_TOKENS_KEPT)
  const limits = { keyManagementAlgorithms: [HEADER.alg], contentEncryptionAlgorithms: [HEADER.enc] }

  async function open(sealed: string): Promise<string | null> {
    try {
      const { plaintext } = await compactDecrypt(sealed, key, limits)
      return new TextDecoder().decode(plaintext)
    } catch {
      return null
    }
  }

  const openSlurmToken: AnswerKey['openSlurmToken'] = async ({ token, digest }) => {
    const known = kept.get(digest)
    if (known !== undefined) return known
    if ((await webSha256.hashToHex(token)) !== digest) return null
    const opened = readSlurmToken(await open(token))
    if (opened !== null) kept.set(digest, opened)
    return opened
  }

  return { open, openSlurmToken }
}

export interface Sealed {
  readonly jwe: string
  /** SHA-256 of `jwe`, lower-case hex. */
  readonly digest: string
}

/** Encrypts a text for whoever made the answer key, and for nobody else. */
export type SealAnswer = (text: string) => Promise<Sealed>

/** Keys that are open at a time: one for each process of a gateway, and each isolate of a Worker. */
export const ANSWER_KEYS_KEPT = 1_024
/** Slurm tokens whose ciphertexts are kept, and how many of each: one for each process and isolate that has asked lately. */
const SEALED_TEXTS_KEPT = 1_024
const SEALED_OF_TEXT_KEPT = 64

/**
 * At the signer: opens an answer key, which is untrusted, or finds the one of this name among those it has opened.
 * @returns null: not encrypted for one of the signer's keys; `unknown`: a name, and no key of it is kept: it has to be sent whole.
 */
export type OpenAnswerKey = (encryptedOrName: string) => Promise<SealAnswer | 'unknown' | null>

export function createAnswerKeyOpener(decryptionKeys: readonly DecryptionKey[]): OpenAnswerKey {
  const open = createBoundedMap<string, SealAnswer>(ANSWER_KEYS_KEPT)
  /** By the text, which is the same string each time: put together with the key's name it would be hashed for each call anew. */
  const sealed = createBoundedMap<string, BoundedMap<number, Sealed>>(SEALED_TEXTS_KEPT)
  let count = 0

  function findSealed(text: string): BoundedMap<number, Sealed> {
    const found = sealed.get(text) ?? createBoundedMap(SEALED_OF_TEXT_KEPT)
    sealed.set(text, found)
    return found
  }

  /** A Slurm token goes out often: to each key its ciphertext is kept. */
  function createSeal(key: CryptoKey, number: number): SealAnswer {
    return async function seal(text) {
      const known = sealed.get(text)?.get(number)
      if (known !== undefined) return known
      const jwe = await new CompactEncrypt(new TextEncoder().encode(text))
        .setProtectedHeader(HEADER)
        .encrypt(key)
      const made = { jwe, digest: await webSha256.hashToHex(jwe) }
      findSealed(text).set(number, made)
      return made
    }
  }

  async function openWhole(encrypted: string, name: string): Promise<SealAnswer | null> {
    const bytes = await decryptAsSigner(encrypted, TYPE, decryptionKeys)
    if (bytes?.length !== KEY_BYTES) return null
    const seal = createSeal(await importKey(new Uint8Array(bytes), 'encrypt'), (count += 1))
    open.set(name, seal)
    return seal
  }

  return async function openAnswerKey(encryptedOrName) {
    if (isKeyName(encryptedOrName)) return open.get(encryptedOrName) ?? 'unknown'
    if (encryptedOrName.length > ANSWER_KEY_MAX_CHARACTERS) return null
    const name = await nameKey(encryptedOrName)
    return open.get(name) ?? openWhole(encryptedOrName, name)
  }
}

function importKey(bytes: Uint8Array<ArrayBuffer>, use: 'encrypt' | 'decrypt'): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, [use])
}
