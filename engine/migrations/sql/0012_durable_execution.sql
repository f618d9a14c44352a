-- Rebuilds the empty tables of the durable log as partitioned by day of their tasks.
CREATE FUNCTION engine_partition_by_task(parent text) RETURNS void LANGUAGE plpgsql AS $$
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
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS) PARTITION BY RANGE (task_id)',
                   parent, plain);
    EXECUTE format('DROP TABLE %I', plain);
    EXECUTE primary_key;
    FOREACH definition IN ARRAY coalesce(definitions, '{}') LOOP
        EXECUTE definition;
    END LOOP;
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_default', parent);
END $$;

SELECT engine_partition_by_task('engine_durabletask');
SELECT engine_partition_by_task('engine_durableentry');
DROP FUNCTION engine_partition_by_task;

-- As before, for two tables more.
CREATE OR REPLACE FUNCTION engine_ensure_partitions(days_ahead int) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    day date;
    child text;
    settings text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['engine_run', 'engine_task', 'engine_taskevent', 'engine_payload',
                                  'engine_logline', 'engine_event', 'engine_durabletask',
                                  'engine_durableentry'] LOOP
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

DO $$ BEGIN
    ALTER TABLE engine_durableentry ALTER COLUMN result SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN NULL; END $$;

-- Children of durable tasks (trigger 5) that end are noted down, so that their parents' entries complete.
-- The condition is judged before the function is called: other runs do not pay for it.
CREATE FUNCTION engine_note_ended_child() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO engine_endedchild (run_id, tenant_id, task_id)
    VALUES (NEW.id, NEW.tenant_id, NEW.parent_task_id) ON CONFLICT (run_id) DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER note_ended_child AFTER UPDATE OF status ON engine_run
    FOR EACH ROW WHEN (NEW.trigger = 5 AND NEW.status >= 2 AND OLD.status < 2)
    EXECUTE FUNCTION engine_note_ended_child();
CREATE TRIGGER note_child_ended_at_once AFTER INSERT ON engine_run
    FOR EACH ROW WHEN (NEW.trigger = 5 AND NEW.status >= 2)
    EXECUTE FUNCTION engine_note_ended_child();
