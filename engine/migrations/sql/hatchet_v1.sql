-- The SQL contract: what programs of the same database may call and read, see docs/sql-contract.md. What they may
-- call runs as its owner, judges its caller itself, and has a search path without names that callers could make;
-- the functions that it calls in turn are nobody else's to call.

CREATE SCHEMA hatchet_v1;
REVOKE ALL ON SCHEMA hatchet_v1 FROM PUBLIC;

-- Inside functions that run as their owner, `current_user` is the owner: the caller is whom the session logged in
-- as, or the role that it has set since, which Postgres has checked.
CREATE FUNCTION hatchet_v1.caller() RETURNS name LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('role'), 'none')::name, session_user)
$$;

CREATE FUNCTION hatchet_v1.tenant() RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted text := nullif(current_setting('hatchet.tenant', true), '');
    allowed uuid[];
    role_name name := hatchet_v1.caller();
BEGIN
    SELECT array_agg(t.id) INTO allowed
      FROM public.engine_sqlrole r JOIN public.tenants_tenant t ON t.id = r.tenant_id
     WHERE r.role = role_name AND t.archived_at IS NULL AND t.deleted_at IS NULL
       AND (wanted IS NULL OR t.id::text = lower(wanted));
    IF cardinality(allowed) = 1 THEN
        RETURN allowed[1];
    ELSIF allowed IS NOT NULL THEN
        RAISE EXCEPTION 'the database role "%" belongs to several tenants', role_name
              USING ERRCODE = 'insufficient_privilege', HINT = 'Choose one: SET LOCAL hatchet.tenant = ''…''.';
    ELSIF wanted IS NOT NULL THEN
        RAISE EXCEPTION 'the database role "%" may not act for the tenant that hatchet.tenant names', role_name
              USING ERRCODE = 'insufficient_privilege';
    END IF;
    RAISE EXCEPTION 'the database role "%" belongs to no active tenant', role_name
          USING ERRCODE = 'insufficient_privilege', HINT = 'An operator gives it one: manage.py sqlrole grant.';
END $$;

-- A UUIDv7 of an instant in microseconds since 1970; ids of one call sort as they were made.
CREATE FUNCTION hatchet_v1.id_at(micros bigint) RETURNS uuid
LANGUAGE sql VOLATILE AS $$
    SELECT encode(substring(int8send(micros / 1000) FROM 3)
                  || substring(int4send(28672 + ((micros % 1000) * 4096 / 1000)::int) FROM 3)
                  || substring(uuid_send(gen_random_uuid()) FROM 9), 'hex')::uuid
$$;

