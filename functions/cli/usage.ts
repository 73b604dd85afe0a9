/** The text of `slurmgate --help`. */

export const USAGE = `slurmgate: an authenticating gate in front of Slurm's REST daemon

usage:
  slurmgate gateway                    serve the gate
  slurmgate verifier                   serve the MUNGE verifier, beside munged
  slurmgate token issue --name N --user U (--account A | --any-account) --scope S[,S...]
                        [--expires 90d|RFC 3339|never] [--format opaque|jwt]
                        [--token-from-stdin] [--issued-by WHO] [--json]
  slurmgate token list [--json]
  slurmgate token show ID [--json]
  slurmgate token revoke ID [--json]
  slurmgate db migrate [--json]        create or update the token store's schema
  slurmgate doctor [--json]            ask every dependency, one line each
  slurmgate --help | --version

Configuration is read from the environment; the token commands need DATABASE_URL.
Exit codes: 0 done, 1 refused or failed, 2 not understood or badly configured.
`
