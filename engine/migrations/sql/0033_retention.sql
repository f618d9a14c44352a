-- Drops the partitions of a day (YYYYMMDD) of these tables. False, and nothing is dropped, if a task of the
-- day is at work again by then. It waits for nobody longer than a moment: who comes after it would wait too.
CREATE FUNCTION engine_drop_day(tables text[], day text) RETURNS boolean
LANGUAGE plpgsql AS $$
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
END $$;
