-- Lines that are there get their step, and the tally what it would have counted.
UPDATE engine_logline l SET step_id = t.step_id FROM engine_task t WHERE t.id = l.task_id;

INSERT INTO engine_logtally (tenant_id, step_id, minute, level, lines)
SELECT tenant_id, step_id, date_trunc('minute', created_at), level, count(*)
  FROM engine_logline WHERE step_id IS NOT NULL GROUP BY 1, 2, 3, 4;

-- Counts of log lines: every statement that inserts some appends how many.
CREATE FUNCTION engine_tally_log_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO engine_logtally (tenant_id, step_id, minute, level, lines)
    SELECT tenant_id, step_id, date_trunc('minute', created_at), level, count(*)
      FROM new_rows WHERE step_id IS NOT NULL GROUP BY 1, 2, 3, 4;
    RETURN NULL;
END $$;

CREATE TRIGGER engine_logline_tally AFTER INSERT ON engine_logline
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION engine_tally_log_lines();
