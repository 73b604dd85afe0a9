-- Gateways listen for changes of tokens, whoever makes them: what they keep of a token counts no longer then.
CREATE FUNCTION "public"."tell_token_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  PERFORM pg_catalog.pg_notify('slurmgate_tokens', '');
  RETURN NULL;
END $$;--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION "public"."tell_token_change"() FROM PUBLIC;--> statement-breakpoint
CREATE TRIGGER "api_tokens_told" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."api_tokens" FOR EACH STATEMENT EXECUTE FUNCTION "public"."tell_token_change"();
