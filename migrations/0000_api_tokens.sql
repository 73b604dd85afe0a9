CREATE TABLE "api_tokens" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"slurm_user" text NOT NULL,
	"digest" "bytea" NOT NULL,
	"scopes" text[] NOT NULL,
	"account" text,
	"format" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"issued_by" text NOT NULL,
	"policy_version" integer DEFAULT 1 NOT NULL,
	CONSTRAINT "api_tokens_digest_unique" UNIQUE("digest"),
	CONSTRAINT "api_tokens_id_form" CHECK ("api_tokens"."id" ~ '^tok_[a-z2-7]{16}$'),
	CONSTRAINT "api_tokens_name_length" CHECK (char_length("api_tokens"."name") between 1 and 100),
	CONSTRAINT "api_tokens_slurm_user_form" CHECK ("api_tokens"."slurm_user" ~ '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'),
	CONSTRAINT "api_tokens_digest_length" CHECK (octet_length("api_tokens"."digest") = 32),
	CONSTRAINT "api_tokens_scopes_present" CHECK (cardinality("api_tokens"."scopes") > 0 and array_position("api_tokens"."scopes", null) is null),
	CONSTRAINT "api_tokens_account_form" CHECK ("api_tokens"."account" is null or ("api_tokens"."account" <> '' and "api_tokens"."account" = lower("api_tokens"."account"))),
	CONSTRAINT "api_tokens_account_scopes" CHECK ("api_tokens"."account" is null or "api_tokens"."scopes" <@ array['slurm:read', 'slurmdb:read', 'slurm:jobs:manage']),
	CONSTRAINT "api_tokens_format_known" CHECK ("api_tokens"."format" in ('opaque', 'jwt', 'imported')),
	CONSTRAINT "api_tokens_expiry_later" CHECK ("api_tokens"."expires_at" is null or "api_tokens"."expires_at" > "api_tokens"."created_at"),
	CONSTRAINT "api_tokens_issuer_present" CHECK ("api_tokens"."issued_by" <> '')
);
--> statement-breakpoint
CREATE TABLE "munge_replays" (
	"credential_digest" "bytea" PRIMARY KEY NOT NULL,
	"keep_until" timestamp with time zone NOT NULL,
	CONSTRAINT "munge_replays_digest_length" CHECK (octet_length("munge_replays"."credential_digest") = 32)
);
--> statement-breakpoint
CREATE INDEX "munge_replays_keep_until" ON "munge_replays" USING btree ("keep_until");