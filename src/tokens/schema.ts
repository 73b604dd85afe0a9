/**
 * The tables of the token store. The rules stand here a second time, as constraints: a row that breaks one cannot be
 * written, by whatever means. Change this file and add a migration (`migrations/`), never edit an old one.
 */

import { sql } from 'drizzle-orm'
import {
  bigint,
  check,
  customType,
  index,
  integer,
  pgPolicy,
  pgTable,
  text,
  timestamp,
} from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => 'bytea' })

/** Issued API tokens. Holds digests, never a token. */
export const apiTokens = pgTable(
  'api_tokens',
  {
    id: text('id').primaryKey(),
    name: text('name').notNull(),
    slurmUser: text('slurm_user').notNull(),
    /** SHA-256 of the token. */
    digest: bytea('digest').notNull().unique('api_tokens_digest_unique'),
    scopes: text('scopes').array().notNull(),
    /** The one Slurm account writes may target; null: any. */
    account: text('account'),
    format: text('format').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
    /** Null: never. */
    expiresAt: timestamp('expires_at', { withTimezone: true }),
    revokedAt: timestamp('revoked_at', { withTimezone: true }),
    issuedBy: text('issued_by').notNull(),
    policyVersion: integer('policy_version').notNull().default(1),
    /** Id of the token that a rotation issued in its place; null: none. */
    replacedBy: text('replaced_by'),
    /** The Slurm user's uid when the token was issued; null: nobody knew it. */
    uid: bigint('uid', { mode: 'number' }),
    /** HMAC over what the row says (`row-seal.ts`); null: not sealed. */
    seal: bytea('seal'),
    sealedAt: timestamp('sealed_at', { withTimezone: true }),
  },
  (table) => [
    // The order of `token list`: without it each page would read and sort the whole table.
    index('api_tokens_newest_first').on(table.createdAt.desc().nullsFirst(), table.id),
    check('api_tokens_id_form', sql`${table.id} ~ '^tok_[a-z2-7]{16}$'`),
    check('api_tokens_name_length', sql`char_length(${table.name}) between 1 and 100`),
    check('api_tokens_slurm_user_form', sql`${table.slurmUser} ~ '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'`),
    check('api_tokens_digest_length', sql`octet_length(${table.digest}) = 32`),
    check(
      'api_tokens_scopes_present',
      sql`cardinality(${table.scopes}) > 0 and array_position(${table.scopes}, null) is null`,
    ),
    check(
      'api_tokens_account_form',
      sql`${table.account} is null or (${table.account} <> '' and ${table.account} = lower(${table.account}))`,
    ),
    // Administrator's scopes are not confined to an account, so a token with an account may not carry them.
    check(
      'api_tokens_account_scopes',
      sql`${table.account} is null or ${table.scopes} <@ array['slurm:read', 'slurmdb:read', 'slurm:jobs:manage']`,
    ),
    check('api_tokens_format_known', sql`${table.format} in ('opaque', 'jwt', 'imported')`),
    check(
      'api_tokens_expiry_later',
      sql`${table.expiresAt} is null or ${table.expiresAt} > ${table.createdAt}`,
    ),
    check('api_tokens_issuer_present', sql`${table.issuedBy} <> ''`),
    check(
      'api_tokens_replaced_by_form',
      sql`${table.replacedBy} is null or (${table.replacedBy} ~ '^tok_[a-z2-7]{16}$' and ${table.replacedBy} <> ${table.id})`,
    ),
    // The number above is no uid: it means "any" to munged and "none" to the kernel.
    check('api_tokens_uid_range', sql`${table.uid} is null or ${table.uid} between 0 and 4294967294`),
    check('api_tokens_seal_length', sql`${table.seal} is null or octet_length(${table.seal}) = 32`),
    check('api_tokens_seal_dated', sql`(${table.seal} is null) = (${table.sealedAt} is null)`),
  ],
)

/** MUNGE credentials that were accepted. A digest stands here until munged itself would refuse the credential. */
export const mungeReplays = pgTable(
  'munge_replays',
  {
    credentialDigest: bytea('credential_digest').primaryKey(),
    keepUntil: timestamp('keep_until', { withTimezone: true }).notNull(),
  },
  (table) => [
    index('munge_replays_keep_until').on(table.keepUntil),
    check('munge_replays_digest_length', sql`octet_length(${table.credentialDigest}) = 32`),
    // Row security binds everybody but the table's owner: a credential that may still be good is forgotten by nobody, so
    // that a gateway's password in the wrong hands does not bring it back (replay). Rows are never changed.
    pgPolicy('munge_replays_read', { for: 'select', using: sql`true` }),
    pgPolicy('munge_replays_claim', { for: 'insert', withCheck: sql`true` }),
    pgPolicy('munge_replays_forget', { for: 'delete', using: sql`${table.keepUntil} < now()` }),
  ],
)

/** Where a trigger of the tokens' table tells of every change, whoever makes it (migration 0005). */
export const TOKEN_CHANGES_CHANNEL = 'slurmgate_tokens'

/** The newest migration this code needs. A test holds it to `migrations/meta/_journal.json`. */
export const REQUIRED_MIGRATION = { tag: '0005_token_changes_told', when: 1_795_558_440_728 } as const
