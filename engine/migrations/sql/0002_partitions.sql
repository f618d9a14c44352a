-- Rebuilds the empty hot tables as partitioned by day. A UUIDv7 range is a time range, so a look-up by
-- id touches one partition and retention drops whole ones.
CREATE FUNCTION engine_partition_by_day(parent text, key_column text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    plain text := parent || '_plain';
    primary_key text;
    definitions text[];
    definition text;
BEGIN
    SELECT format('ALTER TABLE %I ADD CONSTRAINT %I %s', parent, conname, pg_get_constraintdef(oid))
      INTO primary_key FROM pg_constraint WHERE conrelid = parent::regclass AND contype = 'p';
    SELECT array_agg(indexdef) INTO definitions FROM pg_indexes i
     WHERE i.tablename = parent AND NOT EXISTS (
           SELECT FROM pg_constraint c WHERE c.conname = i.indexname AND c.contype = 'p');
    EXECUTE format('ALTER TABLE %I RENAME TO %I', parent, plain);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS) PARTITION BY RANGE (%I)',
                   parent, plain, key_column);
    EXECUTE format('DROP TABLE %I', plain);
    EXECUTE primary_key;
    FOREACH definition IN ARRAY coalesce(definitions, '{}') LOOP
        EXECUTE definition;
    END LOOP;
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_default', parent);
END $$;

SELECT engine_partition_by_day('engine_run', 'id');
SELECT engine_partition_by_day('engine_task', 'id');
SELECT engine_partition_by_day('engine_taskevent', 'id');
SELECT engine_partition_by_day('engine_payload', 'owner_id');
SELECT engine_partition_by_day('engine_logline', 'id');
SELECT engine_partition_by_day('engine_event', 'id');
DROP FUNCTION engine_partition_by_day;

-- The smallest UUIDv7 of a day, which is where its partition starts.
CREATE FUNCTION engine_day_start_id(day date) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM day::timestamp) * 1000)::bigint), 12, '0')
            || '00000000000000000000')::uuid
$$;

-- Makes the partitions from today to `days_ahead` days on. Returns the names it could not make, because
-- rows of that day already lie in the default partition; such rows stay readable and writable there.
CREATE FUNCTION engine_ensure_partitions(days_ahead int) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    day date;
    child text;
    settings text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['engine_run', 'engine_task', 'engine_taskevent', 'engine_payload',
                                  'engine_logline', 'engine_event'] LOOP
        -- Rows that are updated keep room beside them, so that an update stays on its page.
        settings := CASE WHEN parent IN ('engine_run', 'engine_task')
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

SELECT engine_ensure_partitions(3);

-- Payloads are compressed with lz4 where this Postgres was built with it.
DO $$ BEGIN
    ALTER TABLE engine_payload ALTER COLUMN data SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN NULL; END $$;

-- Run counts: every statement that inserts runs or changes their status appends what it changed.
CREATE FUNCTION engine_tally_new_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO engine_runtally (tenant_id, workflow_id, minute, status, delta)
    SELECT tenant_id, workflow_id, date_trunc('minute', created_at), status, count(*)
      FROM new_rows GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;

CREATE FUNCTION engine_tally_changed_runs() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER tally_new_runs AFTER INSERT ON engine_run
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION engine_tally_new_runs();
CREATE TRIGGER tally_changed_runs AFTER UPDATE ON engine_run
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION engine_tally_changed_runs();
