-- What the migrations make, written by `make schema`. Partitions of single days are left out.

CREATE SCHEMA hatchet_v1;

CREATE FUNCTION hatchet_v1.caller() RETURNS name
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(nullif(current_setting('role'), 'none')::name, session_user)
$$;

CREATE FUNCTION hatchet_v1.cancel(id uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION hatchet_v1.check_priority(given integer) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF given NOT BETWEEN 1 AND 3 THEN
        RAISE EXCEPTION 'priority must be 1, 2 or 3, not %', given USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;

CREATE FUNCTION hatchet_v1.check_text(given text, field text, longest integer) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF given IS NULL OR btrim(given) = '' THEN
        RAISE EXCEPTION '% is required', field USING ERRCODE = 'invalid_parameter_value';
    ELSIF length(given) > longest THEN
        RAISE EXCEPTION '% is longer than % characters', field, longest USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;

CREATE FUNCTION hatchet_v1.check_workflow(tenant uuid, workflow text) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    PERFORM hatchet_v1.check_text(workflow, 'workflow', 255);
    IF NOT EXISTS (SELECT FROM public.engine_workflow w
                    WHERE w.tenant_id = tenant AND w.name = workflow AND w.deleted_at IS NULL) THEN
        RAISE EXCEPTION 'workflow "%" is not known', workflow
              USING ERRCODE = 'no_data_found', HINT = 'A worker that has it must have registered before.';
    END IF;
END $$;

CREATE FUNCTION hatchet_v1.claim_key(tenant uuid, wanted text, id uuid, ttl interval) RETURNS uuid
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION hatchet_v1.complete(task uuid, retry_count integer, output jsonb DEFAULT '{}'::jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION hatchet_v1.enqueue(workflow text, input jsonb DEFAULT '{}'::jsonb, priority integer DEFAULT NULL::integer, metadata jsonb DEFAULT NULL::jsonb, run_after timestamp with time zone DEFAULT NULL::timestamp with time zone, key text DEFAULT NULL::text, key_ttl interval DEFAULT '1 day'::interval) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION hatchet_v1.enqueue_many(workflow text, inputs jsonb[], priority integer DEFAULT NULL::integer, metadata jsonb DEFAULT NULL::jsonb) RETURNS SETOF uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION hatchet_v1.find(key text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT k.owner_id FROM public.engine_outboxkey k
     WHERE k.tenant_id = hatchet_v1.tenant() AND k.digest = sha256(convert_to(key, 'UTF8'))
       AND k.expires_at > clock_timestamp()
$$;

CREATE FUNCTION hatchet_v1.hint(tenant uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF current_setting('hatchet.hints', true) IS DISTINCT FROM 'off' THEN
        PERFORM pg_notify('hatchet_engine', '{"tenant":"' || tenant || '","outbox":true}');
    END IF;
END $$;

CREATE FUNCTION hatchet_v1.id_at(micros bigint) RETURNS uuid
    LANGUAGE sql
    AS $$
    SELECT encode(substring(int8send(micros / 1000) FROM 3)
                  || substring(int4send(28672 + ((micros % 1000) * 4096 / 1000)::int) FROM 3)
                  || substring(uuid_send(gen_random_uuid()) FROM 9), 'hex')::uuid
$$;

CREATE FUNCTION hatchet_v1.metadata_text(given jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    written text := nullif(hatchet_v1.object_text(given, 'metadata'), '{}');
BEGIN
    IF octet_length(written) > 1000 AND written ~ '[0-9.]{250}[0-9.]{250}[0-9.]{250}[0-9.]{251}' THEN
        RAISE EXCEPTION 'metadata holds more than 1,000 digits in a row' USING ERRCODE = 'program_limit_exceeded';
    END IF;
    RETURN written;
END $$;

CREATE FUNCTION hatchet_v1.micros() RETURNS bigint
    LANGUAGE sql
    AS $$
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

CREATE FUNCTION hatchet_v1.object_text(given jsonb, field text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $_$
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
END $_$;

CREATE FUNCTION hatchet_v1.plain_json(data bytea) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    RETURN convert_from(data, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

CREATE FUNCTION hatchet_v1.plain_text(data bytea) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    RETURN convert_from(data, 'UTF8');
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

CREATE FUNCTION hatchet_v1.push_event(key text, payload jsonb DEFAULT '{}'::jsonb, priority integer DEFAULT NULL::integer, metadata jsonb DEFAULT NULL::jsonb, scope text DEFAULT NULL::text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION hatchet_v1.schedule(workflow text, run_at timestamp with time zone, input jsonb DEFAULT '{}'::jsonb, priority integer DEFAULT NULL::integer, metadata jsonb DEFAULT NULL::jsonb) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION hatchet_v1.status_name(status integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT (ARRAY['QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'])[status + 1]
$$;

CREATE FUNCTION hatchet_v1.tenant() RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

CREATE FUNCTION public.audit_change(kind text, operation text, tenant uuid, identity text, name text, before jsonb, after jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    context jsonb := current_setting('hatchet.audit')::jsonb;
    verb text := CASE operation WHEN 'INSERT' THEN 'create' ELSE lower(operation) END;
BEGIN
    IF context ->> 'action' = 'tenant.delete' AND kind <> 'tenant' THEN
        RETURN;  -- everything of the tenant goes with it
    END IF;
    IF operation = 'UPDATE' THEN
        SELECT jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, n.value) INTO before, after
          FROM jsonb_each(before) o JOIN jsonb_each(after) n USING (key) WHERE o.value IS DISTINCT FROM n.value;
        IF before IS NULL THEN
            RETURN;
        END IF;
    END IF;
    INSERT INTO tenants_auditentry (tenant_id, actor_kind, actor_id, actor_name, action, resource_kind, resource_id,
                                    resource_name, before, after, address, user_agent)
    VALUES (coalesce(tenant, (context ->> 'tenant_id')::uuid), context ->> 'actor_kind', context ->> 'actor_id',
            context ->> 'actor_name',
            -- What is changed right after it was made has been changed, not made twice.
            CASE WHEN context ->> 'kind' = kind AND NOT (operation = 'UPDATE' AND context ->> 'action' = kind || '.create')
                 THEN context ->> 'action' ELSE kind || '.' || verb END,
            kind, identity, left(coalesce(name, ''), 500), audit_shortened(before), audit_shortened(after),
            context ->> 'address', context ->> 'user_agent');
END
$$;

CREATE FUNCTION public.audit_refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF current_setting('hatchet.audit_retention', true) = 'on' AND OLD.at < now() - interval '1 day' THEN
            RETURN OLD;
        END IF;
    ELSIF TG_OP = 'TRUNCATE' AND current_setting('hatchet.audit_flush', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE FUNCTION public.audit_remove_before(cutoff timestamp with time zone, at_most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    AS $$
DECLARE
    removed integer;
BEGIN
    IF cutoff > now() - interval '1 day' THEN
        RAISE EXCEPTION 'the audit log keeps every entry for a day at least' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('hatchet.audit_retention', 'on', true);
    WITH old AS (
        SELECT id FROM tenants_auditentry WHERE at < cutoff ORDER BY at LIMIT at_most FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM tenants_auditentry e USING old WHERE e.id = old.id RETURNING e.id
    )
    SELECT count(*) INTO removed FROM gone;
    PERFORM set_config('hatchet.audit_retention', '', true);
    IF removed > 0 THEN
        INSERT INTO tenants_auditentry (actor_kind, actor_name, action, resource_kind, after)
        VALUES ('system', 'retention', 'audit.expire', 'audit',
                jsonb_build_object('removed', removed, 'before', cutoff));
    END IF;
    RETURN removed;
END
$$;

CREATE FUNCTION public.audit_shortened(given jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT jsonb_object_agg(key, CASE
        WHEN length(value #>> '{}') > 1000 THEN to_jsonb(left(value #>> '{}', 1000) || '…')
        ELSE value
    END) FROM jsonb_each(given)
$$;

CREATE FUNCTION public.engine_bulkaction_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('kind', OLD."kind", 'state', OLD."state", 'since', OLD."since", 'until', OLD."until", 'statuses', OLD."statuses", 'workflow_ids', OLD."workflow_ids", 'total', OLD."total", 'error_group_id', OLD."error_group_id"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('kind', NEW."kind", 'state', NEW."state", 'since', NEW."since", 'until', NEW."until", 'statuses', NEW."statuses", 'workflow_ids', NEW."workflow_ids", 'total', NEW."total", 'error_group_id', NEW."error_group_id"); END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD."metadata_keys" IS DISTINCT FROM NEW."metadata_keys" THEN
            before := before || '{"metadata_keys": "(withheld)"}';
            after := after || '{"metadata_keys": "(withheld, changed)"}';
        END IF;
        IF OLD."metadata_values" IS DISTINCT FROM NEW."metadata_values" THEN
            before := before || '{"metadata_values": "(withheld)"}';
            after := after || '{"metadata_values": "(withheld, changed)"}';
        END IF;
    END IF;
    PERFORM audit_change('bulk_action', TG_OP, subject.tenant_id, subject."id"::text,
                         NULL::text, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.engine_bulkaction_audited() IS '{"kind": "bulk_action", "shown": ["kind", "state", "since", "until", "statuses", "workflow_ids", "total", "error_group_id"], "withheld": ["metadata_keys", "metadata_values"], "ignored": ["id", "tenant_id", "needs_every_pair", "done", "changed", "collisions", "cursor", "error", "started_at", "finished_at", "created_at", "updated_at"]}';

CREATE FUNCTION public.engine_cron_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('workflow_id', OLD."workflow_id", 'name', OLD."name", 'expression', OLD."expression", 'priority', OLD."priority", 'is_enabled', OLD."is_enabled", 'is_declared', OLD."is_declared", 'missed', OLD."missed"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('workflow_id', NEW."workflow_id", 'name', NEW."name", 'expression', NEW."expression", 'priority', NEW."priority", 'is_enabled', NEW."is_enabled", 'is_declared', NEW."is_declared", 'missed', NEW."missed"); END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD."input" IS DISTINCT FROM NEW."input" THEN
            before := before || '{"input": "(withheld)"}';
            after := after || '{"input": "(withheld, changed)"}';
        END IF;
        IF OLD."additional_metadata" IS DISTINCT FROM NEW."additional_metadata" THEN
            before := before || '{"additional_metadata": "(withheld)"}';
            after := after || '{"additional_metadata": "(withheld, changed)"}';
        END IF;
    END IF;
    PERFORM audit_change('cron', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.name, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.engine_cron_audited() IS '{"kind": "cron", "shown": ["workflow_id", "name", "expression", "priority", "is_enabled", "is_declared", "missed"], "withheld": ["input", "additional_metadata"], "ignored": ["id", "tenant_id", "due_at", "fired_at", "created_at", "updated_at"]}';

CREATE FUNCTION public.engine_day_start_id(day date) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT (lpad(to_hex((extract(epoch FROM day::timestamp) * 1000)::bigint), 12, '0')
            || '00000000000000000000')::uuid
$$;

CREATE FUNCTION public.engine_drop_day(tables text[], day text) RETURNS boolean
    LANGUAGE plpgsql
    AS $_$
DECLARE
    parent text;
    child text;
    is_live boolean := false;
BEGIN
    PERFORM set_config('lock_timeout', '100ms', true);
    FOREACH parent IN ARRAY tables LOOP
        EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', parent);
    END LOOP;
    FOREACH parent IN ARRAY tables LOOP
        child := parent || '_' || day;
        IF parent = 'engine_task' AND to_regclass(child) IS NOT NULL THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %1$I WHERE status = 1)'
                           ' OR EXISTS (SELECT FROM %1$I WHERE status = 0 AND NOT is_delayed)'
                           ' OR EXISTS (SELECT FROM %1$I WHERE due_at IS NOT NULL)', child) INTO is_live;
        END IF;
    END LOOP;
    IF is_live THEN
        RETURN false;
    END IF;
    FOREACH parent IN ARRAY tables LOOP
        EXECUTE format('DROP TABLE IF EXISTS %I', parent || '_' || day);
    END LOOP;
    RETURN true;
END $_$;

CREATE FUNCTION public.engine_ensure_partitions(days_ahead integer) RETURNS SETOF text
    LANGUAGE plpgsql
    AS $$
DECLARE
    parent text;
    day date;
    child text;
    settings text;
BEGIN
    FOR parent IN SELECT c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
                   WHERE c.relnamespace = current_schema()::regnamespace AND c.relname ~ '^engine_'
                   ORDER BY c.relname LOOP
        -- Rows that are updated keep room beside them, so that an update stays on its page.
        settings := CASE WHEN parent IN ('engine_run', 'engine_task', 'engine_durabletask')
            THEN 'WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)'
            ELSE 'WITH (autovacuum_vacuum_insert_scale_factor = 0.5)' END;
        FOR day IN SELECT d::date FROM generate_series(
                (now() AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date + days_ahead,
                interval '1 day') d LOOP
            child := parent || '_' || to_char(day, 'YYYYMMDD');
            IF to_regclass(child) IS NULL THEN
                BEGIN
                    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L) %s',
                        child, parent, engine_day_start_id(day), engine_day_start_id(day + 1), settings);
                EXCEPTION
                    WHEN duplicate_table THEN NULL;
                    WHEN check_violation THEN RETURN NEXT child;
                END;
            END IF;
        END LOOP;
    END LOOP;
END $$;

CREATE FUNCTION public.engine_event_targets(owner uuid, event_key text, event_scope text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    found text;
BEGIN
    SELECT string_agg(concat_ws(' ', t.workflow_id, t.version_id, t.has_filters::int), ',')
      INTO found
      FROM (SELECT w.id AS workflow_id, v.id AS version_id,
                   EXISTS (SELECT FROM engine_filter f WHERE f.workflow_id = w.id) AS has_filters
              FROM engine_eventtrigger e
              JOIN engine_workflow w ON w.id = e.workflow_id AND w.deleted_at IS NULL
              JOIN LATERAL (SELECT id FROM engine_workflowversion
                             WHERE workflow_id = w.id ORDER BY "order" DESC LIMIT 1) v ON true
             WHERE e.tenant_id = owner
               AND (e.pattern = event_key OR (e.like_pattern IS NOT NULL AND event_key LIKE e.like_pattern))
             ORDER BY w.name, e.pattern) t;
    IF event_scope = '' OR found IS NULL THEN
        RETURN coalesce(found, '') || ';';
    END IF;
    RETURN found || ';' || coalesce((
        SELECT string_agg(concat_ws(' ', f.id, f.xmin), ',' ORDER BY f.id)
          FROM engine_filter f
         WHERE f.scope = event_scope
           AND f.workflow_id IN (
               SELECT e.workflow_id FROM engine_eventtrigger e
                WHERE e.tenant_id = owner
                  AND (e.pattern = event_key
                       OR (e.like_pattern IS NOT NULL AND event_key LIKE e.like_pattern)))), '');
END $$;

CREATE FUNCTION public.engine_filter_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('workflow_id', OLD."workflow_id", 'scope', OLD."scope", 'expression', OLD."expression", 'is_declared', OLD."is_declared"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('workflow_id', NEW."workflow_id", 'scope', NEW."scope", 'expression', NEW."expression", 'is_declared', NEW."is_declared"); END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD."payload" IS DISTINCT FROM NEW."payload" THEN
            before := before || '{"payload": "(withheld)"}';
            after := after || '{"payload": "(withheld, changed)"}';
        END IF;
    END IF;
    PERFORM audit_change('filter', TG_OP, subject.tenant_id, subject."id"::text,
                         (SELECT name FROM engine_workflow WHERE id = subject.workflow_id), before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.engine_filter_audited() IS '{"kind": "filter", "shown": ["workflow_id", "scope", "expression", "is_declared"], "withheld": ["payload"], "ignored": ["id", "tenant_id", "digest", "created_at", "updated_at"]}';

CREATE FUNCTION public.engine_hold_event_targets(owner uuid, keys text[], scopes text[], targets text[]) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF EXISTS (SELECT FROM engine_stepwait
                WHERE tenant_id = owner AND event_key = ANY(keys) AND satisfied_at IS NULL)
       OR EXISTS (SELECT FROM engine_durablewait
                   WHERE tenant_id = owner AND source = ANY(keys) AND is_event
                     AND satisfied_at IS NULL AND NOT is_dropped)
       OR EXISTS (SELECT FROM unnest(keys, scopes, targets) AS u(key, scope, target)
                   WHERE u.target IS DISTINCT FROM engine_event_targets(owner, u.key, u.scope)) THEN
        RAISE EXCEPTION 'an event has other targets now' USING ERRCODE = 'HT002';
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION public.engine_hold_leases(tenant_ids uuid[], epochs bigint[]) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM FROM engine_lease l
       JOIN unnest(tenant_ids, epochs) AS u(tenant_id, epoch)
         ON l.tenant_id = u.tenant_id AND l.epoch = u.epoch
      ORDER BY l.tenant_id FOR KEY SHARE OF l;
    IF (SELECT count(*) FROM engine_lease l
          JOIN unnest(tenant_ids, epochs) AS u(tenant_id, epoch)
            ON l.tenant_id = u.tenant_id AND l.epoch = u.epoch) < cardinality(tenant_ids) THEN
        RAISE EXCEPTION 'the lease of a tenant has passed to another engine' USING ERRCODE = 'HT001';
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION public.engine_note_ended_child() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO engine_endedchild (run_id, tenant_id, task_id)
    VALUES (NEW.id, NEW.tenant_id, NEW.parent_task_id) ON CONFLICT (run_id) DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION public.engine_payload_length(data bytea) RETURNS bigint
    LANGUAGE sql STABLE
    AS $$
    SELECT CASE WHEN pg_column_compression(data) IS NULL AND octet_length(data) >= 10
                     AND substring(data FROM 1 FOR 1) = '\x00'::bytea
        THEN ('x' || encode(substring(data FROM 3 FOR 8), 'hex'))::bit(64)::bigint
        ELSE octet_length(data) END
$$;

CREATE FUNCTION public.engine_ratelimit_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('limit_value', OLD."limit_value", 'window', OLD."window"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('limit_value', NEW."limit_value", 'window', NEW."window"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('rate_limit', TG_OP, subject.tenant_id, subject."key"::text,
                         subject.key, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.engine_ratelimit_audited() IS '{"kind": "rate_limit", "shown": ["limit_value", "window"], "withheld": [], "ignored": ["tenant_id", "key", "value", "refilled_at", "paused_until", "is_dynamic", "created_at", "updated_at"]}';

CREATE FUNCTION public.engine_schedule_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('workflow_id', OLD."workflow_id", 'trigger_at', OLD."trigger_at", 'priority', OLD."priority"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('workflow_id', NEW."workflow_id", 'trigger_at', NEW."trigger_at", 'priority', NEW."priority"); END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD."input" IS DISTINCT FROM NEW."input" THEN
            before := before || '{"input": "(withheld)"}';
            after := after || '{"input": "(withheld, changed)"}';
        END IF;
        IF OLD."additional_metadata" IS DISTINCT FROM NEW."additional_metadata" THEN
            before := before || '{"additional_metadata": "(withheld)"}';
            after := after || '{"additional_metadata": "(withheld, changed)"}';
        END IF;
    END IF;
    PERFORM audit_change('schedule', TG_OP, subject.tenant_id, subject."id"::text,
                         (SELECT name FROM engine_workflow WHERE id = subject.workflow_id), before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.engine_schedule_audited() IS '{"kind": "schedule", "shown": ["workflow_id", "trigger_at", "priority"], "withheld": ["input", "additional_metadata"], "ignored": ["id", "tenant_id", "due_at", "parent_run_id", "parent_task_id", "child_index", "child_key", "run_id", "failure", "created_at", "updated_at"]}';

CREATE FUNCTION public.engine_sqlrole_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('role', OLD."role"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('role', NEW."role"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('sql_role', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.role, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.engine_sqlrole_audited() IS '{"kind": "sql_role", "shown": ["role"], "withheld": [], "ignored": ["id", "tenant_id", "created_at"]}';

CREATE FUNCTION public.engine_tally_changed_runs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO engine_runtally (tenant_id, workflow_id, minute, status, delta)
    SELECT tenant_id, workflow_id, minute, status, sum(n) FROM (
        SELECT tenant_id, workflow_id, date_trunc('minute', created_at) AS minute, status, 1 AS n
          FROM new_rows
        UNION ALL
        SELECT tenant_id, workflow_id, date_trunc('minute', created_at), status, -1 FROM old_rows
    ) changes GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0;
    RETURN NULL;
END $$;

CREATE FUNCTION public.engine_tally_log_lines() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO engine_logtally (tenant_id, step_id, minute, level, lines)
    SELECT tenant_id, step_id, date_trunc('minute', created_at), level, count(*)
      FROM new_rows WHERE step_id IS NOT NULL GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;

CREATE FUNCTION public.engine_tally_new_runs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO engine_runtally (tenant_id, workflow_id, minute, status, delta)
    SELECT tenant_id, workflow_id, date_trunc('minute', created_at), status, count(*)
      FROM new_rows GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;

CREATE FUNCTION public.engine_worker_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('is_paused', OLD."is_paused"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('is_paused', NEW."is_paused"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('worker', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.name, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.engine_worker_audited() IS '{"kind": "worker", "shown": ["is_paused"], "withheld": [], "ignored": ["id", "tenant_id", "name", "actions", "slots", "labels", "is_active", "engine_id", "last_heartbeat_at", "last_listener_at", "sdk_version", "language", "language_version", "os", "runtime_extra", "stalled_since", "created_at", "updated_at"]}';

CREATE FUNCTION public.engine_workflow_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('name', OLD."name", 'description', OLD."description", 'is_paused', OLD."is_paused", 'paused_cron_behavior', OLD."paused_cron_behavior", 'paused_scheduled_behavior', OLD."paused_scheduled_behavior", 'paused_ttl_seconds', OLD."paused_ttl_seconds", 'deleted_at', OLD."deleted_at"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('name', NEW."name", 'description', NEW."description", 'is_paused', NEW."is_paused", 'paused_cron_behavior', NEW."paused_cron_behavior", 'paused_scheduled_behavior', NEW."paused_scheduled_behavior", 'paused_ttl_seconds', NEW."paused_ttl_seconds", 'deleted_at', NEW."deleted_at"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('workflow', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.name, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.engine_workflow_audited() IS '{"kind": "workflow", "shown": ["name", "description", "is_paused", "paused_cron_behavior", "paused_scheduled_behavior", "paused_ttl_seconds", "deleted_at"], "withheld": [], "ignored": ["id", "tenant_id", "created_at", "updated_at"]}';

CREATE FUNCTION public.engine_workflowversion_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('id', OLD."id", 'order', OLD."order"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('id', NEW."id", 'order', NEW."order"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('workflow', TG_OP, (SELECT tenant_id FROM engine_workflow WHERE id = subject.workflow_id), subject."workflow_id"::text,
                         (SELECT name FROM engine_workflow WHERE id = subject.workflow_id), before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.engine_workflowversion_audited() IS '{"kind": "workflow", "shown": ["id", "order"], "withheld": [], "ignored": ["workflow_id", "checksum", "definition", "created_at"]}';

CREATE FUNCTION public.tenants_apitoken_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('name', OLD."name", 'scope', OLD."scope", 'expires_at', OLD."expires_at", 'revoked_at', OLD."revoked_at", 'replaced_by_id', OLD."replaced_by_id"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('name', NEW."name", 'scope', NEW."scope", 'expires_at', NEW."expires_at", 'revoked_at', NEW."revoked_at", 'replaced_by_id', NEW."replaced_by_id"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('token', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.name, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.tenants_apitoken_audited() IS '{"kind": "token", "shown": ["name", "scope", "expires_at", "revoked_at", "replaced_by_id"], "withheld": [], "ignored": ["id", "tenant_id", "is_internal", "last_used_at", "created_at", "updated_at"]}';

CREATE FUNCTION public.tenants_hold(tenant uuid, kind text, current_value bigint, amount bigint, most bigint) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    own bigint;
BEGIN
    INSERT INTO tenants_resourcelimit AS l (tenant_id, resource, value) VALUES (tenant, kind, current_value)
    ON CONFLICT (tenant_id, resource) DO UPDATE SET value = excluded.value
    RETURNING l.limit_value INTO own;
    PERFORM tenants_refuse_beyond(tenant, kind, current_value, coalesce(own, most), amount);
    RETURN 0;
END $$;

CREATE FUNCTION public.tenants_lock_limit(tenant uuid, kind text) RETURNS integer
    LANGUAGE sql
    AS $$
    SELECT 0 FROM pg_advisory_xact_lock(hashtextextended('hatchet.limit.' || kind || '.' || tenant, 0))
$$;

CREATE FUNCTION public.tenants_member_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('user_id', OLD."user_id", 'role', OLD."role", 'can_view_payloads', OLD."can_view_payloads", 'is_by_group', OLD."is_by_group"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('user_id', NEW."user_id", 'role', NEW."role", 'can_view_payloads', NEW."can_view_payloads", 'is_by_group', NEW."is_by_group"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('member', TG_OP, subject.tenant_id, subject."id"::text,
                         (SELECT email FROM tenants_user WHERE id = subject.user_id), before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.tenants_member_audited() IS '{"kind": "member", "shown": ["user_id", "role", "can_view_payloads", "is_by_group"], "withheld": [], "ignored": ["id", "tenant_id", "created_at", "updated_at"]}';

CREATE FUNCTION public.tenants_refuse_beyond(tenant uuid, kind text, wanted bigint, most bigint, amount bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF wanted > most THEN
        RAISE EXCEPTION USING ERRCODE = 'HT003',
            MESSAGE = format('the tenant has reached its limit of %s (%s)', most, kind),
            DETAIL = jsonb_build_object('tenant_id', tenant, 'room', greatest(most - wanted + amount, 0))::text;
    END IF;
END $$;

CREATE FUNCTION public.tenants_resourcelimit_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('limit_value', OLD."limit_value", 'alarm_value', OLD."alarm_value"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('limit_value', NEW."limit_value", 'alarm_value', NEW."alarm_value"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('resource_limit', TG_OP, subject.tenant_id, subject."resource"::text,
                         subject.resource, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.tenants_resourcelimit_audited() IS '{"kind": "resource_limit", "shown": ["limit_value", "alarm_value"], "withheld": [], "ignored": ["tenant_id", "resource", "value", "window_began_at", "announced"]}';

CREATE FUNCTION public.tenants_retentionperiod_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('kind', OLD."kind", 'seconds', OLD."seconds"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('kind', NEW."kind", 'seconds', NEW."seconds"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('retention', TG_OP, subject.tenant_id, subject."kind"::text,
                         subject.kind, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.tenants_retentionperiod_audited() IS '{"kind": "retention", "shown": ["kind", "seconds"], "withheld": [], "ignored": ["tenant_id"]}';

CREATE FUNCTION public.tenants_take(tenants uuid[], amounts bigint[], kind text, most bigint, window_seconds bigint, at timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    one record;
    taken record;
BEGIN
    FOR one IN SELECT * FROM unnest(tenants, amounts) AS u(tenant_id, amount) ORDER BY 1 LOOP
        INSERT INTO tenants_resourcelimit AS l (tenant_id, resource, value, window_began_at)
        VALUES (one.tenant_id, kind, one.amount, at)
        ON CONFLICT (tenant_id, resource) DO UPDATE SET (value, window_began_at, announced) = (
            SELECT CASE WHEN is_open THEN l.value ELSE 0 END + one.amount,
                   CASE WHEN is_open THEN l.window_began_at ELSE at END,
                   CASE WHEN is_open THEN l.announced ELSE 0 END
              FROM (SELECT coalesce(l.window_began_at + make_interval(secs => window_seconds) > at, false)
                           AS is_open) AS w)
        RETURNING l.value, l.limit_value INTO taken;
        PERFORM tenants_refuse_beyond(one.tenant_id, kind, taken.value,
                                      coalesce(taken.limit_value, most), one.amount);
    END LOOP;
    RETURN 0;
END $$;

CREATE FUNCTION public.tenants_tenant_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('name', OLD."name", 'slug', OLD."slug", 'environment', OLD."environment", 'archived_at', OLD."archived_at", 'deleted_at', OLD."deleted_at", 'alert_frequency_seconds', OLD."alert_frequency_seconds", 'alerts_members', OLD."alerts_members", 'alerts_of_failures', OLD."alerts_of_failures", 'alerts_of_tokens', OLD."alerts_of_tokens", 'alerts_of_limits', OLD."alerts_of_limits"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('name', NEW."name", 'slug', NEW."slug", 'environment', NEW."environment", 'archived_at', NEW."archived_at", 'deleted_at', NEW."deleted_at", 'alert_frequency_seconds', NEW."alert_frequency_seconds", 'alerts_members', NEW."alerts_members", 'alerts_of_failures', NEW."alerts_of_failures", 'alerts_of_tokens', NEW."alerts_of_tokens", 'alerts_of_limits', NEW."alerts_of_limits"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('tenant', TG_OP, subject.id, subject."id"::text,
                         subject.name, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.tenants_tenant_audited() IS '{"kind": "tenant", "shown": ["name", "slug", "environment", "archived_at", "deleted_at", "alert_frequency_seconds", "alerts_members", "alerts_of_failures", "alerts_of_tokens", "alerts_of_limits"], "withheld": [], "ignored": ["id", "created_at", "updated_at", "last_alerted_at"]}';

CREATE FUNCTION public.tenants_tenantinvite_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('email', OLD."email", 'role', OLD."role", 'can_view_payloads', OLD."can_view_payloads", 'status', OLD."status", 'is_mailed', OLD."is_mailed", 'expires_at', OLD."expires_at"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('email', NEW."email", 'role', NEW."role", 'can_view_payloads', NEW."can_view_payloads", 'status', NEW."status", 'is_mailed', NEW."is_mailed", 'expires_at', NEW."expires_at"); END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD."link_digest" IS DISTINCT FROM NEW."link_digest" THEN
            before := before || '{"link_digest": "(withheld)"}';
            after := after || '{"link_digest": "(withheld, changed)"}';
        END IF;
    END IF;
    PERFORM audit_change('invite', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.email, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.tenants_tenantinvite_audited() IS '{"kind": "invite", "shown": ["email", "role", "can_view_payloads", "status", "is_mailed", "expires_at"], "withheld": ["link_digest"], "ignored": ["id", "tenant_id", "invited_by_id", "created_at", "updated_at"]}';

CREATE FUNCTION public.tenants_user_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('email', OLD."email", 'name', OLD."name", 'is_active', OLD."is_active", 'is_email_verified', OLD."is_email_verified", 'is_email_proven', OLD."is_email_proven"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('email', NEW."email", 'name', NEW."name", 'is_active', NEW."is_active", 'is_email_verified', NEW."is_email_verified", 'is_email_proven', NEW."is_email_proven"); END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD."password" IS DISTINCT FROM NEW."password" THEN
            before := before || '{"password": "(withheld)"}';
            after := after || '{"password": "(withheld, changed)"}';
        END IF;
    END IF;
    PERFORM audit_change('user', TG_OP, NULL::uuid, subject."id"::text,
                         subject.email, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.tenants_user_audited() IS '{"kind": "user", "shown": ["email", "name", "is_active", "is_email_verified", "is_email_proven"], "withheld": ["password"], "ignored": ["id", "last_login", "created_at", "updated_at"]}';

CREATE FUNCTION public.webhooks_alertchannel_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('kind', OLD."kind", 'name', OLD."name", 'settings', OLD."settings", 'is_paused', OLD."is_paused"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('kind', NEW."kind", 'name', NEW."name", 'settings', NEW."settings", 'is_paused', NEW."is_paused"); END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD."secret" IS DISTINCT FROM NEW."secret" THEN
            before := before || '{"secret": "(withheld)"}';
            after := after || '{"secret": "(withheld, changed)"}';
        END IF;
    END IF;
    PERFORM audit_change('alert_channel', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.name, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.webhooks_alertchannel_audited() IS '{"kind": "alert_channel", "shown": ["kind", "name", "settings", "is_paused"], "withheld": ["secret"], "ignored": ["id", "tenant_id", "failing_since", "last_error", "last_delivered_at", "created_at", "updated_at"]}';

CREATE FUNCTION public.webhooks_alertrule_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('name', OLD."name", 'kind', OLD."kind", 'settings', OLD."settings", 'runbook', OLD."runbook", 'channel_ids', OLD."channel_ids", 'is_enabled', OLD."is_enabled", 'silenced_until', OLD."silenced_until"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('name', NEW."name", 'kind', NEW."kind", 'settings', NEW."settings", 'runbook', NEW."runbook", 'channel_ids', NEW."channel_ids", 'is_enabled', NEW."is_enabled", 'silenced_until', NEW."silenced_until"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('alert_rule', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.name, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.webhooks_alertrule_audited() IS '{"kind": "alert_rule", "shown": ["name", "kind", "settings", "runbook", "channel_ids", "is_enabled", "silenced_until"], "withheld": [], "ignored": ["id", "tenant_id", "check_at", "created_at", "updated_at"]}';

CREATE FUNCTION public.webhooks_endpoint_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('url', OLD."url", 'description', OLD."description", 'kinds', OLD."kinds", 'workflow_ids', OLD."workflow_ids", 'pause_reason', OLD."pause_reason", 'paused_at', OLD."paused_at"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('url', NEW."url", 'description', NEW."description", 'kinds', NEW."kinds", 'workflow_ids', NEW."workflow_ids", 'pause_reason', NEW."pause_reason", 'paused_at', NEW."paused_at"); END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD."secret" IS DISTINCT FROM NEW."secret" THEN
            before := before || '{"secret": "(withheld)"}';
            after := after || '{"secret": "(withheld, changed)"}';
        END IF;
        IF OLD."previous_secret" IS DISTINCT FROM NEW."previous_secret" THEN
            before := before || '{"previous_secret": "(withheld)"}';
            after := after || '{"previous_secret": "(withheld, changed)"}';
        END IF;
    END IF;
    PERFORM audit_change('endpoint', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.url, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.webhooks_endpoint_audited() IS '{"kind": "endpoint", "shown": ["url", "description", "kinds", "workflow_ids", "pause_reason", "paused_at"], "withheld": ["secret", "previous_secret"], "ignored": ["id", "tenant_id", "previous_expires_at", "failing_since", "not_before", "created_at", "updated_at"]}';

CREATE FUNCTION public.webhooks_note_audit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO webhooks_occurrence (tenant_id, kind, subject_id, at, data)
    SELECT NEW.tenant_id, 'audit.recorded', NEW.tenant_id, NEW.at,
           jsonb_strip_nulls(jsonb_build_object(
               'entryId', NEW.id, 'action', NEW.action, 'actorKind', NEW.actor_kind,
               'actorId', NEW.actor_id, 'actorName', NEW.actor_name, 'resourceKind', NEW.resource_kind,
               'resourceId', NEW.resource_id, 'resourceName', NEW.resource_name))
           || CASE WHEN NEW.before IS NULL THEN '{}' ELSE jsonb_build_object('before', NEW.before) END
           || CASE WHEN NEW.after IS NULL THEN '{}' ELSE jsonb_build_object('after', NEW.after) END
     WHERE EXISTS (SELECT FROM webhooks_endpoint e
                    WHERE e.tenant_id = NEW.tenant_id AND 'audit.recorded' = ANY(e.kinds));
    RETURN NULL;
END $$;

CREATE FUNCTION public.webhooks_note_changed_runs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM webhooks_endpoint) THEN
        RETURN NULL;
    END IF;
    -- A run that is tried again has started before; one that leaves a final status is replayed. Rows are sorted,
    -- and not joined: a plan is kept that was made for the number of rows of its first execution.
    INSERT INTO webhooks_occurrence (tenant_id, kind, subject_id, at)
    SELECT n.tenant_id, k.kind, n.id,
           CASE k.kind WHEN 'run.replayed' THEN now() WHEN 'run.started' THEN n.started_at
                       ELSE n.finished_at END
      FROM (SELECT r.*, lag(status) OVER moves AS old_status, lag(started_at) OVER moves AS old_started_at
              FROM (SELECT id, tenant_id, workflow_id, status, started_at, finished_at, true AS is_new
                      FROM new_rows
                    UNION ALL
                    SELECT id, tenant_id, workflow_id, status, started_at, finished_at, false
                      FROM old_rows) r
            WINDOW moves AS (ORDER BY id, is_new)) n
     CROSS JOIN LATERAL unnest(ARRAY[
                CASE WHEN n.old_status >= 2 AND n.status < 2 THEN 'run.replayed' END,
                CASE WHEN n.status = 1 AND n.old_started_at IS NULL AND n.started_at IS NOT NULL
                     THEN 'run.started' END,
                CASE n.status WHEN 2 THEN 'run.completed' WHEN 3 THEN 'run.failed'
                              WHEN 4 THEN 'run.cancelled' END])
           WITH ORDINALITY AS k(kind, number)
     WHERE n.is_new AND n.status <> n.old_status
       AND EXISTS (SELECT FROM webhooks_endpoint e
                    WHERE e.tenant_id = n.tenant_id AND k.kind = ANY(e.kinds)
                      AND (e.workflow_ids = '{}' OR n.workflow_id = ANY(e.workflow_ids)))
     ORDER BY n.id, k.number;
    RETURN NULL;
END $$;

CREATE FUNCTION public.webhooks_note_failed_runs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM tenants_tenant WHERE alerts_of_failures)
       OR NOT EXISTS (SELECT FROM new_rows WHERE status = 3) THEN
        RETURN NULL;
    END IF;
    -- Rows are sorted, and not joined: a plan is kept that was made for the number of rows of its first execution.
    INSERT INTO webhooks_failedruns (tenant_id, workflow_id, run_id, count, at)
    SELECT n.tenant_id, n.workflow_id, (array_agg(n.id ORDER BY n.id))[1], count(*), now()
      FROM (SELECT r.*, lag(status) OVER (ORDER BY id, is_new) AS old_status
              FROM (SELECT id, tenant_id, workflow_id, status, true AS is_new FROM new_rows
                    UNION ALL
                    SELECT id, tenant_id, workflow_id, status, false FROM old_rows) r) n
     WHERE n.is_new AND n.status = 3 AND n.old_status <> 3
       AND EXISTS (SELECT FROM tenants_tenant t WHERE t.id = n.tenant_id AND t.alerts_of_failures)
     GROUP BY n.tenant_id, n.workflow_id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.webhooks_note_new_runs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM webhooks_endpoint) THEN
        RETURN NULL;
    END IF;
    INSERT INTO webhooks_occurrence (tenant_id, kind, subject_id, at)
    SELECT n.tenant_id, k.kind, n.id, n.created_at
      FROM new_rows n
     CROSS JOIN LATERAL unnest(ARRAY['run.created',
                CASE n.status WHEN 0 THEN NULL WHEN 1 THEN 'run.started' WHEN 2 THEN 'run.completed'
                              WHEN 3 THEN 'run.failed' ELSE 'run.cancelled' END])
           WITH ORDINALITY AS k(kind, number)
     WHERE EXISTS (SELECT FROM webhooks_endpoint e
                    WHERE e.tenant_id = n.tenant_id AND k.kind = ANY(e.kinds)
                      AND (e.workflow_ids = '{}' OR n.workflow_id = ANY(e.workflow_ids)))
     ORDER BY n.id, k.number;
    RETURN NULL;
END $$;

CREATE FUNCTION public.webhooks_note_runs_born_failed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM tenants_tenant WHERE alerts_of_failures)
       OR NOT EXISTS (SELECT FROM new_rows WHERE status = 3) THEN
        RETURN NULL;
    END IF;
    INSERT INTO webhooks_failedruns (tenant_id, workflow_id, run_id, count, at)
    SELECT n.tenant_id, n.workflow_id, (array_agg(n.id ORDER BY n.id))[1], count(*), now()
      FROM new_rows n
     WHERE n.status = 3
       AND EXISTS (SELECT FROM tenants_tenant t WHERE t.id = n.tenant_id AND t.alerts_of_failures)
     GROUP BY n.tenant_id, n.workflow_id;
    RETURN NULL;
END $$;

CREATE FUNCTION public.webhooks_note_worker() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO webhooks_occurrence (tenant_id, kind, subject_id, at)
    SELECT NEW.tenant_id, TG_ARGV[0], NEW.id, NEW.updated_at
     WHERE EXISTS (SELECT FROM webhooks_endpoint e
                    WHERE e.tenant_id = NEW.tenant_id AND TG_ARGV[0] = ANY(e.kinds));
    RETURN NULL;
END $$;

CREATE FUNCTION public.webhooks_snstopic_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('topic_arn', OLD."topic_arn"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('topic_arn', NEW."topic_arn"); END IF;
    IF TG_OP = 'UPDATE' THEN
        NULL;
    END IF;
    PERFORM audit_change('sns_topic', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.topic_arn, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.webhooks_snstopic_audited() IS '{"kind": "sns_topic", "shown": ["topic_arn"], "withheld": [], "ignored": ["id", "tenant_id", "created_at", "updated_at"]}';

CREATE FUNCTION public.webhooks_webhook_audited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := jsonb_build_object('name', OLD."name", 'source_name', OLD."source_name", 'event_key_expression', OLD."event_key_expression", 'scope_expression', OLD."scope_expression", 'returns_event', OLD."returns_event", 'auth_type', OLD."auth_type", 'header_name', OLD."header_name", 'algorithm', OLD."algorithm", 'encoding', OLD."encoding"); END IF;
    IF TG_OP <> 'DELETE' THEN after := jsonb_build_object('name', NEW."name", 'source_name', NEW."source_name", 'event_key_expression', NEW."event_key_expression", 'scope_expression', NEW."scope_expression", 'returns_event', NEW."returns_event", 'auth_type', NEW."auth_type", 'header_name', NEW."header_name", 'algorithm', NEW."algorithm", 'encoding', NEW."encoding"); END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD."secret" IS DISTINCT FROM NEW."secret" THEN
            before := before || '{"secret": "(withheld)"}';
            after := after || '{"secret": "(withheld, changed)"}';
        END IF;
        IF OLD."static_payload" IS DISTINCT FROM NEW."static_payload" THEN
            before := before || '{"static_payload": "(withheld)"}';
            after := after || '{"static_payload": "(withheld, changed)"}';
        END IF;
    END IF;
    PERFORM audit_change('webhook', TG_OP, subject.tenant_id, subject."id"::text,
                         subject.name, before, after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION public.webhooks_webhook_audited() IS '{"kind": "webhook", "shown": ["name", "source_name", "event_key_expression", "scope_expression", "returns_event", "auth_type", "header_name", "algorithm", "encoding"], "withheld": ["secret", "static_payload"], "ignored": ["id", "tenant_id", "created_at", "updated_at"]}';

CREATE TABLE public.engine_payload (
    owner_id uuid NOT NULL,
    kind smallint NOT NULL,
    attempt integer NOT NULL,
    data bytea NOT NULL
)
PARTITION BY RANGE (owner_id);

CREATE TABLE public.engine_task (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    version_id uuid NOT NULL,
    step_id uuid NOT NULL,
    action_id text NOT NULL,
    status smallint NOT NULL,
    queue_priority smallint NOT NULL,
    retry_count integer NOT NULL,
    app_retry_count integer NOT NULL,
    internal_retry_count integer NOT NULL,
    worker_id uuid,
    is_delayed boolean NOT NULL,
    is_slot_released boolean NOT NULL,
    is_skipped boolean NOT NULL,
    due_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    queued_at timestamp with time zone NOT NULL,
    assigned_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    desired_labels text,
    desired_worker_id uuid,
    is_held boolean DEFAULT false NOT NULL,
    concurrency_keys text,
    is_evicted boolean DEFAULT false NOT NULL,
    batch_id uuid
)
PARTITION BY RANGE (id);

CREATE TABLE public.engine_taskevent (
    id uuid NOT NULL,
    run_id uuid NOT NULL,
    task_id uuid NOT NULL,
    retry_count integer NOT NULL,
    kind smallint NOT NULL,
    at timestamp with time zone NOT NULL,
    worker_id uuid,
    message text NOT NULL
)
PARTITION BY RANGE (id);

CREATE VIEW hatchet_v1.attempts WITH (security_barrier='true') AS
 SELECT task_id,
    run_id,
    retry_count,
    min(at) FILTER (WHERE (kind = 2)) AS assigned_at,
    min(at) FILTER (WHERE (kind = 4)) AS started_at,
    max(at) FILTER (WHERE (kind = ANY (ARRAY[6, 7, 9, 10]))) AS ended_at,
    (array_agg(
        CASE kind
            WHEN 6 THEN 'COMPLETED'::text
            WHEN 7 THEN 'FAILED'::text
            WHEN 9 THEN 'CANCELLED'::text
            WHEN 10 THEN 'TIMED_OUT'::text
            ELSE NULL::text
        END ORDER BY id DESC) FILTER (WHERE (kind = ANY (ARRAY[6, 7, 9, 10]))))[1] AS outcome,
    (array_agg(worker_id ORDER BY id) FILTER (WHERE (worker_id IS NOT NULL)))[1] AS worker_id,
    ( SELECT hatchet_v1.plain_text(p.data) AS plain_text
           FROM public.engine_payload p
          WHERE ((p.owner_id = e.task_id) AND (p.kind = 3) AND (p.attempt = e.retry_count))
         LIMIT 1) AS error
   FROM public.engine_taskevent e
  WHERE (EXISTS ( SELECT
           FROM public.engine_task t
          WHERE ((t.id = e.task_id) AND (t.tenant_id = ( SELECT hatchet_v1.tenant() AS tenant)))))
  GROUP BY run_id, task_id, retry_count;

CREATE TABLE public.engine_event (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    key text NOT NULL,
    scope text,
    additional_metadata jsonb,
    priority smallint,
    seen_at timestamp with time zone NOT NULL
)
PARTITION BY RANGE (id);

CREATE VIEW hatchet_v1.events WITH (security_barrier='true') AS
 SELECT id,
    key,
    scope,
    additional_metadata AS metadata,
    seen_at,
    ( SELECT hatchet_v1.plain_json(p.data) AS plain_json
           FROM public.engine_payload p
          WHERE ((p.owner_id = e.id) AND (p.kind = 4))
         LIMIT 1) AS payload
   FROM public.engine_event e
  WHERE (tenant_id = ( SELECT hatchet_v1.tenant() AS tenant));

CREATE TABLE public.engine_outboxrow (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    kind smallint NOT NULL,
    name text NOT NULL,
    data bytea,
    metadata text,
    priority smallint,
    scope text,
    target_id uuid,
    retry_count integer,
    trigger_at timestamp with time zone,
    due_at timestamp with time zone,
    size integer NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    failed_at timestamp with time zone,
    failure text
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='10000');

CREATE VIEW hatchet_v1.outbox WITH (security_barrier='true') AS
 SELECT id,
    (ARRAY['ENQUEUE'::text, 'EVENT'::text, 'SCHEDULE'::text, 'CANCEL'::text, 'COMPLETE'::text])[(kind + 1)] AS kind,
    name,
    target_id,
    retry_count,
    priority,
    due_at,
    role,
    created_at,
    failed_at,
    failure,
    (metadata)::jsonb AS metadata,
    hatchet_v1.plain_json(data) AS data
   FROM public.engine_outboxrow o
  WHERE (tenant_id = ( SELECT hatchet_v1.tenant() AS tenant));

CREATE VIEW hatchet_v1.queues WITH (security_barrier='true') AS
 SELECT action_id AS queue,
    count(*) FILTER (WHERE (status = 0)) AS waiting,
    count(*) FILTER (WHERE (status = 1)) AS running,
    min(queued_at) FILTER (WHERE (status = 0)) AS oldest_queued_at
   FROM public.engine_task t
  WHERE ((tenant_id = ( SELECT hatchet_v1.tenant() AS tenant)) AND (status = ANY (ARRAY[0, 1])))
  GROUP BY action_id;

CREATE TABLE public.engine_run (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    version_id uuid NOT NULL,
    status smallint NOT NULL,
    is_dag boolean NOT NULL,
    priority smallint NOT NULL,
    trigger smallint NOT NULL,
    additional_metadata jsonb,
    parent_run_id uuid,
    parent_task_id uuid,
    child_index integer,
    child_key text,
    event_id uuid,
    event_key text,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    desired_labels text,
    filter_id uuid,
    idempotency_key text
)
PARTITION BY RANGE (id);

CREATE TABLE public.engine_workflow (
    id uuid NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    tenant_id uuid NOT NULL,
    is_paused boolean DEFAULT false NOT NULL,
    paused_cron_behavior text,
    paused_scheduled_behavior text,
    paused_ttl_seconds double precision
);

CREATE VIEW hatchet_v1.runs WITH (security_barrier='true') AS
 SELECT r.id,
    w.name AS workflow,
    hatchet_v1.status_name((r.status)::integer) AS status,
    r.priority,
    r.additional_metadata AS metadata,
    r.parent_run_id,
    r.event_id,
    r.idempotency_key,
    r.created_at,
    r.started_at,
    r.finished_at,
    ( SELECT hatchet_v1.plain_json(p.data) AS plain_json
           FROM public.engine_payload p
          WHERE ((p.owner_id = r.id) AND (p.kind = 1))
         LIMIT 1) AS input
   FROM (public.engine_run r
     JOIN public.engine_workflow w ON ((w.id = r.workflow_id)))
  WHERE (r.tenant_id = ( SELECT hatchet_v1.tenant() AS tenant));

CREATE TABLE public.engine_schedule (
    id uuid NOT NULL,
    trigger_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone,
    input bytea NOT NULL,
    additional_metadata jsonb,
    priority smallint,
    parent_run_id uuid,
    parent_task_id uuid,
    child_index integer,
    child_key text,
    run_id uuid,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    failure text
);

CREATE VIEW hatchet_v1.schedules WITH (security_barrier='true') AS
 SELECT s.id,
    w.name AS workflow,
    s.trigger_at,
    (s.due_at IS NOT NULL) AS is_pending,
    s.run_id,
    s.failure,
    s.priority,
    s.additional_metadata AS metadata,
    hatchet_v1.plain_json(s.input) AS input,
    s.created_at
   FROM (public.engine_schedule s
     JOIN public.engine_workflow w ON ((w.id = s.workflow_id)))
  WHERE (s.tenant_id = ( SELECT hatchet_v1.tenant() AS tenant));

CREATE TABLE public.engine_worker (
    id uuid NOT NULL,
    name text NOT NULL,
    actions text[] NOT NULL,
    slots jsonb NOT NULL,
    labels jsonb NOT NULL,
    is_active boolean NOT NULL,
    is_paused boolean NOT NULL,
    engine_id uuid,
    last_heartbeat_at timestamp with time zone,
    last_listener_at timestamp with time zone,
    sdk_version text NOT NULL,
    language text NOT NULL,
    language_version text NOT NULL,
    os text NOT NULL,
    runtime_extra text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL,
    stalled_since timestamp with time zone
);

CREATE VIEW hatchet_v1.slots WITH (security_barrier='true') AS
 SELECT w.id AS worker_id,
    w.name AS worker,
    w.is_active,
    w.is_paused,
    w.last_heartbeat_at,
    u.key AS slot_type,
    (u.value)::integer AS slots,
    ( SELECT count(*) AS count
           FROM public.engine_task t
          WHERE ((t.worker_id = w.id) AND (t.status = 1))) AS running_tasks
   FROM (public.engine_worker w
     CROSS JOIN LATERAL jsonb_each_text(w.slots) u(key, value))
  WHERE (w.tenant_id = ( SELECT hatchet_v1.tenant() AS tenant));

CREATE TABLE public.engine_step (
    id uuid NOT NULL,
    ordinal smallint NOT NULL,
    kind smallint NOT NULL,
    readable_id text NOT NULL,
    action_id text NOT NULL,
    version_id uuid NOT NULL
);

CREATE VIEW hatchet_v1.tasks WITH (security_barrier='true') AS
 SELECT t.id,
    t.run_id,
    w.name AS workflow,
    s.readable_id AS name,
    hatchet_v1.status_name((t.status)::integer) AS status,
    t.is_skipped,
    t.retry_count,
    t.worker_id,
    t.created_at,
    t.queued_at,
    t.assigned_at,
    t.started_at,
    t.finished_at,
    t.due_at,
    ( SELECT hatchet_v1.plain_json(p.data) AS plain_json
           FROM public.engine_payload p
          WHERE ((p.owner_id = t.id) AND (p.kind = 2))
         LIMIT 1) AS output,
    ( SELECT hatchet_v1.plain_text(p.data) AS plain_text
           FROM public.engine_payload p
          WHERE ((p.owner_id = t.id) AND (p.kind = 3))
          ORDER BY p.attempt DESC
         LIMIT 1) AS error
   FROM ((public.engine_task t
     JOIN public.engine_workflow w ON ((w.id = t.workflow_id)))
     JOIN public.engine_step s ON ((s.id = t.step_id)))
  WHERE (t.tenant_id = ( SELECT hatchet_v1.tenant() AS tenant));

CREATE TABLE public.engine_durablewait (
    task_id uuid NOT NULL,
    branch_id bigint NOT NULL,
    node_id bigint NOT NULL,
    ordinal smallint NOT NULL,
    tenant_id uuid NOT NULL,
    "group" smallint NOT NULL,
    is_event boolean NOT NULL,
    source text NOT NULL,
    data_key text NOT NULL,
    expression text NOT NULL,
    scope text,
    since timestamp with time zone,
    due_at timestamp with time zone,
    satisfied_at timestamp with time zone,
    payload bytea,
    is_dropped boolean DEFAULT false NOT NULL
);

CREATE TABLE public.engine_stepwait (
    task_id uuid NOT NULL,
    ordinal smallint NOT NULL,
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    version_id uuid NOT NULL,
    step_id uuid NOT NULL,
    event_key text,
    due_at timestamp with time zone,
    satisfied_at timestamp with time zone,
    event_id uuid
);

CREATE VIEW hatchet_v1.waits WITH (security_barrier='true') AS
 SELECT s.task_id,
    s.event_key,
    NULL::text AS scope,
    s.due_at,
    s.satisfied_at
   FROM public.engine_stepwait s
  WHERE (s.tenant_id = ( SELECT hatchet_v1.tenant() AS tenant))
UNION ALL
 SELECT d.task_id,
        CASE
            WHEN d.is_event THEN d.source
            ELSE NULL::text
        END AS event_key,
    d.scope,
    d.due_at,
    d.satisfied_at
   FROM public.engine_durablewait d
  WHERE ((d.tenant_id = ( SELECT hatchet_v1.tenant() AS tenant)) AND (NOT d.is_dropped));

CREATE TABLE public.account_emailaddress (
    id integer NOT NULL,
    email character varying(254) NOT NULL,
    verified boolean NOT NULL,
    "primary" boolean NOT NULL,
    user_id uuid NOT NULL
);

ALTER TABLE public.account_emailaddress ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.account_emailaddress_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.account_emailconfirmation (
    id integer NOT NULL,
    created timestamp with time zone NOT NULL,
    sent timestamp with time zone,
    key character varying(64) NOT NULL,
    email_address_id integer NOT NULL
);

ALTER TABLE public.account_emailconfirmation ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.account_emailconfirmation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_group (
    id integer NOT NULL,
    name character varying(150) NOT NULL
);

ALTER TABLE public.auth_group ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_group_permissions (
    id bigint NOT NULL,
    group_id integer NOT NULL,
    permission_id integer NOT NULL
);

ALTER TABLE public.auth_group_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_permission (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    content_type_id integer NOT NULL,
    codename character varying(100) NOT NULL
);

ALTER TABLE public.auth_permission ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_permission_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_content_type (
    id integer NOT NULL,
    app_label character varying(100) NOT NULL,
    model character varying(100) NOT NULL
);

ALTER TABLE public.django_content_type ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_content_type_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_migrations (
    id bigint NOT NULL,
    app character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    applied timestamp with time zone NOT NULL
);

ALTER TABLE public.django_migrations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_session (
    session_key character varying(40) NOT NULL,
    session_data text NOT NULL,
    expire_date timestamp with time zone NOT NULL
);

CREATE TABLE public.engine_answeredrequest (
    tenant_id uuid NOT NULL,
    key_digest bytea NOT NULL,
    request_digest bytea NOT NULL,
    status smallint NOT NULL,
    body bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.engine_bulkaction (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    kind smallint NOT NULL,
    state smallint NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    statuses smallint[] NOT NULL,
    workflow_ids uuid[] NOT NULL,
    metadata_keys text[] NOT NULL,
    metadata_values text[] NOT NULL,
    needs_every_pair boolean NOT NULL,
    total integer NOT NULL,
    done integer NOT NULL,
    changed integer NOT NULL,
    collisions integer NOT NULL,
    cursor uuid,
    error text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    error_group_id uuid
);

CREATE TABLE public.engine_celfailure (
    id uuid NOT NULL,
    source smallint NOT NULL,
    workflow_id uuid NOT NULL,
    event_id uuid,
    expression text NOT NULL,
    error text NOT NULL,
    at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.engine_childlink (
    parent_task_id uuid NOT NULL,
    key text NOT NULL,
    run_id uuid NOT NULL
);

CREATE TABLE public.engine_cron (
    id uuid NOT NULL,
    name text NOT NULL,
    expression text NOT NULL,
    input bytea NOT NULL,
    additional_metadata jsonb,
    priority smallint,
    is_declared boolean NOT NULL,
    is_enabled boolean NOT NULL,
    due_at timestamp with time zone,
    fired_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    missed smallint DEFAULT 0 NOT NULL
);

CREATE TABLE public.engine_cronmiss (
    id uuid NOT NULL,
    cause smallint NOT NULL,
    detail text NOT NULL,
    count bigint NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    cron_id uuid NOT NULL
);

CREATE TABLE public.engine_durableentry (
    task_id uuid NOT NULL,
    branch_id bigint NOT NULL,
    node_id bigint NOT NULL,
    kind smallint NOT NULL,
    identity bytea NOT NULL,
    description text NOT NULL,
    label text,
    detail text,
    dedupe_key text,
    child_run_id uuid,
    is_awaited boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    satisfied_at timestamp with time zone,
    satisfied_order bigint,
    result bytea,
    error text,
    recorded_after bigint
)
PARTITION BY RANGE (task_id);

CREATE TABLE public.engine_durableentry_default (
    task_id uuid CONSTRAINT engine_durableentry_task_id_not_null NOT NULL,
    branch_id bigint CONSTRAINT engine_durableentry_branch_id_not_null NOT NULL,
    node_id bigint CONSTRAINT engine_durableentry_node_id_not_null NOT NULL,
    kind smallint CONSTRAINT engine_durableentry_kind_not_null NOT NULL,
    identity bytea CONSTRAINT engine_durableentry_identity_not_null NOT NULL,
    description text CONSTRAINT engine_durableentry_description_not_null NOT NULL,
    label text,
    detail text,
    dedupe_key text,
    child_run_id uuid,
    is_awaited boolean CONSTRAINT engine_durableentry_is_awaited_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT engine_durableentry_created_at_not_null NOT NULL,
    satisfied_at timestamp with time zone,
    satisfied_order bigint,
    result bytea,
    error text,
    recorded_after bigint
);

CREATE TABLE public.engine_durabletask (
    task_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    invocation_count integer NOT NULL,
    branch_id bigint NOT NULL,
    node_id bigint NOT NULL,
    satisfied_order bigint NOT NULL,
    forks text,
    passed_nodes text,
    restored_count integer DEFAULT 0 NOT NULL
)
PARTITION BY RANGE (task_id);

CREATE TABLE public.engine_durabletask_default (
    task_id uuid CONSTRAINT engine_durabletask_task_id_not_null NOT NULL,
    tenant_id uuid CONSTRAINT engine_durabletask_tenant_id_not_null NOT NULL,
    invocation_count integer CONSTRAINT engine_durabletask_invocation_count_not_null NOT NULL,
    branch_id bigint CONSTRAINT engine_durabletask_branch_id_not_null NOT NULL,
    node_id bigint CONSTRAINT engine_durabletask_node_id_not_null NOT NULL,
    satisfied_order bigint CONSTRAINT engine_durabletask_satisfied_order_not_null NOT NULL,
    forks text,
    passed_nodes text,
    restored_count integer DEFAULT 0 CONSTRAINT engine_durabletask_restored_count_not_null NOT NULL
);

CREATE TABLE public.engine_endedchild (
    run_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    task_id uuid NOT NULL
);

CREATE TABLE public.engine_endedwait (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    event_id uuid NOT NULL,
    run_id uuid NOT NULL,
    task_id uuid NOT NULL,
    branch_id bigint,
    node_id bigint,
    ordinal smallint NOT NULL,
    at timestamp with time zone NOT NULL
);

CREATE TABLE public.engine_engineprocess (
    id uuid NOT NULL,
    host text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    heartbeat_at timestamp with time zone NOT NULL
);

CREATE TABLE public.engine_errorgroup (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    digest bytea NOT NULL,
    workflow_id uuid NOT NULL,
    action_id text NOT NULL,
    type text NOT NULL,
    message text NOT NULL,
    frame text NOT NULL,
    state smallint NOT NULL,
    count bigint NOT NULL,
    final_count bigint NOT NULL,
    first_seen_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    run_id uuid NOT NULL,
    task_id uuid NOT NULL,
    retry_count integer NOT NULL,
    resolved_at timestamp with time zone,
    reopened_at timestamp with time zone,
    muted_until timestamp with time zone,
    assignee_id uuid
);

CREATE TABLE public.engine_errortally (
    id bigint NOT NULL,
    hour timestamp with time zone NOT NULL,
    version_id uuid NOT NULL,
    worker_id uuid NOT NULL,
    count bigint NOT NULL,
    group_id uuid NOT NULL
);

ALTER TABLE public.engine_errortally ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.engine_errortally_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.engine_event_default (
    id uuid CONSTRAINT engine_event_id_not_null NOT NULL,
    tenant_id uuid CONSTRAINT engine_event_tenant_id_not_null NOT NULL,
    key text CONSTRAINT engine_event_key_not_null NOT NULL,
    scope text,
    additional_metadata jsonb,
    priority smallint,
    seen_at timestamp with time zone CONSTRAINT engine_event_seen_at_not_null NOT NULL
);

CREATE TABLE public.engine_eventtrigger (
    id uuid NOT NULL,
    pattern text NOT NULL,
    like_pattern text,
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL
);

CREATE TABLE public.engine_failedattempt (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    group_id uuid,
    run_id uuid NOT NULL,
    task_id uuid NOT NULL,
    retry_count integer NOT NULL,
    workflow_id uuid NOT NULL,
    version_id uuid NOT NULL,
    action_id text NOT NULL,
    worker_id uuid,
    is_final boolean NOT NULL,
    at timestamp with time zone NOT NULL,
    digest bytea NOT NULL,
    type text NOT NULL,
    message text NOT NULL,
    frame text NOT NULL
);

CREATE TABLE public.engine_figuresposition (
    name text NOT NULL,
    counted_until timestamp with time zone NOT NULL
);

CREATE TABLE public.engine_filter (
    id uuid NOT NULL,
    scope text NOT NULL,
    expression text NOT NULL,
    payload bytea NOT NULL,
    digest bytea NOT NULL,
    is_declared boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL
);

CREATE TABLE public.engine_idempotencykey (
    tenant_id uuid NOT NULL,
    digest bytea NOT NULL,
    run_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ends_with_run boolean NOT NULL
);

CREATE TABLE public.engine_lease (
    tenant_id uuid NOT NULL,
    engine_id uuid,
    epoch bigint NOT NULL,
    expires_at timestamp with time zone
);

CREATE TABLE public.engine_logline (
    id uuid NOT NULL,
    run_id uuid NOT NULL,
    task_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    retry_count integer NOT NULL,
    level smallint NOT NULL,
    message text NOT NULL,
    metadata jsonb,
    created_at timestamp with time zone NOT NULL,
    step_id uuid
)
PARTITION BY RANGE (id);

CREATE TABLE public.engine_logline_default (
    id uuid CONSTRAINT engine_logline_id_not_null NOT NULL,
    run_id uuid CONSTRAINT engine_logline_run_id_not_null NOT NULL,
    task_id uuid CONSTRAINT engine_logline_task_id_not_null NOT NULL,
    tenant_id uuid CONSTRAINT engine_logline_tenant_id_not_null NOT NULL,
    retry_count integer CONSTRAINT engine_logline_retry_count_not_null NOT NULL,
    level smallint CONSTRAINT engine_logline_level_not_null NOT NULL,
    message text CONSTRAINT engine_logline_message_not_null NOT NULL,
    metadata jsonb,
    created_at timestamp with time zone CONSTRAINT engine_logline_created_at_not_null NOT NULL,
    step_id uuid
);

CREATE TABLE public.engine_logtally (
    id bigint NOT NULL,
    tenant_id uuid NOT NULL,
    step_id uuid NOT NULL,
    minute timestamp with time zone NOT NULL,
    level smallint NOT NULL,
    lines integer NOT NULL
);

ALTER TABLE public.engine_logtally ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.engine_logtally_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.engine_outboxkey (
    tenant_id uuid NOT NULL,
    digest bytea NOT NULL,
    owner_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.engine_payload_default (
    owner_id uuid CONSTRAINT engine_payload_owner_id_not_null NOT NULL,
    kind smallint CONSTRAINT engine_payload_kind_not_null NOT NULL,
    attempt integer CONSTRAINT engine_payload_attempt_not_null NOT NULL,
    data bytea CONSTRAINT engine_payload_data_not_null NOT NULL
);

CREATE TABLE public.engine_payloadstore (
    location text NOT NULL,
    used_at timestamp with time zone NOT NULL
);

CREATE TABLE public.engine_ratelimit (
    tenant_id uuid NOT NULL,
    key text NOT NULL,
    limit_value integer NOT NULL,
    "window" smallint NOT NULL,
    value integer NOT NULL,
    refilled_at timestamp with time zone NOT NULL,
    paused_until timestamp with time zone,
    is_dynamic boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.05');

CREATE TABLE public.engine_run_default (
    id uuid CONSTRAINT engine_run_id_not_null NOT NULL,
    tenant_id uuid CONSTRAINT engine_run_tenant_id_not_null NOT NULL,
    workflow_id uuid CONSTRAINT engine_run_workflow_id_not_null NOT NULL,
    version_id uuid CONSTRAINT engine_run_version_id_not_null NOT NULL,
    status smallint CONSTRAINT engine_run_status_not_null NOT NULL,
    is_dag boolean CONSTRAINT engine_run_is_dag_not_null NOT NULL,
    priority smallint CONSTRAINT engine_run_priority_not_null NOT NULL,
    trigger smallint CONSTRAINT engine_run_trigger_not_null NOT NULL,
    additional_metadata jsonb,
    parent_run_id uuid,
    parent_task_id uuid,
    child_index integer,
    child_key text,
    event_id uuid,
    event_key text,
    created_at timestamp with time zone CONSTRAINT engine_run_created_at_not_null NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    desired_labels text,
    filter_id uuid,
    idempotency_key text
);

CREATE TABLE public.engine_runslot (
    run_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    version_id uuid NOT NULL,
    arrival uuid NOT NULL,
    keys text NOT NULL,
    is_holding boolean NOT NULL
);

CREATE TABLE public.engine_runtally (
    id bigint NOT NULL,
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    minute timestamp with time zone NOT NULL,
    status smallint NOT NULL,
    delta integer NOT NULL
);

ALTER TABLE public.engine_runtally ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.engine_runtally_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.engine_sharedstrategy (
    name text NOT NULL,
    strategy smallint NOT NULL,
    max_runs integer NOT NULL,
    is_computed boolean NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.engine_span (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    run_id uuid,
    retry_count integer NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    parent_span_id bigint,
    name text NOT NULL,
    kind smallint NOT NULL,
    status smallint NOT NULL,
    status_message text NOT NULL,
    service_name text NOT NULL,
    scope_name text NOT NULL,
    scope_version text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    duration_ns bigint NOT NULL,
    resource_attributes text NOT NULL,
    attributes text NOT NULL,
    events text NOT NULL
)
PARTITION BY RANGE (id);

CREATE TABLE public.engine_span_default (
    id uuid CONSTRAINT engine_span_id_not_null NOT NULL,
    tenant_id uuid CONSTRAINT engine_span_tenant_id_not_null NOT NULL,
    run_id uuid,
    retry_count integer CONSTRAINT engine_span_retry_count_not_null NOT NULL,
    trace_id uuid CONSTRAINT engine_span_trace_id_not_null NOT NULL,
    span_id bigint CONSTRAINT engine_span_span_id_not_null NOT NULL,
    parent_span_id bigint,
    name text CONSTRAINT engine_span_name_not_null NOT NULL,
    kind smallint CONSTRAINT engine_span_kind_not_null NOT NULL,
    status smallint CONSTRAINT engine_span_status_not_null NOT NULL,
    status_message text CONSTRAINT engine_span_status_message_not_null NOT NULL,
    service_name text CONSTRAINT engine_span_service_name_not_null NOT NULL,
    scope_name text CONSTRAINT engine_span_scope_name_not_null NOT NULL,
    scope_version text CONSTRAINT engine_span_scope_version_not_null NOT NULL,
    started_at timestamp with time zone CONSTRAINT engine_span_started_at_not_null NOT NULL,
    duration_ns bigint CONSTRAINT engine_span_duration_ns_not_null NOT NULL,
    resource_attributes text CONSTRAINT engine_span_resource_attributes_not_null NOT NULL,
    attributes text CONSTRAINT engine_span_attributes_not_null NOT NULL,
    events text CONSTRAINT engine_span_events_not_null NOT NULL
);

CREATE TABLE public.engine_sqlrole (
    id uuid NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.engine_task_default (
    id uuid CONSTRAINT engine_task_id_not_null NOT NULL,
    tenant_id uuid CONSTRAINT engine_task_tenant_id_not_null NOT NULL,
    run_id uuid CONSTRAINT engine_task_run_id_not_null NOT NULL,
    workflow_id uuid CONSTRAINT engine_task_workflow_id_not_null NOT NULL,
    version_id uuid CONSTRAINT engine_task_version_id_not_null NOT NULL,
    step_id uuid CONSTRAINT engine_task_step_id_not_null NOT NULL,
    action_id text CONSTRAINT engine_task_action_id_not_null NOT NULL,
    status smallint CONSTRAINT engine_task_status_not_null NOT NULL,
    queue_priority smallint CONSTRAINT engine_task_queue_priority_not_null NOT NULL,
    retry_count integer CONSTRAINT engine_task_retry_count_not_null NOT NULL,
    app_retry_count integer CONSTRAINT engine_task_app_retry_count_not_null NOT NULL,
    internal_retry_count integer CONSTRAINT engine_task_internal_retry_count_not_null NOT NULL,
    worker_id uuid,
    is_delayed boolean CONSTRAINT engine_task_is_delayed_not_null NOT NULL,
    is_slot_released boolean CONSTRAINT engine_task_is_slot_released_not_null NOT NULL,
    is_skipped boolean CONSTRAINT engine_task_is_skipped_not_null NOT NULL,
    due_at timestamp with time zone,
    created_at timestamp with time zone CONSTRAINT engine_task_created_at_not_null NOT NULL,
    queued_at timestamp with time zone CONSTRAINT engine_task_queued_at_not_null NOT NULL,
    assigned_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    desired_labels text,
    desired_worker_id uuid,
    is_held boolean DEFAULT false CONSTRAINT engine_task_is_held_not_null NOT NULL,
    concurrency_keys text,
    is_evicted boolean DEFAULT false CONSTRAINT engine_task_is_evicted_not_null NOT NULL,
    batch_id uuid
);

CREATE TABLE public.engine_taskevent_default (
    id uuid CONSTRAINT engine_taskevent_id_not_null NOT NULL,
    run_id uuid CONSTRAINT engine_taskevent_run_id_not_null NOT NULL,
    task_id uuid CONSTRAINT engine_taskevent_task_id_not_null NOT NULL,
    retry_count integer CONSTRAINT engine_taskevent_retry_count_not_null NOT NULL,
    kind smallint CONSTRAINT engine_taskevent_kind_not_null NOT NULL,
    at timestamp with time zone CONSTRAINT engine_taskevent_at_not_null NOT NULL,
    worker_id uuid,
    message text CONSTRAINT engine_taskevent_message_not_null NOT NULL
);

CREATE TABLE public.engine_tenantkey (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    wrapped bytea NOT NULL,
    master text NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.engine_tenanttotal (
    tenant_id uuid NOT NULL,
    metric smallint NOT NULL,
    workflow_id uuid NOT NULL,
    status smallint NOT NULL,
    bucket smallint NOT NULL,
    value double precision NOT NULL
);

CREATE TABLE public.engine_workflowtiming (
    tenant_id uuid NOT NULL,
    since timestamp with time zone NOT NULL,
    is_hour boolean NOT NULL,
    version_id uuid NOT NULL,
    timed smallint NOT NULL,
    workflow_id uuid NOT NULL,
    buckets smallint[] NOT NULL,
    counts integer[] NOT NULL,
    total_seconds double precision NOT NULL
);

CREATE TABLE public.engine_workflowversion (
    id uuid NOT NULL,
    "order" integer NOT NULL,
    checksum bytea NOT NULL,
    definition jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    workflow_id uuid NOT NULL
);

CREATE TABLE public.mfa_authenticator (
    id bigint NOT NULL,
    type character varying(20) NOT NULL,
    data jsonb NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone
);

ALTER TABLE public.mfa_authenticator ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.mfa_authenticator_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.socialaccount_socialaccount (
    id integer NOT NULL,
    provider character varying(200) NOT NULL,
    uid character varying(191) NOT NULL,
    last_login timestamp with time zone NOT NULL,
    date_joined timestamp with time zone NOT NULL,
    extra_data jsonb NOT NULL,
    user_id uuid NOT NULL
);

ALTER TABLE public.socialaccount_socialaccount ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.socialaccount_socialaccount_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.socialaccount_socialapp (
    id integer NOT NULL,
    provider character varying(30) NOT NULL,
    name character varying(40) NOT NULL,
    client_id character varying(191) NOT NULL,
    secret character varying(191) NOT NULL,
    key character varying(191) NOT NULL,
    provider_id character varying(200) NOT NULL,
    settings jsonb NOT NULL
);

ALTER TABLE public.socialaccount_socialapp ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.socialaccount_socialapp_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.socialaccount_socialtoken (
    id integer NOT NULL,
    token text NOT NULL,
    token_secret text NOT NULL,
    expires_at timestamp with time zone,
    account_id integer NOT NULL,
    app_id integer
);

ALTER TABLE public.socialaccount_socialtoken ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.socialaccount_socialtoken_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_apitoken (
    id uuid NOT NULL,
    name character varying(200) NOT NULL,
    is_internal boolean NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL,
    scope character varying(20) DEFAULT 'full'::character varying NOT NULL,
    last_used_at timestamp with time zone,
    replaced_by_id uuid
);

CREATE TABLE public.tenants_auditentry (
    id bigint NOT NULL,
    tenant_id uuid,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    actor_kind text NOT NULL,
    actor_id text DEFAULT ''::text NOT NULL,
    actor_name text DEFAULT ''::text NOT NULL,
    action text NOT NULL,
    resource_kind text NOT NULL,
    resource_id text DEFAULT ''::text NOT NULL,
    resource_name text DEFAULT ''::text NOT NULL,
    before jsonb,
    after jsonb,
    address text DEFAULT ''::text NOT NULL,
    user_agent text DEFAULT ''::text NOT NULL
);

ALTER TABLE public.tenants_auditentry ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.tenants_auditentry_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.tenants_browsersession (
    id uuid NOT NULL,
    session_key character varying(40) NOT NULL,
    address inet,
    agent character varying(300) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    user_id uuid NOT NULL
);

CREATE TABLE public.tenants_member (
    id uuid NOT NULL,
    role character varying(10) NOT NULL,
    can_view_payloads boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    user_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    is_by_group boolean DEFAULT false NOT NULL
);

CREATE TABLE public.tenants_resourcelimit (
    resource text NOT NULL,
    limit_value bigint,
    alarm_value bigint,
    value bigint DEFAULT 0 NOT NULL,
    window_began_at timestamp with time zone,
    announced smallint DEFAULT 0 NOT NULL,
    tenant_id uuid NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.tenants_retentionperiod (
    kind text NOT NULL,
    seconds bigint NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.tenants_signintries (
    subject character varying(80) NOT NULL,
    tries integer NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT tenants_signintries_tries_check CHECK ((tries >= 0))
);

CREATE TABLE public.tenants_tenant (
    id uuid NOT NULL,
    name character varying(200) NOT NULL,
    slug character varying(200) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    archived_at timestamp with time zone,
    deleted_at timestamp with time zone,
    environment character varying(20) DEFAULT 'development'::character varying NOT NULL,
    alert_frequency_seconds integer DEFAULT 3600 NOT NULL,
    alerts_members boolean DEFAULT true NOT NULL,
    alerts_of_failures boolean DEFAULT false NOT NULL,
    alerts_of_tokens boolean DEFAULT true NOT NULL,
    alerts_of_limits boolean DEFAULT true NOT NULL,
    last_alerted_at timestamp with time zone
);

CREATE TABLE public.tenants_tenantinvite (
    id uuid NOT NULL,
    email character varying(254) NOT NULL,
    role character varying(10) NOT NULL,
    can_view_payloads boolean NOT NULL,
    status character varying(10) NOT NULL,
    link_digest bytea NOT NULL,
    is_mailed boolean NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    invited_by_id uuid,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.tenants_user (
    password character varying(128) NOT NULL,
    last_login timestamp with time zone,
    id uuid NOT NULL,
    email character varying(254) NOT NULL,
    name character varying(200) NOT NULL,
    is_active boolean NOT NULL,
    is_email_verified boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    is_email_proven boolean DEFAULT true NOT NULL
);

CREATE TABLE public.webhooks_alert (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    rule_id uuid,
    rule_name text NOT NULL,
    kind text NOT NULL,
    dedup_key text NOT NULL,
    title text NOT NULL,
    text text NOT NULL,
    link text NOT NULL,
    runbook text NOT NULL,
    count bigint NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    acknowledged_at timestamp with time zone,
    acknowledged_by text NOT NULL,
    silenced_until timestamp with time zone,
    resolved_at timestamp with time zone,
    notify_at timestamp with time zone,
    last_notified_at timestamp with time zone
);

CREATE TABLE public.webhooks_alertchannel (
    id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    settings jsonb NOT NULL,
    secret bytea NOT NULL,
    is_paused boolean NOT NULL,
    failing_since timestamp with time zone,
    last_error text NOT NULL,
    last_delivered_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.webhooks_alertnotification (
    id bigint NOT NULL,
    tenant_id uuid NOT NULL,
    alert_id uuid,
    channel_id uuid,
    address text NOT NULL,
    event text NOT NULL,
    state text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    claim_id uuid,
    tries smallint NOT NULL,
    status smallint,
    error text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone
);

ALTER TABLE public.webhooks_alertnotification ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.webhooks_alertnotification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhooks_alertrule (
    id uuid NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    settings jsonb NOT NULL,
    runbook text NOT NULL,
    channel_ids uuid[] NOT NULL,
    is_enabled boolean NOT NULL,
    silenced_until timestamp with time zone,
    check_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.webhooks_delivery (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    received_at timestamp with time zone NOT NULL,
    remote_address text NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    body_bytes bigint NOT NULL,
    is_body_whole boolean NOT NULL,
    is_verified boolean NOT NULL,
    verdict text NOT NULL,
    status smallint NOT NULL,
    error text NOT NULL,
    event_key text,
    scope text,
    event_id uuid,
    redelivery_of uuid,
    webhook_id uuid NOT NULL
);

CREATE TABLE public.webhooks_dispatch (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    message_id uuid NOT NULL,
    "position" bigint NOT NULL,
    subject_id uuid,
    state text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    claim_id uuid,
    tries smallint NOT NULL,
    attempts integer NOT NULL,
    status smallint,
    error text NOT NULL,
    log jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone
);

CREATE TABLE public.webhooks_endpoint (
    id uuid NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    kinds text[] NOT NULL,
    workflow_ids uuid[] NOT NULL,
    secret bytea NOT NULL,
    previous_secret bytea,
    previous_expires_at timestamp with time zone,
    pause_reason text NOT NULL,
    paused_at timestamp with time zone,
    failing_since timestamp with time zone,
    not_before timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.webhooks_eventorigin (
    event_id uuid NOT NULL,
    webhook_name text NOT NULL
);

CREATE TABLE public.webhooks_failedruns (
    id bigint NOT NULL,
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    run_id uuid NOT NULL,
    count integer NOT NULL,
    at timestamp with time zone NOT NULL
);

ALTER TABLE public.webhooks_failedruns ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.webhooks_failedruns_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhooks_message (
    "position" bigint NOT NULL,
    message_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    subject_id uuid,
    at timestamp with time zone NOT NULL,
    body bytea NOT NULL
);

ALTER TABLE public.webhooks_message ALTER COLUMN "position" ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.webhooks_message_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhooks_occurrence (
    id bigint NOT NULL,
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    data jsonb
);

ALTER TABLE public.webhooks_occurrence ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.webhooks_occurrence_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhooks_snstopic (
    id uuid NOT NULL,
    topic_arn text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL
);

CREATE TABLE public.webhooks_webhook (
    id uuid NOT NULL,
    name text NOT NULL,
    source_name text NOT NULL,
    event_key_expression text NOT NULL,
    scope_expression text NOT NULL,
    static_payload bytea,
    returns_event boolean NOT NULL,
    auth_type text NOT NULL,
    header_name text NOT NULL,
    algorithm text NOT NULL,
    encoding text NOT NULL,
    secret bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    tenant_id uuid NOT NULL
);

ALTER TABLE ONLY public.engine_durableentry ATTACH PARTITION public.engine_durableentry_default DEFAULT;

ALTER TABLE ONLY public.engine_durabletask ATTACH PARTITION public.engine_durabletask_default DEFAULT;

ALTER TABLE ONLY public.engine_event ATTACH PARTITION public.engine_event_default DEFAULT;

ALTER TABLE ONLY public.engine_logline ATTACH PARTITION public.engine_logline_default DEFAULT;

ALTER TABLE ONLY public.engine_payload ATTACH PARTITION public.engine_payload_default DEFAULT;

ALTER TABLE ONLY public.engine_run ATTACH PARTITION public.engine_run_default DEFAULT;

ALTER TABLE ONLY public.engine_span ATTACH PARTITION public.engine_span_default DEFAULT;

ALTER TABLE ONLY public.engine_task ATTACH PARTITION public.engine_task_default DEFAULT;

ALTER TABLE ONLY public.engine_taskevent ATTACH PARTITION public.engine_taskevent_default DEFAULT;

ALTER TABLE ONLY public.account_emailaddress
    ADD CONSTRAINT account_emailaddress_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.account_emailaddress
    ADD CONSTRAINT account_emailaddress_user_id_email_987c8728_uniq UNIQUE (user_id, email);

ALTER TABLE ONLY public.account_emailconfirmation
    ADD CONSTRAINT account_emailconfirmation_key_key UNIQUE (key);

ALTER TABLE ONLY public.account_emailconfirmation
    ADD CONSTRAINT account_emailconfirmation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_alertrule
    ADD CONSTRAINT alert_rule_once_per_tenant UNIQUE (tenant_id, name);

ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_name_key UNIQUE (name);

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_permission_id_0cd325b0_uniq UNIQUE (group_id, permission_id);

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_codename_01ab375a_uniq UNIQUE (content_type_id, codename);

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_cron
    ADD CONSTRAINT cron_once_per_workflow UNIQUE (workflow_id, name, expression);

ALTER TABLE ONLY public.webhooks_dispatch
    ADD CONSTRAINT dispatch_in_order UNIQUE (endpoint_id, "position");

ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_app_label_model_76bd3d3b_uniq UNIQUE (app_label, model);

ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_migrations
    ADD CONSTRAINT django_migrations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_session
    ADD CONSTRAINT django_session_pkey PRIMARY KEY (session_key);

ALTER TABLE ONLY public.engine_answeredrequest
    ADD CONSTRAINT engine_answeredrequest_pkey PRIMARY KEY (tenant_id, key_digest);

ALTER TABLE ONLY public.engine_bulkaction
    ADD CONSTRAINT engine_bulkaction_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_celfailure
    ADD CONSTRAINT engine_celfailure_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_childlink
    ADD CONSTRAINT engine_childlink_pkey PRIMARY KEY (parent_task_id, key);

ALTER TABLE ONLY public.engine_cron
    ADD CONSTRAINT engine_cron_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_cronmiss
    ADD CONSTRAINT engine_cronmiss_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_durableentry
    ADD CONSTRAINT engine_durableentry_pkey PRIMARY KEY (task_id, branch_id, node_id);

ALTER TABLE ONLY public.engine_durableentry_default
    ADD CONSTRAINT engine_durableentry_default_pkey PRIMARY KEY (task_id, branch_id, node_id);

ALTER TABLE ONLY public.engine_durabletask
    ADD CONSTRAINT engine_durabletask_pkey PRIMARY KEY (task_id);

ALTER TABLE ONLY public.engine_durabletask_default
    ADD CONSTRAINT engine_durabletask_default_pkey PRIMARY KEY (task_id);

ALTER TABLE ONLY public.engine_durablewait
    ADD CONSTRAINT engine_durablewait_pkey PRIMARY KEY (task_id, branch_id, node_id, ordinal);

ALTER TABLE ONLY public.engine_endedchild
    ADD CONSTRAINT engine_endedchild_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY public.engine_endedwait
    ADD CONSTRAINT engine_endedwait_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_engineprocess
    ADD CONSTRAINT engine_engineprocess_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_errorgroup
    ADD CONSTRAINT engine_errorgroup_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_errortally
    ADD CONSTRAINT engine_errortally_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_event
    ADD CONSTRAINT engine_event_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_event_default
    ADD CONSTRAINT engine_event_default_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_eventtrigger
    ADD CONSTRAINT engine_eventtrigger_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_failedattempt
    ADD CONSTRAINT engine_failedattempt_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_figuresposition
    ADD CONSTRAINT engine_figuresposition_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.engine_filter
    ADD CONSTRAINT engine_filter_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_idempotencykey
    ADD CONSTRAINT engine_idempotencykey_pkey PRIMARY KEY (tenant_id, digest);

ALTER TABLE ONLY public.engine_lease
    ADD CONSTRAINT engine_lease_pkey PRIMARY KEY (tenant_id);

ALTER TABLE ONLY public.engine_logline
    ADD CONSTRAINT engine_logline_pkey PRIMARY KEY (run_id, id);

ALTER TABLE ONLY public.engine_logline_default
    ADD CONSTRAINT engine_logline_default_pkey PRIMARY KEY (run_id, id);

ALTER TABLE ONLY public.engine_logtally
    ADD CONSTRAINT engine_logtally_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_outboxkey
    ADD CONSTRAINT engine_outboxkey_pkey PRIMARY KEY (tenant_id, digest);

ALTER TABLE ONLY public.engine_outboxrow
    ADD CONSTRAINT engine_outboxrow_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_payload
    ADD CONSTRAINT engine_payload_pkey PRIMARY KEY (owner_id, kind, attempt);

ALTER TABLE ONLY public.engine_payload_default
    ADD CONSTRAINT engine_payload_default_pkey PRIMARY KEY (owner_id, kind, attempt);

ALTER TABLE ONLY public.engine_payloadstore
    ADD CONSTRAINT engine_payloadstore_pkey PRIMARY KEY (location);

ALTER TABLE ONLY public.engine_ratelimit
    ADD CONSTRAINT engine_ratelimit_pkey PRIMARY KEY (tenant_id, key);

ALTER TABLE ONLY public.engine_run
    ADD CONSTRAINT engine_run_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_run_default
    ADD CONSTRAINT engine_run_default_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_runslot
    ADD CONSTRAINT engine_runslot_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY public.engine_runtally
    ADD CONSTRAINT engine_runtally_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_schedule
    ADD CONSTRAINT engine_schedule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_sharedstrategy
    ADD CONSTRAINT engine_sharedstrategy_pkey PRIMARY KEY (tenant_id, name);

ALTER TABLE ONLY public.engine_span
    ADD CONSTRAINT engine_span_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_span_default
    ADD CONSTRAINT engine_span_default_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_sqlrole
    ADD CONSTRAINT engine_sqlrole_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_step
    ADD CONSTRAINT engine_step_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_stepwait
    ADD CONSTRAINT engine_stepwait_pkey PRIMARY KEY (task_id, ordinal);

ALTER TABLE ONLY public.engine_task
    ADD CONSTRAINT engine_task_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_task_default
    ADD CONSTRAINT engine_task_default_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_taskevent
    ADD CONSTRAINT engine_taskevent_pkey PRIMARY KEY (run_id, id);

ALTER TABLE ONLY public.engine_taskevent_default
    ADD CONSTRAINT engine_taskevent_default_pkey PRIMARY KEY (run_id, id);

ALTER TABLE ONLY public.engine_tenantkey
    ADD CONSTRAINT engine_tenantkey_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_tenanttotal
    ADD CONSTRAINT engine_tenanttotal_pkey PRIMARY KEY (tenant_id, metric, workflow_id, status, bucket);

ALTER TABLE ONLY public.engine_worker
    ADD CONSTRAINT engine_worker_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_workflow
    ADD CONSTRAINT engine_workflow_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_workflowtiming
    ADD CONSTRAINT engine_workflowtiming_pkey PRIMARY KEY (tenant_id, since, is_hour, version_id, timed);

ALTER TABLE ONLY public.engine_workflowversion
    ADD CONSTRAINT engine_workflowversion_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_errorgroup
    ADD CONSTRAINT error_group_once UNIQUE (tenant_id, digest);

ALTER TABLE ONLY public.engine_errortally
    ADD CONSTRAINT error_tally_once UNIQUE (group_id, hour, version_id, worker_id);

ALTER TABLE ONLY public.engine_eventtrigger
    ADD CONSTRAINT event_trigger_once_per_workflow UNIQUE (workflow_id, pattern);

ALTER TABLE ONLY public.engine_filter
    ADD CONSTRAINT filter_once_per_workflow UNIQUE (workflow_id, digest);

ALTER TABLE ONLY public.tenants_member
    ADD CONSTRAINT member_once_per_tenant UNIQUE (tenant_id, user_id);

ALTER TABLE ONLY public.mfa_authenticator
    ADD CONSTRAINT mfa_authenticator_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_snstopic
    ADD CONSTRAINT sns_topic_once_per_tenant UNIQUE (tenant_id, topic_arn);

ALTER TABLE ONLY public.socialaccount_socialaccount
    ADD CONSTRAINT socialaccount_socialaccount_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.socialaccount_socialaccount
    ADD CONSTRAINT socialaccount_socialaccount_provider_uid_fc810c6e_uniq UNIQUE (provider, uid);

ALTER TABLE ONLY public.socialaccount_socialapp
    ADD CONSTRAINT socialaccount_socialapp_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.socialaccount_socialtoken
    ADD CONSTRAINT socialaccount_socialtoken_app_id_account_id_fca4e0ac_uniq UNIQUE (app_id, account_id);

ALTER TABLE ONLY public.socialaccount_socialtoken
    ADD CONSTRAINT socialaccount_socialtoken_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_sqlrole
    ADD CONSTRAINT sql_role_once_per_tenant UNIQUE (role, tenant_id);

ALTER TABLE ONLY public.engine_step
    ADD CONSTRAINT step_ordinal_once_per_version UNIQUE (version_id, ordinal);

ALTER TABLE ONLY public.tenants_apitoken
    ADD CONSTRAINT tenants_apitoken_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_auditentry
    ADD CONSTRAINT tenants_auditentry_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_browsersession
    ADD CONSTRAINT tenants_browsersession_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_browsersession
    ADD CONSTRAINT tenants_browsersession_session_key_key UNIQUE (session_key);

ALTER TABLE ONLY public.tenants_member
    ADD CONSTRAINT tenants_member_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_resourcelimit
    ADD CONSTRAINT tenants_resourcelimit_pkey PRIMARY KEY (tenant_id, resource);

ALTER TABLE ONLY public.tenants_retentionperiod
    ADD CONSTRAINT tenants_retentionperiod_pkey PRIMARY KEY (tenant_id, kind);

ALTER TABLE ONLY public.tenants_signintries
    ADD CONSTRAINT tenants_signintries_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY public.tenants_tenant
    ADD CONSTRAINT tenants_tenant_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_tenant
    ADD CONSTRAINT tenants_tenant_slug_key UNIQUE (slug);

ALTER TABLE ONLY public.tenants_tenantinvite
    ADD CONSTRAINT tenants_tenantinvite_link_digest_key UNIQUE (link_digest);

ALTER TABLE ONLY public.tenants_tenantinvite
    ADD CONSTRAINT tenants_tenantinvite_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants_user
    ADD CONSTRAINT tenants_user_email_key UNIQUE (email);

ALTER TABLE ONLY public.tenants_user
    ADD CONSTRAINT tenants_user_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.engine_workflowversion
    ADD CONSTRAINT version_order_once_per_workflow UNIQUE (workflow_id, "order");

ALTER TABLE ONLY public.webhooks_webhook
    ADD CONSTRAINT webhook_once_per_tenant UNIQUE (tenant_id, name);

ALTER TABLE ONLY public.webhooks_alert
    ADD CONSTRAINT webhooks_alert_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_alertchannel
    ADD CONSTRAINT webhooks_alertchannel_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_alertnotification
    ADD CONSTRAINT webhooks_alertnotification_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_alertrule
    ADD CONSTRAINT webhooks_alertrule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_delivery
    ADD CONSTRAINT webhooks_delivery_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_dispatch
    ADD CONSTRAINT webhooks_dispatch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_endpoint
    ADD CONSTRAINT webhooks_endpoint_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_eventorigin
    ADD CONSTRAINT webhooks_eventorigin_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY public.webhooks_failedruns
    ADD CONSTRAINT webhooks_failedruns_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_message
    ADD CONSTRAINT webhooks_message_message_id_key UNIQUE (message_id);

ALTER TABLE ONLY public.webhooks_message
    ADD CONSTRAINT webhooks_message_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY public.webhooks_occurrence
    ADD CONSTRAINT webhooks_occurrence_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_snstopic
    ADD CONSTRAINT webhooks_snstopic_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhooks_webhook
    ADD CONSTRAINT webhooks_webhook_pkey PRIMARY KEY (id);

CREATE INDEX account_emailaddress_email_03be32b2 ON public.account_emailaddress USING btree (email);

CREATE INDEX account_emailaddress_email_03be32b2_like ON public.account_emailaddress USING btree (email varchar_pattern_ops);

CREATE INDEX account_emailaddress_user_id_2c513194 ON public.account_emailaddress USING btree (user_id);

CREATE INDEX account_emailconfirmation_email_address_id_5b7f8c58 ON public.account_emailconfirmation USING btree (email_address_id);

CREATE INDEX account_emailconfirmation_key_f43612bd_like ON public.account_emailconfirmation USING btree (key varchar_pattern_ops);

CREATE INDEX alert_by_key ON public.webhooks_alert USING btree (tenant_id, dedup_key, id);

CREATE INDEX alert_by_tenant ON public.webhooks_alert USING btree (tenant_id, id);

CREATE INDEX alert_channel_by_tenant ON public.webhooks_alertchannel USING btree (tenant_id, id);

CREATE INDEX alert_notification_by_time ON public.webhooks_alertnotification USING btree (created_at);

CREATE INDEX alert_notification_due ON public.webhooks_alertnotification USING btree (due_at) WHERE (state = 'PENDING'::text);

CREATE INDEX alert_notification_of_alert ON public.webhooks_alertnotification USING btree (alert_id, id);

CREATE INDEX alert_notification_of_channel ON public.webhooks_alertnotification USING btree (channel_id, id);

CREATE UNIQUE INDEX alert_open_once ON public.webhooks_alert USING btree (tenant_id, dedup_key) WHERE (resolved_at IS NULL);

CREATE INDEX alert_rule_to_check ON public.webhooks_alertrule USING btree (check_at) WHERE is_enabled;

CREATE INDEX alert_to_tell ON public.webhooks_alert USING btree (notify_at) WHERE (notify_at IS NOT NULL);

CREATE INDEX answered_request_expiry ON public.engine_answeredrequest USING btree (expires_at);

CREATE INDEX audit_by_action ON public.tenants_auditentry USING btree (tenant_id, action, id);

CREATE INDEX audit_by_actor ON public.tenants_auditentry USING btree (tenant_id, actor_id, id);

CREATE INDEX audit_by_resource ON public.tenants_auditentry USING btree (tenant_id, resource_kind, resource_id, id);

CREATE INDEX audit_by_tenant ON public.tenants_auditentry USING btree (tenant_id, id);

CREATE INDEX audit_by_time ON public.tenants_auditentry USING btree (at);

CREATE INDEX auth_group_name_a6ea08ec_like ON public.auth_group USING btree (name varchar_pattern_ops);

CREATE INDEX auth_group_permissions_group_id_b120cbf9 ON public.auth_group_permissions USING btree (group_id);

CREATE INDEX auth_group_permissions_permission_id_84c5c92e ON public.auth_group_permissions USING btree (permission_id);

CREATE INDEX auth_permission_content_type_id_2f476e4b ON public.auth_permission USING btree (content_type_id);

CREATE INDEX bulk_action_by_tenant ON public.engine_bulkaction USING btree (tenant_id, id);

CREATE INDEX bulk_action_running ON public.engine_bulkaction USING btree (updated_at) WHERE (state = 1);

CREATE INDEX cel_failure_by_tenant ON public.engine_celfailure USING btree (tenant_id, id);

CREATE INDEX cron_by_tenant ON public.engine_cron USING btree (tenant_id, id);

CREATE INDEX cron_due ON public.engine_cron USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX cron_miss_by_cron ON public.engine_cronmiss USING btree (cron_id, id);

CREATE INDEX delivery_by_webhook ON public.webhooks_delivery USING btree (webhook_id, id);

CREATE INDEX dispatch_due ON public.webhooks_dispatch USING btree (endpoint_id, due_at) WHERE (state = 'PENDING'::text);

CREATE INDEX dispatch_of_message ON public.webhooks_dispatch USING btree (message_id);

CREATE INDEX dispatch_of_subject ON public.webhooks_dispatch USING btree (endpoint_id, subject_id, "position") WHERE (state = 'PENDING'::text);

CREATE INDEX django_session_expire_date_a5c62663 ON public.django_session USING btree (expire_date);

CREATE INDEX django_session_session_key_c0390e0f_like ON public.django_session USING btree (session_key varchar_pattern_ops);

CREATE INDEX durable_entry_by_child ON ONLY public.engine_durableentry USING btree (child_run_id) WHERE ((child_run_id IS NOT NULL) AND (satisfied_at IS NULL));

CREATE INDEX durable_entry_by_key ON ONLY public.engine_durableentry USING btree (task_id, dedupe_key) WHERE (dedupe_key IS NOT NULL);

CREATE INDEX durable_wait_by_event ON public.engine_durablewait USING btree (tenant_id, source) WHERE ((NOT is_dropped) AND is_event AND (satisfied_at IS NULL));

CREATE INDEX durable_wait_due ON public.engine_durablewait USING btree (due_at) WHERE ((due_at IS NOT NULL) AND (NOT is_dropped) AND (satisfied_at IS NULL));

CREATE INDEX ended_wait_by_event ON public.engine_endedwait USING btree (tenant_id, event_id);

CREATE INDEX endpoint_by_tenant ON public.webhooks_endpoint USING btree (tenant_id, id);

CREATE INDEX engine_celfailure_tenant_id_1daa882f ON public.engine_celfailure USING btree (tenant_id);

CREATE INDEX engine_cron_tenant_id_2f7807ab ON public.engine_cron USING btree (tenant_id);

CREATE INDEX engine_cron_workflow_id_8e1a9d73 ON public.engine_cron USING btree (workflow_id);

CREATE INDEX engine_cronmiss_cron_id_823aafdd ON public.engine_cronmiss USING btree (cron_id);

CREATE INDEX engine_durableentry_default_child_run_id_idx ON public.engine_durableentry_default USING btree (child_run_id) WHERE ((child_run_id IS NOT NULL) AND (satisfied_at IS NULL));

CREATE INDEX engine_durableentry_default_task_id_dedupe_key_idx ON public.engine_durableentry_default USING btree (task_id, dedupe_key) WHERE (dedupe_key IS NOT NULL);

CREATE INDEX engine_errorgroup_assignee_id_9ed1e68c ON public.engine_errorgroup USING btree (assignee_id);

CREATE INDEX engine_errortally_group_id_d769b505 ON public.engine_errortally USING btree (group_id);

CREATE INDEX event_by_tenant ON ONLY public.engine_event USING btree (tenant_id, id);

CREATE INDEX engine_event_default_tenant_id_id_idx ON public.engine_event_default USING btree (tenant_id, id);

CREATE INDEX event_by_scope ON ONLY public.engine_event USING btree (tenant_id, md5(scope), id) WHERE (scope IS NOT NULL);

CREATE INDEX engine_event_default_tenant_id_md5_id_idx ON public.engine_event_default USING btree (tenant_id, md5(scope), id) WHERE (scope IS NOT NULL);

CREATE INDEX engine_eventtrigger_tenant_id_e01a8e44 ON public.engine_eventtrigger USING btree (tenant_id);

CREATE INDEX engine_eventtrigger_workflow_id_d5feab1f ON public.engine_eventtrigger USING btree (workflow_id);

CREATE INDEX engine_figuresposition_name_7667a172_like ON public.engine_figuresposition USING btree (name text_pattern_ops);

CREATE INDEX engine_filter_tenant_id_a970e8b5 ON public.engine_filter USING btree (tenant_id);

CREATE INDEX engine_filter_workflow_id_18f36183 ON public.engine_filter USING btree (workflow_id);

CREATE INDEX log_line_by_tenant ON ONLY public.engine_logline USING btree (tenant_id, id);

CREATE INDEX engine_logline_default_tenant_id_id_idx ON public.engine_logline_default USING btree (tenant_id, id);

CREATE INDEX log_line_grave ON ONLY public.engine_logline USING btree (tenant_id, id) WHERE (level >= 3);

CREATE INDEX engine_logline_default_tenant_id_id_idx1 ON public.engine_logline_default USING btree (tenant_id, id) WHERE (level >= 3);

CREATE INDEX engine_payloadstore_location_c248f29f_like ON public.engine_payloadstore USING btree (location text_pattern_ops);

CREATE INDEX run_by_event ON ONLY public.engine_run USING btree (event_id, id) WHERE (event_id IS NOT NULL);

CREATE INDEX engine_run_default_event_id_id_idx ON public.engine_run_default USING btree (event_id, id) WHERE (event_id IS NOT NULL);

CREATE INDEX run_by_idempotency_key ON ONLY public.engine_run USING hash (idempotency_key) WHERE (idempotency_key IS NOT NULL);

CREATE INDEX engine_run_default_idempotency_key_idx ON public.engine_run_default USING hash (idempotency_key) WHERE (idempotency_key IS NOT NULL);

CREATE INDEX run_by_parent_task ON ONLY public.engine_run USING btree (parent_task_id, id) WHERE (parent_task_id IS NOT NULL);

CREATE INDEX engine_run_default_parent_task_id_id_idx ON public.engine_run_default USING btree (parent_task_id, id) WHERE (parent_task_id IS NOT NULL);

CREATE INDEX run_by_tenant ON ONLY public.engine_run USING btree (tenant_id, id);

CREATE INDEX engine_run_default_tenant_id_id_idx ON public.engine_run_default USING btree (tenant_id, id);

CREATE INDEX engine_schedule_tenant_id_3819704b ON public.engine_schedule USING btree (tenant_id);

CREATE INDEX engine_schedule_workflow_id_65223e85 ON public.engine_schedule USING btree (workflow_id);

CREATE INDEX engine_sharedstrategy_tenant_id_961d800b ON public.engine_sharedstrategy USING btree (tenant_id);

CREATE INDEX span_by_run ON ONLY public.engine_span USING btree (tenant_id, run_id);

CREATE INDEX engine_span_default_tenant_id_run_id_idx ON public.engine_span_default USING btree (tenant_id, run_id);

CREATE INDEX span_by_trace ON ONLY public.engine_span USING btree (tenant_id, trace_id);

CREATE INDEX engine_span_default_tenant_id_trace_id_idx ON public.engine_span_default USING btree (tenant_id, trace_id);

CREATE INDEX engine_sqlrole_tenant_id_9f19108e ON public.engine_sqlrole USING btree (tenant_id);

CREATE INDEX engine_step_version_id_e656c53a ON public.engine_step USING btree (version_id);

CREATE INDEX task_due ON ONLY public.engine_task USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX engine_task_default_due_at_idx ON public.engine_task_default USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX task_of_dag_run ON ONLY public.engine_task USING btree (run_id) WHERE (NOT (run_id = id));

CREATE INDEX engine_task_default_run_id_idx ON public.engine_task_default USING btree (run_id) WHERE (NOT (run_id = id));

CREATE INDEX task_queue ON ONLY public.engine_task USING btree (tenant_id, action_id, queue_priority DESC, id) WHERE ((NOT is_delayed) AND (status = 0));

CREATE INDEX engine_task_default_tenant_id_action_id_queue_priority_id_idx ON public.engine_task_default USING btree (tenant_id, action_id, queue_priority DESC, id) WHERE ((NOT is_delayed) AND (status = 0));

CREATE INDEX task_evicted ON ONLY public.engine_task USING btree (tenant_id) WHERE (is_evicted AND (status < 2));

CREATE INDEX engine_task_default_tenant_id_idx ON public.engine_task_default USING btree (tenant_id) WHERE (is_evicted AND (status < 2));

CREATE INDEX task_in_groups_or_resting ON ONLY public.engine_task USING btree (tenant_id, queued_at, id) WHERE ((concurrency_keys IS NOT NULL) AND (due_at IS NOT NULL) AND (NOT is_held) AND (status = 0));

CREATE INDEX engine_task_default_tenant_id_queued_at_id_idx ON public.engine_task_default USING btree (tenant_id, queued_at, id) WHERE ((concurrency_keys IS NOT NULL) AND (due_at IS NOT NULL) AND (NOT is_held) AND (status = 0));

CREATE INDEX task_on_worker ON ONLY public.engine_task USING btree (worker_id) WHERE (status = 1);

CREATE INDEX engine_task_default_worker_id_idx ON public.engine_task_default USING btree (worker_id) WHERE (status = 1);

CREATE INDEX task_held ON ONLY public.engine_task USING btree (workflow_id) WHERE is_held;

CREATE INDEX engine_task_default_workflow_id_idx ON public.engine_task_default USING btree (workflow_id) WHERE is_held;

CREATE INDEX task_event_by_time_brin ON ONLY public.engine_taskevent USING brin (id) WITH (autosummarize='on', pages_per_range='32');

CREATE INDEX engine_taskevent_default_id_idx ON public.engine_taskevent_default USING brin (id) WITH (autosummarize='on', pages_per_range='32');

CREATE INDEX engine_worker_tenant_id_e3016c8c ON public.engine_worker USING btree (tenant_id);

CREATE INDEX engine_workflow_tenant_id_7ec89608 ON public.engine_workflow USING btree (tenant_id);

CREATE INDEX engine_workflowversion_workflow_id_6459dda6 ON public.engine_workflowversion USING btree (workflow_id);

CREATE INDEX error_group_by_tenant ON public.engine_errorgroup USING btree (tenant_id, last_seen_at, id);

CREATE INDEX event_trigger_by_pattern ON public.engine_eventtrigger USING btree (tenant_id, pattern);

CREATE INDEX event_trigger_wildcards ON public.engine_eventtrigger USING btree (tenant_id) WHERE (like_pattern IS NOT NULL);

CREATE INDEX failed_attempt_alone ON public.engine_failedattempt USING btree (id) WHERE (group_id IS NULL);

CREATE INDEX failed_attempt_by_group ON public.engine_failedattempt USING btree (group_id, run_id) WHERE (group_id IS NOT NULL);

CREATE INDEX failed_attempt_by_tenant ON public.engine_failedattempt USING btree (tenant_id, id);

CREATE INDEX failed_runs_by_tenant ON public.webhooks_failedruns USING btree (tenant_id, id);

CREATE INDEX filter_by_tenant ON public.engine_filter USING btree (tenant_id, id);

CREATE INDEX idempotency_key_expiry ON public.engine_idempotencykey USING btree (expires_at);

CREATE INDEX invite_by_email ON public.tenants_tenantinvite USING btree (email);

CREATE UNIQUE INDEX invite_once_pending_per_tenant ON public.tenants_tenantinvite USING btree (tenant_id, email) WHERE ((status)::text = 'PENDING'::text);

CREATE INDEX log_tally_by_minute ON public.engine_logtally USING btree (tenant_id, minute);

CREATE INDEX message_of_lost_worker ON public.webhooks_message USING btree (subject_id) WHERE (kind = 'worker.lost'::text);

CREATE INDEX mfa_authenticator_user_id_0c3a50c0 ON public.mfa_authenticator USING btree (user_id);

CREATE INDEX outbox_due ON public.engine_outboxrow USING btree (due_at) WHERE ((due_at IS NOT NULL) AND (failed_at IS NULL));

CREATE INDEX outbox_failed ON public.engine_outboxrow USING btree (tenant_id, id) WHERE (failed_at IS NOT NULL);

CREATE INDEX outbox_key_expiry ON public.engine_outboxkey USING btree (expires_at);

CREATE UNIQUE INDEX outbox_one_completion ON public.engine_outboxrow USING btree (target_id) WHERE (kind = 4);

CREATE INDEX outbox_ready ON public.engine_outboxrow USING btree (tenant_id, id) WHERE ((due_at IS NULL) AND (failed_at IS NULL));

CREATE INDEX rate_limit_settings ON public.engine_ratelimit USING btree (tenant_id) WHERE ((NOT is_dynamic) OR (paused_until IS NOT NULL));

CREATE INDEX run_slot_of_tenant ON public.engine_runslot USING btree (tenant_id) WHERE is_holding;

CREATE INDEX run_tally_by_minute ON public.engine_runtally USING btree (tenant_id, minute);

CREATE INDEX schedule_by_tenant ON public.engine_schedule USING btree (tenant_id, trigger_at);

CREATE INDEX schedule_due ON public.engine_schedule USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX socialaccount_socialaccount_user_id_8146e70c ON public.socialaccount_socialaccount USING btree (user_id);

CREATE INDEX socialaccount_socialtoken_account_id_951f210e ON public.socialaccount_socialtoken USING btree (account_id);

CREATE INDEX socialaccount_socialtoken_app_id_636a42d7 ON public.socialaccount_socialtoken USING btree (app_id);

CREATE INDEX step_wait_by_event ON public.engine_stepwait USING btree (tenant_id, event_key) WHERE ((event_key IS NOT NULL) AND (satisfied_at IS NULL));

CREATE INDEX step_wait_due ON public.engine_stepwait USING btree (due_at) WHERE ((due_at IS NOT NULL) AND (satisfied_at IS NULL));

CREATE INDEX step_wait_of_event ON public.engine_stepwait USING btree (event_id) WHERE (event_id IS NOT NULL);

CREATE INDEX tenant_key_by_tenant ON public.engine_tenantkey USING btree (tenant_id, id);

CREATE INDEX tenant_told_of_failures ON public.tenants_tenant USING btree (id) WHERE alerts_of_failures;

CREATE INDEX tenants_apitoken_replaced_by_id_814685e6 ON public.tenants_apitoken USING btree (replaced_by_id);

CREATE INDEX tenants_apitoken_tenant_id_f7ecd797 ON public.tenants_apitoken USING btree (tenant_id);

CREATE INDEX tenants_browsersession_session_key_a886340e_like ON public.tenants_browsersession USING btree (session_key varchar_pattern_ops);

CREATE INDEX tenants_browsersession_user_id_6e32b65d ON public.tenants_browsersession USING btree (user_id);

CREATE INDEX tenants_member_tenant_id_5705973e ON public.tenants_member USING btree (tenant_id);

CREATE INDEX tenants_member_user_id_bab66e1c ON public.tenants_member USING btree (user_id);

CREATE INDEX tenants_resourcelimit_tenant_id_065d3f1f ON public.tenants_resourcelimit USING btree (tenant_id);

CREATE INDEX tenants_retentionperiod_tenant_id_9792286b ON public.tenants_retentionperiod USING btree (tenant_id);

CREATE INDEX tenants_signintries_expires_at_9fcf19de ON public.tenants_signintries USING btree (expires_at);

CREATE INDEX tenants_signintries_subject_a11d6651_like ON public.tenants_signintries USING btree (subject varchar_pattern_ops);

CREATE INDEX tenants_tenant_slug_0a9b71e6_like ON public.tenants_tenant USING btree (slug varchar_pattern_ops);

CREATE INDEX tenants_tenantinvite_invited_by_id_19785941 ON public.tenants_tenantinvite USING btree (invited_by_id);

CREATE INDEX tenants_tenantinvite_tenant_id_1773f0bd ON public.tenants_tenantinvite USING btree (tenant_id);

CREATE INDEX tenants_user_email_8daee2f7_like ON public.tenants_user USING btree (email varchar_pattern_ops);

CREATE UNIQUE INDEX unique_authenticator_type ON public.mfa_authenticator USING btree (user_id, type) WHERE ((type)::text = ANY ((ARRAY['totp'::character varying, 'recovery_codes'::character varying])::text[]));

CREATE UNIQUE INDEX unique_primary_email ON public.account_emailaddress USING btree (user_id, "primary") WHERE "primary";

CREATE UNIQUE INDEX unique_verified_email ON public.account_emailaddress USING btree (email) WHERE verified;

CREATE INDEX webhook_by_tenant ON public.webhooks_webhook USING btree (tenant_id, id);

CREATE INDEX webhooks_alertchannel_tenant_id_f2a3d7da ON public.webhooks_alertchannel USING btree (tenant_id);

CREATE INDEX webhooks_alertrule_tenant_id_2520a65c ON public.webhooks_alertrule USING btree (tenant_id);

CREATE INDEX webhooks_delivery_webhook_id_27345d75 ON public.webhooks_delivery USING btree (webhook_id);

CREATE INDEX webhooks_endpoint_tenant_id_81717867 ON public.webhooks_endpoint USING btree (tenant_id);

CREATE INDEX webhooks_snstopic_tenant_id_64199031 ON public.webhooks_snstopic USING btree (tenant_id);

CREATE INDEX webhooks_webhook_tenant_id_97465aca ON public.webhooks_webhook USING btree (tenant_id);

CREATE UNIQUE INDEX workflow_name_once_per_tenant ON public.engine_workflow USING btree (tenant_id, name) WHERE (deleted_at IS NULL);

CREATE INDEX workflow_paused_of_tenant ON public.engine_workflow USING btree (tenant_id) WHERE is_paused;

CREATE INDEX workflow_timing_by_age ON public.engine_workflowtiming USING btree (since, is_hour);

ALTER INDEX public.durable_entry_by_child ATTACH PARTITION public.engine_durableentry_default_child_run_id_idx;

ALTER INDEX public.engine_durableentry_pkey ATTACH PARTITION public.engine_durableentry_default_pkey;

ALTER INDEX public.durable_entry_by_key ATTACH PARTITION public.engine_durableentry_default_task_id_dedupe_key_idx;

ALTER INDEX public.engine_durabletask_pkey ATTACH PARTITION public.engine_durabletask_default_pkey;

ALTER INDEX public.engine_event_pkey ATTACH PARTITION public.engine_event_default_pkey;

ALTER INDEX public.event_by_tenant ATTACH PARTITION public.engine_event_default_tenant_id_id_idx;

ALTER INDEX public.event_by_scope ATTACH PARTITION public.engine_event_default_tenant_id_md5_id_idx;

ALTER INDEX public.engine_logline_pkey ATTACH PARTITION public.engine_logline_default_pkey;

ALTER INDEX public.log_line_by_tenant ATTACH PARTITION public.engine_logline_default_tenant_id_id_idx;

ALTER INDEX public.log_line_grave ATTACH PARTITION public.engine_logline_default_tenant_id_id_idx1;

ALTER INDEX public.engine_payload_pkey ATTACH PARTITION public.engine_payload_default_pkey;

ALTER INDEX public.run_by_event ATTACH PARTITION public.engine_run_default_event_id_id_idx;

ALTER INDEX public.run_by_idempotency_key ATTACH PARTITION public.engine_run_default_idempotency_key_idx;

ALTER INDEX public.run_by_parent_task ATTACH PARTITION public.engine_run_default_parent_task_id_id_idx;

ALTER INDEX public.engine_run_pkey ATTACH PARTITION public.engine_run_default_pkey;

ALTER INDEX public.run_by_tenant ATTACH PARTITION public.engine_run_default_tenant_id_id_idx;

ALTER INDEX public.engine_span_pkey ATTACH PARTITION public.engine_span_default_pkey;

ALTER INDEX public.span_by_run ATTACH PARTITION public.engine_span_default_tenant_id_run_id_idx;

ALTER INDEX public.span_by_trace ATTACH PARTITION public.engine_span_default_tenant_id_trace_id_idx;

ALTER INDEX public.task_due ATTACH PARTITION public.engine_task_default_due_at_idx;

ALTER INDEX public.engine_task_pkey ATTACH PARTITION public.engine_task_default_pkey;

ALTER INDEX public.task_of_dag_run ATTACH PARTITION public.engine_task_default_run_id_idx;

ALTER INDEX public.task_queue ATTACH PARTITION public.engine_task_default_tenant_id_action_id_queue_priority_id_idx;

ALTER INDEX public.task_evicted ATTACH PARTITION public.engine_task_default_tenant_id_idx;

ALTER INDEX public.task_in_groups_or_resting ATTACH PARTITION public.engine_task_default_tenant_id_queued_at_id_idx;

ALTER INDEX public.task_on_worker ATTACH PARTITION public.engine_task_default_worker_id_idx;

ALTER INDEX public.task_held ATTACH PARTITION public.engine_task_default_workflow_id_idx;

ALTER INDEX public.task_event_by_time_brin ATTACH PARTITION public.engine_taskevent_default_id_idx;

ALTER INDEX public.engine_taskevent_pkey ATTACH PARTITION public.engine_taskevent_default_pkey;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON public.tenants_auditentry FOR EACH ROW EXECUTE FUNCTION public.audit_refuse_change();

CREATE TRIGGER append_only_as_a_whole BEFORE TRUNCATE ON public.tenants_auditentry FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse_change();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF kind, state, since, until, statuses, workflow_ids, total, error_group_id, metadata_keys, metadata_values ON public.engine_bulkaction FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.engine_bulkaction_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF workflow_id, name, expression, priority, is_enabled, is_declared, missed, input, additional_metadata ON public.engine_cron FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.engine_cron_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF workflow_id, scope, expression, is_declared, payload ON public.engine_filter FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.engine_filter_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF limit_value, "window" ON public.engine_ratelimit FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.engine_ratelimit_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF workflow_id, trigger_at, priority, input, additional_metadata ON public.engine_schedule FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.engine_schedule_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF role ON public.engine_sqlrole FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.engine_sqlrole_audited();

CREATE TRIGGER audited AFTER UPDATE OF is_paused ON public.engine_worker FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.engine_worker_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF name, description, is_paused, paused_cron_behavior, paused_scheduled_behavior, paused_ttl_seconds, deleted_at ON public.engine_workflow FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.engine_workflow_audited();

CREATE TRIGGER audited AFTER INSERT ON public.engine_workflowversion FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.engine_workflowversion_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF name, scope, expires_at, revoked_at, replaced_by_id ON public.tenants_apitoken FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.tenants_apitoken_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF user_id, role, can_view_payloads, is_by_group ON public.tenants_member FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.tenants_member_audited();

CREATE TRIGGER audited AFTER UPDATE OF limit_value, alarm_value ON public.tenants_resourcelimit FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.tenants_resourcelimit_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF kind, seconds ON public.tenants_retentionperiod FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.tenants_retentionperiod_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF name, slug, environment, archived_at, deleted_at, alert_frequency_seconds, alerts_members, alerts_of_failures, alerts_of_tokens, alerts_of_limits ON public.tenants_tenant FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.tenants_tenant_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF email, role, can_view_payloads, status, is_mailed, expires_at, link_digest ON public.tenants_tenantinvite FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.tenants_tenantinvite_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF email, name, is_active, is_email_verified, is_email_proven, password ON public.tenants_user FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.tenants_user_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF kind, name, settings, is_paused, secret ON public.webhooks_alertchannel FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.webhooks_alertchannel_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF name, kind, settings, runbook, channel_ids, is_enabled, silenced_until ON public.webhooks_alertrule FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.webhooks_alertrule_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF url, description, kinds, workflow_ids, pause_reason, paused_at, secret, previous_secret ON public.webhooks_endpoint FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.webhooks_endpoint_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF topic_arn ON public.webhooks_snstopic FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.webhooks_snstopic_audited();

CREATE TRIGGER audited AFTER INSERT OR DELETE OR UPDATE OF name, source_name, event_key_expression, scope_expression, returns_event, auth_type, header_name, algorithm, encoding, secret, static_payload ON public.webhooks_webhook FOR EACH ROW WHEN ((current_setting('hatchet.audit'::text, true) <> ''::text)) EXECUTE FUNCTION public.webhooks_webhook_audited();

CREATE TRIGGER engine_logline_tally AFTER INSERT ON public.engine_logline REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.engine_tally_log_lines();

CREATE TRIGGER note_audit AFTER INSERT ON public.tenants_auditentry FOR EACH ROW WHEN ((new.tenant_id IS NOT NULL)) EXECUTE FUNCTION public.webhooks_note_audit();

CREATE TRIGGER note_changed_runs AFTER UPDATE ON public.engine_run REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.webhooks_note_changed_runs();

CREATE TRIGGER note_child_ended_at_once AFTER INSERT ON public.engine_run FOR EACH ROW WHEN (((new.trigger = 5) AND (new.status >= 2))) EXECUTE FUNCTION public.engine_note_ended_child();

CREATE TRIGGER note_connected_worker AFTER UPDATE ON public.engine_worker FOR EACH ROW WHEN ((new.is_active AND (NOT old.is_active))) EXECUTE FUNCTION public.webhooks_note_worker('worker.connected');

CREATE TRIGGER note_ended_child AFTER UPDATE OF status ON public.engine_run FOR EACH ROW WHEN (((new.trigger = 5) AND (new.status >= 2) AND (old.status < 2))) EXECUTE FUNCTION public.engine_note_ended_child();

CREATE TRIGGER note_failed_runs AFTER UPDATE ON public.engine_run REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.webhooks_note_failed_runs();

CREATE TRIGGER note_lost_worker AFTER UPDATE ON public.engine_worker FOR EACH ROW WHEN ((old.is_active AND (NOT new.is_active) AND (COALESCE(new.last_heartbeat_at, new.created_at) > (new.updated_at - '00:00:25'::interval)))) EXECUTE FUNCTION public.webhooks_note_worker('worker.lost');

CREATE TRIGGER note_new_runs AFTER INSERT ON public.engine_run REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.webhooks_note_new_runs();

CREATE TRIGGER note_new_worker AFTER INSERT ON public.engine_worker FOR EACH ROW EXECUTE FUNCTION public.webhooks_note_worker('worker.registered');

CREATE TRIGGER note_runs_born_failed AFTER INSERT ON public.engine_run REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.webhooks_note_runs_born_failed();

CREATE TRIGGER tally_changed_runs AFTER UPDATE ON public.engine_run REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.engine_tally_changed_runs();

CREATE TRIGGER tally_new_runs AFTER INSERT ON public.engine_run REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.engine_tally_new_runs();

ALTER TABLE ONLY public.account_emailaddress
    ADD CONSTRAINT account_emailaddress_user_id_2c513194_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.account_emailconfirmation
    ADD CONSTRAINT account_emailconfirm_email_address_id_5b7f8c58_fk_account_e FOREIGN KEY (email_address_id) REFERENCES public.account_emailaddress(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissio_permission_id_84c5c92e_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_b120cbf9_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_2f476e4b_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_cronmiss
    ADD CONSTRAINT cron_miss_of_cron FOREIGN KEY (cron_id) REFERENCES public.engine_cron(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.engine_celfailure
    ADD CONSTRAINT engine_celfailure_tenant_id_1daa882f_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_cron
    ADD CONSTRAINT engine_cron_tenant_id_2f7807ab_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_cron
    ADD CONSTRAINT engine_cron_workflow_id_8e1a9d73_fk_engine_workflow_id FOREIGN KEY (workflow_id) REFERENCES public.engine_workflow(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_errorgroup
    ADD CONSTRAINT engine_errorgroup_assignee_id_9ed1e68c_fk_tenants_user_id FOREIGN KEY (assignee_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_eventtrigger
    ADD CONSTRAINT engine_eventtrigger_tenant_id_e01a8e44_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_eventtrigger
    ADD CONSTRAINT engine_eventtrigger_workflow_id_d5feab1f_fk_engine_workflow_id FOREIGN KEY (workflow_id) REFERENCES public.engine_workflow(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_filter
    ADD CONSTRAINT engine_filter_tenant_id_a970e8b5_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_filter
    ADD CONSTRAINT engine_filter_workflow_id_18f36183_fk_engine_workflow_id FOREIGN KEY (workflow_id) REFERENCES public.engine_workflow(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_lease
    ADD CONSTRAINT engine_lease_tenant_id_0f416b7d_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_schedule
    ADD CONSTRAINT engine_schedule_tenant_id_3819704b_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_schedule
    ADD CONSTRAINT engine_schedule_workflow_id_65223e85_fk_engine_workflow_id FOREIGN KEY (workflow_id) REFERENCES public.engine_workflow(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_sharedstrategy
    ADD CONSTRAINT engine_sharedstrategy_tenant_id_961d800b_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_sqlrole
    ADD CONSTRAINT engine_sqlrole_tenant_id_9f19108e_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_step
    ADD CONSTRAINT engine_step_version_id_e656c53a_fk_engine_workflowversion_id FOREIGN KEY (version_id) REFERENCES public.engine_workflowversion(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_worker
    ADD CONSTRAINT engine_worker_tenant_id_e3016c8c_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_workflow
    ADD CONSTRAINT engine_workflow_tenant_id_7ec89608_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.engine_workflowversion
    ADD CONSTRAINT engine_workflowversi_workflow_id_6459dda6_fk_engine_wo FOREIGN KEY (workflow_id) REFERENCES public.engine_workflow(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.mfa_authenticator
    ADD CONSTRAINT mfa_authenticator_user_id_0c3a50c0_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.socialaccount_socialtoken
    ADD CONSTRAINT socialaccount_social_account_id_951f210e_fk_socialacc FOREIGN KEY (account_id) REFERENCES public.socialaccount_socialaccount(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.socialaccount_socialtoken
    ADD CONSTRAINT socialaccount_social_app_id_636a42d7_fk_socialacc FOREIGN KEY (app_id) REFERENCES public.socialaccount_socialapp(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.socialaccount_socialaccount
    ADD CONSTRAINT socialaccount_socialaccount_user_id_8146e70c_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_apitoken
    ADD CONSTRAINT tenants_apitoken_replaced_by_id_814685e6_fk_tenants_apitoken_id FOREIGN KEY (replaced_by_id) REFERENCES public.tenants_apitoken(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_apitoken
    ADD CONSTRAINT tenants_apitoken_tenant_id_f7ecd797_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_browsersession
    ADD CONSTRAINT tenants_browsersession_user_id_6e32b65d_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_member
    ADD CONSTRAINT tenants_member_tenant_id_5705973e_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_member
    ADD CONSTRAINT tenants_member_user_id_bab66e1c_fk_tenants_user_id FOREIGN KEY (user_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_resourcelimit
    ADD CONSTRAINT tenants_resourcelimit_tenant_id_065d3f1f_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_retentionperiod
    ADD CONSTRAINT tenants_retentionperiod_tenant_id_9792286b_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_tenantinvite
    ADD CONSTRAINT tenants_tenantinvite_invited_by_id_19785941_fk_tenants_user_id FOREIGN KEY (invited_by_id) REFERENCES public.tenants_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.tenants_tenantinvite
    ADD CONSTRAINT tenants_tenantinvite_tenant_id_1773f0bd_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.webhooks_alertchannel
    ADD CONSTRAINT webhooks_alertchannel_tenant_id_f2a3d7da_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.webhooks_alertrule
    ADD CONSTRAINT webhooks_alertrule_tenant_id_2520a65c_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.webhooks_delivery
    ADD CONSTRAINT webhooks_delivery_webhook_id_27345d75_fk_webhooks_webhook_id FOREIGN KEY (webhook_id) REFERENCES public.webhooks_webhook(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.webhooks_endpoint
    ADD CONSTRAINT webhooks_endpoint_tenant_id_81717867_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.webhooks_snstopic
    ADD CONSTRAINT webhooks_snstopic_tenant_id_64199031_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.webhooks_webhook
    ADD CONSTRAINT webhooks_webhook_tenant_id_97465aca_fk_tenants_tenant_id FOREIGN KEY (tenant_id) REFERENCES public.tenants_tenant(id) DEFERRABLE INITIALLY DEFERRED;
