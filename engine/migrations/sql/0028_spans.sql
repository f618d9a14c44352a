-- Rebuilds the empty table of spans as partitioned by day, like the other hot tables.
ALTER TABLE engine_span RENAME TO engine_span_plain;
CREATE TABLE engine_span (LIKE engine_span_plain INCLUDING DEFAULTS) PARTITION BY RANGE (id);
DROP TABLE engine_span_plain;
ALTER TABLE engine_span ADD CONSTRAINT engine_span_pkey PRIMARY KEY (id);
CREATE TABLE engine_span_default PARTITION OF engine_span DEFAULT;

-- As before, of every table that is partitioned by UUIDv7 ids, without a list of them.
CREATE OR REPLACE FUNCTION engine_ensure_partitions(days_ahead int) RETURNS SETOF text
LANGUAGE plpgsql AS $$
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

SELECT engine_ensure_partitions(3);
