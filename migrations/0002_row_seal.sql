ALTER TABLE "api_tokens" ADD COLUMN "uid" bigint;--> statement-breakpoint
ALTER TABLE "api_tokens" ADD COLUMN "seal" "bytea";--> statement-breakpoint
ALTER TABLE "api_tokens" ADD COLUMN "sealed_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_uid_range" CHECK ("api_tokens"."uid" is null or "api_tokens"."uid" between 0 and 4294967294);--> statement-breakpoint
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_seal_length" CHECK ("api_tokens"."seal" is null or octet_length("api_tokens"."seal") = 32);--> statement-breakpoint
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_seal_dated" CHECK (("api_tokens"."seal" is null) = ("api_tokens"."sealed_at" is null));