/**
 * The SQL that gives the group roles their rights, and takes away what they and PUBLIC had beyond. The same statements are
 * printed and applied; run again they change nothing. Makes no password and no role that can log in.
 */

import {
  BOOK_SCHEMA,
  type DatabaseRoles,
  GATEWAY_RIGHTS,
  ISSUER_RIGHTS,
  TABLE_SCHEMA,
  type TableRight,
  TABLES,
} from '../../src/tokens/database-roles.ts'
import { SET_OWN_NAMES } from './catalog-names.ts'
import { ADVISORY_LOCK } from './migrations.ts'

export interface GrantStep {
  /** What it is for, in one line. */
  readonly purpose: string
  readonly statements: readonly string[]
}

/** Of migration 0005. */
const CHANGE_FUNCTION = `${TABLE_SCHEMA}.tell_token_change()`

/** Whoever applies it may have to be a member of the migrator meanwhile; this remembers who was none before. */
const JOINED = 'slurmgate.joined'

/** In their order, for one transaction. */
export function buildGrantSteps(roles: DatabaseRoles): readonly GrantStep[] {
  const owner = quoteIdentifier(roles.migrator)
  const ownerName = quoteLiteral(roles.migrator)
  return [
    {
      purpose: 'bare names are Postgres’s own: whoever runs this calls no function that others made',
      statements: [SET_OWN_NAMES],
    },
    {
      purpose: 'never beside another run, or a migration',
      statements: [block(`perform pg_advisory_xact_lock(${ADVISORY_LOCK});`)],
    },
    {
      purpose: 'the three roles: groups that nobody logs in as; grant them to your login roles',
      statements: [roles.gateway, roles.issuer, roles.migrator].map(createRole),
    },
    {
      purpose: 'whoever runs this acts for the migrator until the end',
      statements: [
        block(
          `if not pg_has_role(${ownerName}, 'USAGE') then`,
          `  grant ${owner} to current_user;`,
          `  perform set_config('${JOINED}', 'yes', true);`,
          'end if;',
        ),
      ],
    },
    { purpose: 'the database and its schemas', statements: grantOnContainers(roles) },
    ...TABLES.map((table) => ({
      purpose: `${table}, where it is there: db migrate makes it`,
      statements: [grantOnTable(table, roles)],
    })),
    {
      purpose: 'the function that tells gateways of changed tokens: its trigger alone calls it',
      statements: [
        block(
          `if to_regprocedure(${quoteLiteral(CHANGE_FUNCTION)}) is not null then`,
          `  alter function ${CHANGE_FUNCTION} owner to ${owner};`,
          `  revoke all on function ${CHANGE_FUNCTION} from public;`,
          'end if;',
        ),
      ],
    },
    {
      purpose: 'the sequence of the book of migrations',
      statements: [
        `revoke all on all sequences in schema ${BOOK_SCHEMA} from public, ${quoteIdentifier(roles.gateway)}, ${quoteIdentifier(roles.issuer)}`,
      ],
    },
    {
      purpose:
        'what later migrations make is closed until this is run again; functions would be open to PUBLIC',
      statements: [`alter default privileges for role ${owner} revoke execute on functions from public`],
    },
    {
      purpose: 'whoever ran this no longer acts for the migrator',
      statements: [
        block(
          `if current_setting('${JOINED}', true) = 'yes' then`,
          `  revoke ${owner} from current_user;`,
          'end if;',
        ),
      ],
    },
  ]
}

/** A script for psql. */
export function formatGrantScript(steps: readonly GrantStep[]): string {
  const parts = steps.map(({ purpose, statements }) => [`-- ${purpose}`, ...statements.map(end)].join('\n'))
  return [
    '-- The database roles of slurmgate. Run it as the owner of the database or a superuser; again after each migration.\nbegin;',
    ...parts,
    'commit;\n',
  ].join('\n\n')
}

function createRole(name: string): string {
  return block(
    `if not exists (select from pg_roles where rolname = ${quoteLiteral(name)}) then`,
    `  create role ${quoteIdentifier(name)} nologin;`,
    'end if;',
  )
}

/** The migrator may make schemas: drizzle-orm's migrator asks for one each time, also where it is there. */
function grantOnContainers({ gateway, issuer, migrator }: DatabaseRoles): readonly string[] {
  const users = `${quoteIdentifier(gateway)}, ${quoteIdentifier(issuer)}`
  const owner = quoteIdentifier(migrator)
  return [
    block(
      `execute format('revoke all on database %I from ${users}, ${owner}', current_database());`,
      `execute format('grant connect on database %I to ${users}', current_database());`,
      `execute format('grant connect, create on database %I to ${owner}', current_database());`,
    ),
    // Since Postgres 15 PUBLIC has no CREATE here anyway. Who has it can put functions in the way (CVE-2018-1058).
    `revoke create on schema ${TABLE_SCHEMA} from public`,
    `revoke all on schema ${TABLE_SCHEMA} from ${users}, ${owner}`,
    `grant usage on schema ${TABLE_SCHEMA} to ${users}`,
    `grant usage, create on schema ${TABLE_SCHEMA} to ${owner}`,
    `create schema if not exists ${BOOK_SCHEMA} authorization ${owner}`,
    `alter schema ${BOOK_SCHEMA} owner to ${owner}`,
    `revoke all on schema ${BOOK_SCHEMA} from public, ${users}`,
    `grant usage on schema ${BOOK_SCHEMA} to ${users}`,
  ]
}

/** A sequence of the table's follows its owner. */
function grantOnTable(table: string, { gateway, issuer, migrator }: DatabaseRoles): string {
  const owner = quoteIdentifier(migrator)
  const grant = (rights: readonly TableRight[], role: string): readonly string[] =>
    rights
      .filter((right) => right.table === table)
      .map(({ privilege, columns }) => {
        const list = columns === null ? '' : ` (${columns.map(quoteIdentifier).join(', ')})`
        return `  grant ${privilege.toLowerCase()}${list} on table ${table} to ${quoteIdentifier(role)};`
      })
  return block(
    `if to_regclass(${quoteLiteral(table)}) is not null then`,
    // Without need it would wait for everybody who reads the table, and hold up who comes after.
    `  if not exists (select from pg_tables where schemaname || '.' || tablename = ${quoteLiteral(table)} and tableowner = ${quoteLiteral(migrator)}) then`,
    `    alter table ${table} owner to ${owner};`,
    '  end if;',
    `  revoke all on table ${table} from public, ${quoteIdentifier(gateway)}, ${quoteIdentifier(issuer)};`,
    ...grant(GATEWAY_RIGHTS, gateway),
    ...grant(ISSUER_RIGHTS, issuer),
    'end if;',
  )
}

function block(...lines: readonly string[]): string {
  return ['do $grants$ begin', ...lines.map((line) => `  ${line}`), 'end $grants$'].join('\n')
}

function end(statement: string): string {
  return `${statement};`
}

function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
