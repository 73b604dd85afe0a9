/** What the catalogs of a test's database say, read without the code under test. */

import type postgres from 'postgres'

/** Every right that a role was given in this database or holds by owning it, one a line; so that none can be added unseen. */
export async function listRights(sql: postgres.Sql, role: string): Promise<readonly string[]> {
  const rows = await sql<{ line: string }[]>`
    with acl as (
      select 'database' as object, datacl as acl from pg_database where datname = current_database()
      union all select 'schema ' || nspname, nspacl from pg_namespace
      union all select oid::regclass::text, relacl from pg_class
      union all select attrelid::regclass || '.' || attname, attacl from pg_attribute
      union all select 'function ' || oid::regprocedure, proacl from pg_proc
      union all select 'type ' || oid::regtype, typacl from pg_type
      union all select 'language ' || lanname, lanacl from pg_language
      union all select 'tablespace ' || spcname, spcacl from pg_tablespace
      union all select 'large object ' || oid, lomacl from pg_largeobject_metadata
      union all select 'parameter ' || parname, paracl from pg_parameter_acl
      union all select 'default ' || defaclobjtype::text, defaclacl from pg_default_acl
    )
    select object || ': ' || privilege_type || case when is_grantable then ' with grant option' else '' end as line
    from acl, aclexplode(acl) where grantee = ${role}::text::regrole
    union all
    select 'member of ' || roleid::regrole from pg_auth_members where member = ${role}::text::regrole
    union all
    select 'owns ' || pg_describe_object(classid, objid, objsubid) from pg_shdepend
    where refclassid = 'pg_authid'::regclass and refobjid = ${role}::text::regrole and deptype = 'o'
      and dbid in (0, (select oid from pg_database where datname = current_database()))
    union all
    select 'attribute ' || name from pg_roles, unnest(array[
      case when rolsuper then 'superuser' end, case when rolcreaterole then 'createrole' end,
      case when rolcreatedb then 'createdb' end, case when rolcanlogin then 'login' end,
      case when rolreplication then 'replication' end, case when rolbypassrls then 'bypassrls' end]) as name
    where rolname = ${role} and name is not null
    order by line`
  return rows.map(({ line }) => line)
}

/** Objects on which anything was granted to a role, by Postgres's own book of dependencies: nothing is overlooked. */
export async function listGrantedObjects(sql: postgres.Sql, role: string): Promise<readonly string[]> {
  const rows = await sql<{ object: string }[]>`
    select distinct pg_describe_object(classid, objid, 0) as object from pg_shdepend
    where refclassid = 'pg_authid'::regclass and refobjid = ${role}::text::regrole and deptype not in ('o')
      and dbid in (0, (select oid from pg_database where datname = current_database()))
    order by object`
  return rows.map(({ object }) => object)
}

/** All owners and access lists of the database, its roles and their memberships, as Postgres keeps them. */
export async function readCatalogs(sql: postgres.Sql): Promise<readonly string[]> {
  const rows = await sql<{ line: string }[]>`
    select 'database ' || datdba::regrole || ' ' || coalesce(datacl::text, '') as line
    from pg_database where datname = current_database()
    union all select 'schema ' || nspname || ' ' || nspowner::regrole || ' ' || coalesce(nspacl::text, '')
    from pg_namespace where nspname !~ '^pg_(toast_)?temp'
    union all select relkind::text || ' ' || oid::regclass || ' ' || relowner::regrole || ' ' || coalesce(relacl::text, '')
    from pg_class where relnamespace in ('public'::regnamespace, 'drizzle'::regnamespace)
    union all select 'column ' || attrelid::regclass || '.' || attname || ' ' || attacl::text
    from pg_attribute where attacl is not null and attrelid > 16383
    union all select 'default ' || defaclrole::regrole || ' ' || defaclobjtype::text || ' ' || defaclacl::text from pg_default_acl
    union all select 'role ' || rolname || ' ' || rolcanlogin from pg_roles where rolname !~ '^(pg_|login_)'
    union all select 'member ' || member::regrole || ' of ' || roleid::regrole from pg_auth_members
    where roleid::regrole::text !~ '^pg_'
    order by line`
  // The entries of an access list have no order.
  return rows.map(({ line }) =>
    line.replace(/\{(.*)\}/, (_, entries: string) => entries.split(',').sort().join(' ')),
  )
}
