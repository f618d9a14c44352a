-- name: housekeeping.ensure_partitions
-- Makes the partitions of the coming days; returns those it could not make.
SELECT engine_ensure_partitions(3);

-- name: housekeeping.compact_tallies
-- Sums up the count changes of past minutes; one process at a time.
WITH turn AS (
    SELECT pg_try_advisory_xact_lock(hashtextextended('hatchet.compact_tallies', 0)) AS is_ours
), crowded AS (
    SELECT tenant_id, workflow_id, minute, status FROM engine_runtally, turn
     WHERE is_ours AND minute < now() - interval '1 minute'
     GROUP BY 1, 2, 3, 4 HAVING count(*) > 1
), dropped AS (
    DELETE FROM engine_runtally t USING crowded c
     WHERE t.tenant_id = c.tenant_id AND t.workflow_id = c.workflow_id AND t.minute = c.minute
       AND t.status = c.status
    RETURNING t.tenant_id, t.workflow_id, t.minute, t.status, t.delta
)
INSERT INTO engine_runtally (tenant_id, workflow_id, minute, status, delta)
SELECT tenant_id, workflow_id, minute, status, sum(delta) FROM dropped
 GROUP BY 1, 2, 3, 4 HAVING sum(delta) <> 0
RETURNING 1;
