-- Makes the two roles of the SQL contract if they are missing, and says what they may. To be run by a superuser or a
-- role with CREATEROLE that owns the schema hatchet_v1; doing it again changes nothing.
DO $$
DECLARE
    wanted name;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['hatchet_enqueue', 'hatchet_read'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'this role may not make roles: have the output of `manage.py sqlrole sql` run by one that may';
    WHEN duplicate_object OR unique_violation THEN
        NULL;  -- another database of the server made them just now
END $$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'hatchet_enqueue') THEN
        GRANT USAGE ON SCHEMA hatchet_v1 TO hatchet_enqueue;
        GRANT EXECUTE ON FUNCTION
            hatchet_v1.enqueue(text, jsonb, int, jsonb, timestamptz, text, interval),
            hatchet_v1.enqueue_many(text, jsonb[], int, jsonb),
            hatchet_v1.push_event(text, jsonb, int, jsonb, text),
            hatchet_v1.schedule(text, timestamptz, jsonb, int, jsonb),
            hatchet_v1.cancel(uuid), hatchet_v1.complete(uuid, int, jsonb), hatchet_v1.find(text)
            TO hatchet_enqueue;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'hatchet_read') THEN
        GRANT USAGE ON SCHEMA hatchet_v1 TO hatchet_read;
        GRANT EXECUTE ON FUNCTION hatchet_v1.tenant(), hatchet_v1.plain_json(bytea),
            hatchet_v1.plain_text(bytea), hatchet_v1.status_name(int), hatchet_v1.find(text) TO hatchet_read;
        GRANT SELECT ON hatchet_v1.runs, hatchet_v1.tasks, hatchet_v1.attempts, hatchet_v1.events, hatchet_v1.queues,
            hatchet_v1.schedules, hatchet_v1.slots, hatchet_v1.waits, hatchet_v1.outbox TO hatchet_read;
    END IF;
END $$;
