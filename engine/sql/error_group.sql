-- name: error_group.note
-- Attempts that failed, each with its fingerprint.
INSERT INTO engine_failedattempt (id, tenant_id, run_id, task_id, retry_count, workflow_id, version_id,
                                  action_id, worker_id, is_final, at, digest, type, message, frame)
SELECT id, tenant_id, run_id, task_id, retry_count, workflow_id, version_id, action_id, worker_id,
       is_final, %(now)s::timestamptz, digest, type, message, frame
  FROM unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(run_ids)s::uuid[], %(task_ids)s::uuid[],
              %(retry_counts)s::int[], %(workflow_ids)s::uuid[], %(version_ids)s::uuid[],
              %(action_ids)s::text[], %(worker_ids)s::uuid[], %(finals)s::boolean[],
              %(digests)s::bytea[], %(types)s::text[], %(messages)s::text[], %(frames)s::text[])
       AS u(id, tenant_id, run_id, task_id, retry_count, workflow_id, version_id, action_id, worker_id,
            is_final, digest, type, message, frame)
RETURNING 1;

-- name: error_group.take
-- Failures that belong to no group yet, the oldest first, locked; another engine passes over them.
SELECT id, tenant_id, run_id, task_id, retry_count, workflow_id, version_id, action_id, worker_id,
       is_final, at, digest, type, message, frame
  FROM engine_failedattempt WHERE group_id IS NULL
 ORDER BY id LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED;

-- name: error_group.add
-- Counts failures into their groups, which are made where there are none. One that was resolved before the
-- failure is open again. Rows come in the order in which they are locked.
INSERT INTO engine_errorgroup AS g (
    id, tenant_id, digest, workflow_id, action_id, type, message, frame, state, count, final_count,
    first_seen_at, last_seen_at, run_id, task_id, retry_count)
SELECT id, tenant_id, digest, workflow_id, action_id, type, message, frame, :ErrorState.OPEN, count,
       final_count, first_at, last_at, run_id, task_id, retry_count
  FROM unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(digests)s::bytea[], %(workflow_ids)s::uuid[],
              %(action_ids)s::text[], %(types)s::text[], %(messages)s::text[], %(frames)s::text[],
              %(counts)s::bigint[], %(final_counts)s::bigint[], %(firsts)s::timestamptz[],
              %(lasts)s::timestamptz[], %(run_ids)s::uuid[], %(task_ids)s::uuid[],
              %(retry_counts)s::int[])
       AS u(id, tenant_id, digest, workflow_id, action_id, type, message, frame, count, final_count,
            first_at, last_at, run_id, task_id, retry_count)
ON CONFLICT (tenant_id, digest) DO UPDATE
   SET count = g.count + excluded.count, final_count = g.final_count + excluded.final_count,
       first_seen_at = least(g.first_seen_at, excluded.first_seen_at),
       last_seen_at = greatest(g.last_seen_at, excluded.last_seen_at),
       run_id = excluded.run_id, task_id = excluded.task_id, retry_count = excluded.retry_count,
       reopened_at = CASE WHEN g.state = :ErrorState.RESOLVED AND excluded.last_seen_at > g.resolved_at
                          THEN %(now)s::timestamptz ELSE g.reopened_at END,
       state = CASE WHEN g.state = :ErrorState.RESOLVED AND excluded.last_seen_at > g.resolved_at
                    THEN :ErrorState.OPEN ELSE g.state END
RETURNING id, tenant_id, digest, id = ANY(%(ids)s::uuid[]) AS is_new,
          reopened_at IS NOT DISTINCT FROM %(now)s::timestamptz AS is_reopened;

-- name: error_group.settle
-- Failures that were counted: their groups hold the texts.
UPDATE engine_failedattempt f SET group_id = u.group_id, type = '', message = '', frame = ''
  FROM unnest(%(ids)s::uuid[], %(group_ids)s::uuid[]) AS u(id, group_id)
 WHERE f.id = u.id
RETURNING 1;

-- name: error_group.tally
-- Counts failures by hour, version and worker.
INSERT INTO engine_errortally AS t (group_id, hour, version_id, worker_id, count)
SELECT group_id, hour, version_id, worker_id, count
  FROM unnest(%(group_ids)s::uuid[], %(hours)s::timestamptz[], %(version_ids)s::uuid[],
              %(worker_ids)s::uuid[], %(counts)s::bigint[])
       AS u(group_id, hour, version_id, worker_id, count)
ON CONFLICT (group_id, hour, version_id, worker_id) DO UPDATE SET count = t.count + excluded.count
RETURNING 1;

-- name: error_group.set_state
-- Whether people want to hear of a group. Failures up to now are those a resolution is about.
UPDATE engine_errorgroup
   SET state = %(state)s::smallint,
       resolved_at = CASE WHEN %(state)s::smallint = :ErrorState.RESOLVED
                          THEN %(now)s::timestamptz ELSE resolved_at END,
       muted_until = CASE WHEN %(state)s::smallint = :ErrorState.MUTED
                          THEN %(muted_until)s::timestamptz END
 WHERE id = %(id)s::uuid AND tenant_id = %(tenant_id)s::uuid
RETURNING id;

-- name: error_group.assign
-- Gives a group to a member of its tenant, or to nobody.
UPDATE engine_errorgroup g SET assignee_id = %(user_id)s::uuid
 WHERE g.id = %(id)s::uuid AND g.tenant_id = %(tenant_id)s::uuid
   AND (%(user_id)s::uuid IS NULL OR EXISTS (
        SELECT FROM tenants_member m WHERE m.tenant_id = g.tenant_id AND m.user_id = %(user_id)s::uuid))
RETURNING g.id;

-- name: error_group.forget_attempts
-- Failures older than the day of this id; some at a time. Those of no group are still to be counted.
DELETE FROM engine_failedattempt WHERE id IN (
    SELECT id FROM engine_failedattempt WHERE id < %(before)s::uuid AND group_id IS NOT NULL
     ORDER BY id LIMIT 10000)
RETURNING id;

-- name: error_group.forget_tallies
-- Counts of hours before this one; some at a time.
DELETE FROM engine_errortally WHERE id IN (
    SELECT id FROM engine_errortally WHERE hour < %(before)s::timestamptz ORDER BY id LIMIT 10000)
RETURNING id;

-- name: error_group.forget
-- Groups that have not failed since.
DELETE FROM engine_errorgroup WHERE last_seen_at < %(before)s::timestamptz RETURNING id;
