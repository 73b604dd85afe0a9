ALTER TABLE "munge_replays" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE POLICY "munge_replays_read" ON "munge_replays" AS PERMISSIVE FOR SELECT TO public USING (true);--> statement-breakpoint
CREATE POLICY "munge_replays_claim" ON "munge_replays" AS PERMISSIVE FOR INSERT TO public WITH CHECK (true);--> statement-breakpoint
CREATE POLICY "munge_replays_forget" ON "munge_replays" AS PERMISSIVE FOR DELETE TO public USING ("munge_replays"."keep_until" < now());