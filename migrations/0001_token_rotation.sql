ALTER TABLE "api_tokens" ADD COLUMN "replaced_by" text;--> statement-breakpoint
ALTER TABLE "api_tokens" ADD CONSTRAINT "api_tokens_replaced_by_form" CHECK ("api_tokens"."replaced_by" is null or ("api_tokens"."replaced_by" ~ '^tok_[a-z2-7]{16}$' and "api_tokens"."replaced_by" <> "api_tokens"."id"));
