-- name: bulk_action.stage
-- Writes an action down that waits to be started.
INSERT INTO engine_bulkaction (id, tenant_id, kind, state, since, until, statuses, workflow_ids,
                               metadata_keys, metadata_values, needs_every_pair, error_group_id,
                               total, done, changed,
                               collisions, error, created_at, updated_at)
VALUES (%(id)s::uuid, %(tenant_id)s::uuid, %(kind)s::smallint, :BulkState.STAGED,
        %(since)s::timestamptz, %(until)s::timestamptz, %(statuses)s::smallint[],
        %(workflow_ids)s::uuid[], %(metadata_keys)s::text[], %(metadata_values)s::text[],
        %(needs_every_pair)s::boolean, %(error_group_id)s::uuid, %(total)s::int, 0, 0, 0, '', %(now)s::timestamptz,
        %(now)s::timestamptz)
RETURNING 1;

-- name: bulk_action.open_number
-- How many of a tenant's actions wait or run.
SELECT count(*)::int FROM engine_bulkaction
 WHERE tenant_id = %(tenant_id)s::uuid AND state IN (:BulkState.STAGED, :BulkState.RUNNING);

-- name: bulk_action.start
-- Starts an action, or has one that was stopped go on.
UPDATE engine_bulkaction
   SET state = :BulkState.RUNNING, started_at = coalesce(started_at, %(now)s::timestamptz),
       updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid
   AND state IN (:BulkState.STAGED, :BulkState.STOPPED)
RETURNING id;

-- name: bulk_action.stop
-- Stops an action after the runs that are being worked on.
UPDATE engine_bulkaction
   SET state = :BulkState.STOPPED, updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid
   AND state IN (:BulkState.STAGED, :BulkState.RUNNING)
RETURNING id;

-- name: bulk_action.running
-- Actions there is work for, those first that have waited longest.
SELECT id FROM engine_bulkaction WHERE state = :BulkState.RUNNING ORDER BY updated_at LIMIT %(limit)s::int;

-- name: bulk_action.take
-- An action that runs, locked; nothing if another engine works on it.
SELECT id, tenant_id, kind, since, until, statuses, workflow_ids, metadata_keys, metadata_values,
       needs_every_pair, error_group_id, cursor
  FROM engine_bulkaction WHERE id = %(id)s::uuid AND state = :BulkState.RUNNING
   FOR UPDATE SKIP LOCKED;

-- name: bulk_action.advance
-- Notes what was done with the next runs; the last ones complete the action.
UPDATE engine_bulkaction
   SET cursor = coalesce(%(cursor)s::uuid, cursor), done = done + %(done)s::int,
       changed = changed + %(changed)s::int, collisions = collisions + %(collisions)s::int,
       state = CASE WHEN %(is_last)s::boolean THEN :BulkState.COMPLETED ELSE state END,
       finished_at = CASE WHEN %(is_last)s::boolean THEN %(now)s::timestamptz END,
       updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid
RETURNING id;

-- name: bulk_action.fail
-- Ends an action that cannot go on.
UPDATE engine_bulkaction
   SET state = :BulkState.FAILED, error = %(error)s::text, finished_at = %(now)s::timestamptz,
       updated_at = %(now)s::timestamptz
 WHERE id = %(id)s::uuid AND state = :BulkState.RUNNING
RETURNING id;

-- name: bulk_action.forget
-- Forgets actions of long ago, but none that is still at work.
DELETE FROM engine_bulkaction
 WHERE id < %(before_id)s::uuid AND state <> :BulkState.RUNNING RETURNING id;