CREATE FUNCTION hatchet_v1.micros() RETURNS bigint
LANGUAGE sql VOLATILE AS $$
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- The text of a JSON object that keeps the rule of every entrance (tenants/json_text.py); `{}` for none. What the
-- type jsonb refuses by itself is not looked for: NULs, halves of surrogate pairs. Short texts hold nothing else.
CREATE FUNCTION hatchet_v1.object_text(given jsonb, field text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    written text := given::text;
    size int := octet_length(given::text);
BEGIN
    IF given IS NULL OR jsonb_typeof(given) = 'null' THEN
        RETURN '{}';
    ELSIF jsonb_typeof(given) <> 'object' THEN
        RAISE EXCEPTION '% must be a JSON object, not of type %', field, jsonb_typeof(given)
              USING ERRCODE = 'invalid_parameter_value';
    ELSIF size > 4194304 THEN
        RAISE EXCEPTION '% is % bytes long, more than 4 MiB', field, size USING ERRCODE = 'program_limit_exceeded';
    ELSIF size < 309 THEN
        RETURN written;
    ELSIF size - octet_length(translate(written, '{[', '')) > 250
          AND jsonb_path_exists(given, 'strict $.**{250} ? (@.type() == "object" || @.type() == "array")') THEN
        RAISE EXCEPTION '% is nested more than 250 levels deep', field USING ERRCODE = 'program_limit_exceeded';
    ELSIF written ~ '[0-9]{155}[0-9]{154}' AND jsonb_path_exists(given,
          'strict $.** ? (@.type() == "number" && (@ > 1.7976931348623157e308 || @ < -1.7976931348623157e308))') THEN
        RAISE EXCEPTION '% holds a number that does not fit into a double', field
              USING ERRCODE = 'numeric_value_out_of_range';
    END IF;
    RETURN written;
END $$;

CREATE FUNCTION hatchet_v1.metadata_text(given jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    written text := nullif(hatchet_v1.object_text(given, 'metadata'), '{}');
BEGIN
    IF octet_length(written) > 1000 AND written ~ '[0-9.]{250}[0-9.]{250}[0-9.]{250}[0-9.]{251}' THEN
        RAISE EXCEPTION 'metadata holds more than 1,000 digits in a row' USING ERRCODE = 'program_limit_exceeded';
    END IF;
    RETURN written;
END $$;

CREATE FUNCTION hatchet_v1.check_text(given text, field text, longest int) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF given IS NULL OR btrim(given) = '' THEN
        RAISE EXCEPTION '% is required', field USING ERRCODE = 'invalid_parameter_value';
    ELSIF length(given) > longest THEN
        RAISE EXCEPTION '% is longer than % characters', field, longest USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;

CREATE FUNCTION hatchet_v1.check_priority(given int) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF given NOT BETWEEN 1 AND 3 THEN
        RAISE EXCEPTION 'priority must be 1, 2 or 3, not %', given USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;

CREATE FUNCTION hatchet_v1.check_workflow(tenant uuid, workflow text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM hatchet_v1.check_text(workflow, 'workflow', 255);
    IF NOT EXISTS (SELECT FROM public.engine_workflow w
                    WHERE w.tenant_id = tenant AND w.name = workflow AND w.deleted_at IS NULL) THEN
        RAISE EXCEPTION 'workflow "%" is not known', workflow
              USING ERRCODE = 'no_data_found', HINT = 'A worker that has it must have registered before.';
    END IF;
END $$;

-- Engines look at the outbox at once when the transaction has committed, and several times a minute in any case. A
-- transaction that is to be prepared (2PC) may not notify: SET LOCAL hatchet.hints = off.
CREATE FUNCTION hatchet_v1.hint(tenant uuid) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF current_setting('hatchet.hints', true) IS DISTINCT FROM 'off' THEN
        PERFORM pg_notify('hatchet_engine', '{"tenant":"' || tenant || '","outbox":true}');
    END IF;
END $$;

-- Who has a key now: whoever asks for one that another transaction is about to take waits for its end.
CREATE FUNCTION hatchet_v1.claim_key(tenant uuid, wanted text, id uuid, ttl interval) RETURNS uuid
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    holder uuid;
BEGIN
    PERFORM hatchet_v1.check_text(wanted, 'key', 1000);
    IF ttl IS NULL OR ttl <= interval '0' OR ttl > interval '10 years' THEN
        RAISE EXCEPTION 'key_ttl must be more than nothing and at most ten years'
              USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.engine_outboxkey AS held (tenant_id, digest, owner_id, expires_at)
    VALUES (tenant, sha256(convert_to(wanted, 'UTF8')), id, clock_timestamp() + ttl)
    ON CONFLICT (tenant_id, digest) DO UPDATE
       SET owner_id = excluded.owner_id, expires_at = excluded.expires_at
     WHERE held.expires_at <= clock_timestamp()
    RETURNING owner_id INTO holder;
    IF holder IS NULL THEN
        SELECT k.owner_id INTO holder FROM public.engine_outboxkey k
         WHERE k.tenant_id = tenant AND k.digest = sha256(convert_to(wanted, 'UTF8'));
    END IF;
    RETURN holder;
END $$;

CREATE FUNCTION hatchet_v1.enqueue(
    workflow text, input jsonb DEFAULT '{}', priority int DEFAULT NULL, metadata jsonb DEFAULT NULL,
    run_after timestamptz DEFAULT NULL, key text DEFAULT NULL, key_ttl interval DEFAULT '1 day') RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant uuid := hatchet_v1.tenant();
    data text := hatchet_v1.object_text(input, 'input');
    due timestamptz := CASE WHEN run_after > clock_timestamp() THEN run_after END;
    run_id uuid;
    holder uuid;
BEGIN
    PERFORM hatchet_v1.check_workflow(tenant, workflow);
    PERFORM hatchet_v1.check_priority(priority);
    IF due > clock_timestamp() + interval '10 years' THEN
        RAISE EXCEPTION 'run_after is more than ten years ahead' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- A run's id says when it was made: of one that waits, when it will be.
    run_id := hatchet_v1.id_at(CASE WHEN due IS NULL THEN hatchet_v1.micros()
                               ELSE (extract(epoch FROM due) * 1000000)::bigint END);
    IF key IS NOT NULL THEN
        holder := hatchet_v1.claim_key(tenant, key, run_id, key_ttl);
        IF holder <> run_id THEN
            RETURN holder;
        END IF;
    END IF;
    INSERT INTO public.engine_outboxrow (id, tenant_id, kind, name, data, metadata, priority, due_at, role, size,
                                         created_at)
    VALUES (run_id, tenant, 0, workflow, convert_to(data, 'UTF8'), hatchet_v1.metadata_text(metadata), priority, due,
            hatchet_v1.caller(), octet_length(data), clock_timestamp());
    PERFORM hatchet_v1.hint(tenant);
    RETURN run_id;
END $$;

CREATE FUNCTION hatchet_v1.enqueue_many(
    workflow text, inputs jsonb[], priority int DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant uuid := hatchet_v1.tenant();
    marks text := hatchet_v1.metadata_text(metadata);
    caller name := hatchet_v1.caller();
    now_micros bigint := hatchet_v1.micros();
BEGIN
    PERFORM hatchet_v1.check_workflow(tenant, workflow);
    PERFORM hatchet_v1.check_priority(priority);
    IF cardinality(inputs) > 100000 THEN
        RAISE EXCEPTION 'at most 100,000 inputs, not %', cardinality(inputs) USING ERRCODE = 'program_limit_exceeded';
    END IF;
    RETURN QUERY
    INSERT INTO public.engine_outboxrow (id, tenant_id, kind, name, data, metadata, priority, role, size, created_at)
    SELECT hatchet_v1.id_at(now_micros + u.number), tenant, 0, workflow, convert_to(u.written, 'UTF8'), marks,
           enqueue_many.priority, caller, octet_length(u.written), clock_timestamp()
      FROM (SELECT hatchet_v1.object_text(given, 'input') AS written, number
              FROM unnest(inputs) WITH ORDINALITY AS i(given, number) ORDER BY number) u
    RETURNING id;
    PERFORM hatchet_v1.hint(tenant);
END $$;

CREATE FUNCTION hatchet_v1.push_event(
    key text, payload jsonb DEFAULT '{}', priority int DEFAULT NULL, metadata jsonb DEFAULT NULL,
    scope text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant uuid := hatchet_v1.tenant();
    data text := hatchet_v1.object_text(payload, 'payload');
    event_id uuid := hatchet_v1.id_at(hatchet_v1.micros());
BEGIN
    PERFORM hatchet_v1.check_text(key, 'key', 1000);
    PERFORM hatchet_v1.check_priority(priority);
    IF scope IS NOT NULL THEN
        PERFORM hatchet_v1.check_text(scope, 'scope', 1000);
    END IF;
    INSERT INTO public.engine_outboxrow (id, tenant_id, kind, name, data, metadata, priority, scope, role, size,
                                         created_at)
    VALUES (event_id, tenant, 1, key, convert_to(data, 'UTF8'), hatchet_v1.metadata_text(metadata), priority, scope,
            hatchet_v1.caller(), octet_length(data), clock_timestamp());
    PERFORM hatchet_v1.hint(tenant);
    RETURN event_id;
END $$;

CREATE FUNCTION hatchet_v1.schedule(
    workflow text, run_at timestamptz, input jsonb DEFAULT '{}', priority int DEFAULT NULL,
    metadata jsonb DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant uuid := hatchet_v1.tenant();
    data text := hatchet_v1.object_text(input, 'input');
    schedule_id uuid := hatchet_v1.id_at(hatchet_v1.micros());
BEGIN
    PERFORM hatchet_v1.check_workflow(tenant, workflow);
    PERFORM hatchet_v1.check_priority(priority);
    IF run_at IS NULL OR NOT isfinite(run_at)
       OR run_at NOT BETWEEN '1970-01-01 00:00Z' AND '9999-12-30 00:00Z' THEN
        RAISE EXCEPTION 'run_at must be a time between the years 1970 and 9999' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.engine_outboxrow (id, tenant_id, kind, name, data, metadata, priority, trigger_at, role, size,
                                         created_at)
    VALUES (schedule_id, tenant, 2, workflow, convert_to(data, 'UTF8'), hatchet_v1.metadata_text(metadata), priority,
            run_at, hatchet_v1.caller(), octet_length(data), clock_timestamp());
    PERFORM hatchet_v1.hint(tenant);
    RETURN schedule_id;
END $$;

CREATE FUNCTION hatchet_v1.cancel(id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant uuid := hatchet_v1.tenant();
BEGIN
    IF id IS NULL THEN
        RAISE EXCEPTION 'id is required' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.engine_outboxrow (id, tenant_id, kind, name, target_id, role, size, created_at)
    VALUES (hatchet_v1.id_at(hatchet_v1.micros()), tenant, 3, '', cancel.id, hatchet_v1.caller(), 0,
            clock_timestamp());
    PERFORM hatchet_v1.hint(tenant);
END $$;

-- Completes a task with the caller's transaction. Of several attempts one can: the unique row of a completion makes
-- the others wait for it and then fail, and with them what they have written. The task's own row is looked at in its
-- newest version, whatever the isolation, and not kept locked: an open transaction holds up no engine.
CREATE FUNCTION hatchet_v1.complete(task uuid, retry_count int, output jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant uuid := hatchet_v1.tenant();
    data text := hatchet_v1.object_text(output, 'output');
    is_current boolean;
BEGIN
    IF task IS NULL OR retry_count IS NULL THEN
        RAISE EXCEPTION 'task and retry_count are required' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.engine_outboxrow (id, tenant_id, kind, name, data, target_id, retry_count, role, size,
                                         created_at)
    VALUES (hatchet_v1.id_at(hatchet_v1.micros()), tenant, 4, '', convert_to(data, 'UTF8'), task,
            complete.retry_count, hatchet_v1.caller(), octet_length(data), clock_timestamp());
    BEGIN
        PERFORM FROM public.engine_task t
          WHERE t.id = task AND t.tenant_id = tenant AND t.retry_count = complete.retry_count AND t.status = 1
            FOR SHARE;
        is_current := FOUND;
        RAISE EXCEPTION USING ERRCODE = 'HT002';
    EXCEPTION WHEN SQLSTATE 'HT002' THEN
        NULL;  -- which let go of the lock
    END;
    IF NOT is_current THEN
        RAISE EXCEPTION 'attempt % of task % does not run (any more)', retry_count, task
              USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM hatchet_v1.hint(tenant);
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'task % has been completed by another transaction', task
          USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;

-- Which run was enqueued with a key, if any: for whoever lost the connection while it committed.
CREATE FUNCTION hatchet_v1.find(key text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.owner_id FROM public.engine_outboxkey k
     WHERE k.tenant_id = hatchet_v1.tenant() AND k.digest = sha256(convert_to(key, 'UTF8'))
       AND k.expires_at > clock_timestamp()
$$;

-- A stored payload, if it is plain JSON: one that is encrypted or kept elsewhere is NULL here.
CREATE FUNCTION hatchet_v1.plain_json(data bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(data, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

CREATE FUNCTION hatchet_v1.plain_text(data bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(data, 'UTF8');
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

CREATE FUNCTION hatchet_v1.status_name(status int) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT (ARRAY['QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'])[status + 1]
$$;

CREATE VIEW hatchet_v1.runs WITH (security_barrier) AS
SELECT r.id, w.name AS workflow, hatchet_v1.status_name(r.status) AS status, r.priority,
       r.additional_metadata AS metadata, r.parent_run_id, r.event_id, r.idempotency_key, r.created_at, r.started_at,
       r.finished_at,
       (SELECT hatchet_v1.plain_json(p.data) FROM public.engine_payload p
         WHERE p.owner_id = r.id AND p.kind = 1 LIMIT 1) AS input
  FROM public.engine_run r JOIN public.engine_workflow w ON w.id = r.workflow_id
 WHERE r.tenant_id = (SELECT hatchet_v1.tenant());

CREATE VIEW hatchet_v1.tasks WITH (security_barrier) AS
SELECT t.id, t.run_id, w.name AS workflow, s.readable_id AS name, hatchet_v1.status_name(t.status) AS status,
       t.is_skipped, t.retry_count, t.worker_id, t.created_at, t.queued_at, t.assigned_at, t.started_at,
       t.finished_at, t.due_at,
       (SELECT hatchet_v1.plain_json(p.data) FROM public.engine_payload p
         WHERE p.owner_id = t.id AND p.kind = 2 LIMIT 1) AS output,
       (SELECT hatchet_v1.plain_text(p.data) FROM public.engine_payload p
         WHERE p.owner_id = t.id AND p.kind = 3 ORDER BY p.attempt DESC LIMIT 1) AS error
  FROM public.engine_task t
  JOIN public.engine_workflow w ON w.id = t.workflow_id
  JOIN public.engine_step s ON s.id = t.step_id
 WHERE t.tenant_id = (SELECT hatchet_v1.tenant());

CREATE VIEW hatchet_v1.attempts WITH (security_barrier) AS
SELECT e.task_id, e.run_id, e.retry_count, min(e.at) FILTER (WHERE e.kind = 2) AS assigned_at,
       min(e.at) FILTER (WHERE e.kind = 4) AS started_at,
       max(e.at) FILTER (WHERE e.kind IN (6, 7, 9, 10)) AS ended_at,
       (array_agg(CASE e.kind WHEN 6 THEN 'COMPLETED' WHEN 7 THEN 'FAILED' WHEN 9 THEN 'CANCELLED'
                              WHEN 10 THEN 'TIMED_OUT' END ORDER BY e.id DESC)
        FILTER (WHERE e.kind IN (6, 7, 9, 10)))[1] AS outcome,
       (array_agg(e.worker_id ORDER BY e.id) FILTER (WHERE e.worker_id IS NOT NULL))[1] AS worker_id,
       (SELECT hatchet_v1.plain_text(p.data) FROM public.engine_payload p
         WHERE p.owner_id = e.task_id AND p.kind = 3 AND p.attempt = e.retry_count LIMIT 1) AS error
  FROM public.engine_taskevent e
 WHERE EXISTS (SELECT FROM public.engine_task t
                WHERE t.id = e.task_id AND t.tenant_id = (SELECT hatchet_v1.tenant()))
 GROUP BY e.run_id, e.task_id, e.retry_count;

CREATE VIEW hatchet_v1.events WITH (security_barrier) AS
SELECT e.id, e.key, e.scope, e.additional_metadata AS metadata, e.seen_at,
       (SELECT hatchet_v1.plain_json(p.data) FROM public.engine_payload p
         WHERE p.owner_id = e.id AND p.kind = 4 LIMIT 1) AS payload
  FROM public.engine_event e
 WHERE e.tenant_id = (SELECT hatchet_v1.tenant());

CREATE VIEW hatchet_v1.queues WITH (security_barrier) AS
SELECT t.action_id AS queue, count(*) FILTER (WHERE t.status = 0) AS waiting,
       count(*) FILTER (WHERE t.status = 1) AS running, min(t.queued_at) FILTER (WHERE t.status = 0) AS oldest_queued_at
  FROM public.engine_task t
 WHERE t.tenant_id = (SELECT hatchet_v1.tenant()) AND t.status IN (0, 1)
 GROUP BY t.action_id;

CREATE VIEW hatchet_v1.schedules WITH (security_barrier) AS
SELECT s.id, w.name AS workflow, s.trigger_at, s.due_at IS NOT NULL AS is_pending, s.run_id, s.failure, s.priority,
       s.additional_metadata AS metadata, hatchet_v1.plain_json(s.input) AS input, s.created_at
  FROM public.engine_schedule s JOIN public.engine_workflow w ON w.id = s.workflow_id
 WHERE s.tenant_id = (SELECT hatchet_v1.tenant());

CREATE VIEW hatchet_v1.slots WITH (security_barrier) AS
SELECT w.id AS worker_id, w.name AS worker, w.is_active, w.is_paused, w.last_heartbeat_at, u.key AS slot_type,
       u.value::int AS slots,
       (SELECT count(*) FROM public.engine_task t WHERE t.worker_id = w.id AND t.status = 1) AS running_tasks
  FROM public.engine_worker w CROSS JOIN LATERAL jsonb_each_text(w.slots) u
 WHERE w.tenant_id = (SELECT hatchet_v1.tenant());

CREATE VIEW hatchet_v1.waits WITH (security_barrier) AS
SELECT s.task_id, s.event_key, NULL::text AS scope, s.due_at, s.satisfied_at FROM public.engine_stepwait s
 WHERE s.tenant_id = (SELECT hatchet_v1.tenant())
UNION ALL
SELECT d.task_id, CASE WHEN d.is_event THEN d.source END, d.scope, d.due_at, d.satisfied_at
  FROM public.engine_durablewait d
 WHERE d.tenant_id = (SELECT hatchet_v1.tenant()) AND NOT d.is_dropped;

-- What has committed and no engine has taken yet, and what cannot be done.
CREATE VIEW hatchet_v1.outbox WITH (security_barrier) AS
SELECT o.id, (ARRAY['ENQUEUE', 'EVENT', 'SCHEDULE', 'CANCEL', 'COMPLETE'])[o.kind + 1] AS kind, o.name,
       o.target_id, o.retry_count, o.priority, o.due_at, o.role, o.created_at, o.failed_at, o.failure,
       o.metadata::jsonb AS metadata, hatchet_v1.plain_json(o.data) AS data
  FROM public.engine_outboxrow o
 WHERE o.tenant_id = (SELECT hatchet_v1.tenant());

ALTER TABLE public.engine_outboxrow SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hatchet_v1 FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA hatchet_v1 FROM PUBLIC;
