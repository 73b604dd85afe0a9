/** The text of `slurmgate --help`. */

export const USAGE = `slurmgate: an authenticating gate in front of Slurm's REST daemon

usage:
  slurmgate gateway                    serve the gate
  slurmgate verifier                   serve the MUNGE verifier, beside munged
  slurmgate token issue --name N --user U (--account A | --any-account) --scope S[,S...]
                        [--expires 90d|RFC 3339|never] [--format opaque|jwt]
                        [--token-from-stdin] [--issued-by WHO] [--uid N] [--strict] [--json]
  slurmgate token list [--user U] [--active] [--limit N] [--after ID] [--json]
  slurmgate token show ID [--json]
  slurmgate token revoke ID [--json]
  slurmgate token rotate ID [--grace 24h|0] [--issued-by WHO] [--json]
                                       a new token like ID, which ends after the grace period
  slurmgate explain --token-id ID METHOD PATH [--body FILE|-] [--content-type TYPE] [--json]
                                       how the gate would decide, and by which rule; forwards nothing
  slurmgate munge-header METHOD TARGET [--body FILE|-]
                                       the Authorization line of one request, for curl -H @-; good for that request only
  slurmgate signer-key new FILE        a private key for the signer into FILE; prints the gateway's public half
  slurmgate signer-key public FILE     prints that half again
  slurmgate slurm-key new FILE         an RS256 key for Slurm tokens into FILE; prints its jwks file for Slurm
  slurmgate slurm-key public FILE [--beside JWKS]
                                       prints that again; --beside: with the keys of that file too, for an overlap
  slurmgate db migrate [--session-pooler] [--json]
                                       create or update the token store's schema
  slurmgate db grants [--prefix NAME] [--apply] [--json]
                                       SQL for the roles of gateway, issuer and migrator; --apply runs it
  slurmgate db seal [--id ID [--reseal]] [--json]
                                       seal the rows that have no seal, as they stand there; --reseal: also that wrong one
  slurmgate db seal --check [--json]   list the rows whose seal is wrong or missing, and how many each key sealed
  slurmgate doctor [--json]            ask every dependency, one line each, and look at the age of every key
  slurmgate --help | --version

Configuration is read from the environment; the token commands need DATABASE_URL, munge-header at most MUNGE_SOCKET.
With TOKEN_KEY_FILE, token issue, rotate and revoke seal the rows they write; db seal needs it.
With the gateway's SLURMRESTD_URL and SLURM_JWT_* too, token issue looks the user up in Slurm's accounting and warns of
what the token's account would not confine; --strict issues nothing then, nor when nobody could be asked.
Exit codes: 0 done, 1 refused or failed, 2 not understood or badly configured.
`
