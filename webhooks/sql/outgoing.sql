-- name: outgoing.has_work
-- What was noted for endpoints that are gone is to be forgotten.
SELECT EXISTS (SELECT FROM webhooks_endpoint) OR EXISTS (SELECT FROM webhooks_occurrence);

-- name: outgoing.take_turn
-- Whoever has the turn alone gives messages their positions; it ends with the transaction.
SELECT pg_try_advisory_xact_lock(hashtextextended('hatchet.outgoing', 0));

-- name: outgoing.wait_for_turn
SELECT pg_advisory_xact_lock(hashtextextended('hatchet.outgoing', 0))::text;

-- name: outgoing.note_silent_workers
-- Workers without a heartbeat for so long are lost, if nobody was told so since their last.
INSERT INTO webhooks_occurrence (tenant_id, kind, subject_id, at)
SELECT w.tenant_id, 'worker.lost', w.id, %(now)s::timestamptz
  FROM engine_worker w
 WHERE w.tenant_id IN (SELECT tenant_id FROM webhooks_endpoint WHERE 'worker.lost' = ANY(kinds))
   AND w.last_heartbeat_at BETWEEN %(now)s::timestamptz - interval '1 day' AND %(silent_since)s::timestamptz
   AND EXISTS (SELECT FROM webhooks_endpoint e
                WHERE e.tenant_id = w.tenant_id AND 'worker.lost' = ANY(e.kinds)
                  AND e.created_at < w.last_heartbeat_at + interval '30 seconds')
   AND NOT EXISTS (SELECT FROM webhooks_message m
                    WHERE m.subject_id = w.id AND m.kind = 'worker.lost' AND m.at >= w.last_heartbeat_at)
   AND NOT EXISTS (SELECT FROM webhooks_occurrence o
                    WHERE o.subject_id = w.id AND o.kind = 'worker.lost' AND o.at >= w.last_heartbeat_at)
RETURNING id;

-- name: outgoing.occurrences
-- The next occurrences with what their messages say. Rows are looked up one by one: runs by their partition.
SELECT o.id, o.tenant_id, o.kind, o.subject_id, o.at, o.data::text,
       r.workflow_id, r.workflow_name, r.trigger, r.additional_metadata, r.parent_run_id, r.created_at,
       r.started_at, f.error, w.name AS worker_name, w.actions
  FROM (SELECT * FROM webhooks_occurrence ORDER BY id LIMIT %(limit)s::int) o
  LEFT JOIN LATERAL (
        SELECT r.workflow_id, n.name AS workflow_name, r.trigger, r.additional_metadata::text,
               r.parent_run_id, r.created_at, r.started_at
          FROM engine_run r LEFT JOIN engine_workflow n ON n.id = r.workflow_id
         WHERE r.id = CASE WHEN o.kind LIKE 'run.%%' THEN o.subject_id END
         LIMIT 1) r ON true
  LEFT JOIN LATERAL (
        SELECT substring(p.data FROM 1 FOR 2000) AS error
          FROM (SELECT t.id, t.retry_count, t.status, t.finished_at FROM engine_task t
                 WHERE t.id = CASE WHEN o.kind = 'run.failed' THEN o.subject_id END
                UNION ALL
                SELECT t.id, t.retry_count, t.status, t.finished_at FROM engine_task t
                 WHERE t.run_id = CASE WHEN o.kind = 'run.failed' THEN o.subject_id END
                   AND t.run_id <> t.id) t
          JOIN engine_payload p
            ON p.owner_id = t.id AND p.kind = :PayloadKind.ERROR AND p.attempt = t.retry_count
         WHERE t.status = :Status.FAILED
         ORDER BY t.finished_at, t.id LIMIT 1) f ON true
  LEFT JOIN LATERAL (
        SELECT w.name, w.actions FROM engine_worker w
         WHERE w.id = CASE WHEN o.kind LIKE 'worker.%%' THEN o.subject_id END
         LIMIT 1) w ON true
 ORDER BY o.id;

-- name: outgoing.endpoints_of
SELECT id, tenant_id, kinds, workflow_ids FROM webhooks_endpoint
 WHERE tenant_id = ANY(%(tenant_ids)s::uuid[]);

-- name: outgoing.insert
-- Messages in the order given, each on its way to the endpoints that want it. The turn must be ours.
WITH given AS (
    SELECT * FROM unnest(%(message_ids)s::uuid[], %(tenant_ids)s::uuid[], %(kinds)s::text[],
                         %(subject_ids)s::uuid[], %(ats)s::timestamptz[], %(bodies)s::bytea[])
        WITH ORDINALITY AS u(message_id, tenant_id, kind, subject_id, at, body, number)
), messages AS (
    INSERT INTO webhooks_message (message_id, tenant_id, kind, subject_id, at, body)
    SELECT message_id, tenant_id, kind, subject_id, at, body FROM given ORDER BY number
    RETURNING message_id, position, tenant_id, subject_id
)
INSERT INTO webhooks_dispatch (
    id, tenant_id, endpoint_id, message_id, position, subject_id, state, due_at, tries, attempts, error,
    log, created_at)
SELECT u.id, m.tenant_id, u.endpoint_id, m.message_id, m.position, m.subject_id, 'PENDING',
       %(now)s::timestamptz, 0, 0, '', '[]', %(now)s::timestamptz
  FROM unnest(%(dispatch_ids)s::uuid[], %(endpoint_ids)s::uuid[], %(of_messages)s::uuid[])
       AS u(id, endpoint_id, message_id)
  JOIN messages m ON m.message_id = u.message_id
RETURNING id;

-- name: outgoing.forget
-- Occurrences that have become messages, or that nobody wants any more.
DELETE FROM webhooks_occurrence WHERE id = ANY(%(ids)s::bigint[]) RETURNING id;

-- name: outgoing.claim
-- Takes what is due, for as long as an attempt may last: of one subject nothing before what precedes it, and
-- from an endpoint that fails one at a time.
WITH busy AS (
    SELECT * FROM unnest(%(endpoint_ids)s::uuid[], %(counts)s::int[]) AS u(endpoint_id, count)
), rooms AS (
    SELECT e.id, CASE WHEN e.failing_since IS NULL THEN %(most)s::int ELSE 1 END
                 - coalesce(b.count, 0) AS room
      FROM webhooks_endpoint e LEFT JOIN busy b ON b.endpoint_id = e.id
     WHERE e.pause_reason = '' AND (e.not_before IS NULL OR e.not_before <= %(now)s::timestamptz)
), due AS (
    SELECT d.id FROM rooms r CROSS JOIN LATERAL (
        SELECT d.id FROM webhooks_dispatch d
         WHERE d.endpoint_id = r.id AND d.state = 'PENDING' AND d.due_at <= %(now)s::timestamptz
           AND NOT EXISTS (SELECT FROM webhooks_dispatch f
                            WHERE f.endpoint_id = d.endpoint_id AND f.subject_id = d.subject_id
                              AND f.state = 'PENDING' AND f.position < d.position)
         ORDER BY d.due_at, d.position LIMIT greatest(r.room, 0)
           FOR UPDATE SKIP LOCKED) d
     LIMIT %(limit)s::int
)
UPDATE webhooks_dispatch d
   SET claim_id = %(claim_id)s::uuid, due_at = %(until)s::timestamptz
  FROM due, webhooks_endpoint e, webhooks_message m
 WHERE d.id = due.id AND e.id = d.endpoint_id AND m.message_id = d.message_id
RETURNING d.id, d.tenant_id, d.endpoint_id, d.message_id, d.tries, e.url, e.secret, e.previous_secret,
          e.previous_expires_at, m.body, d.position;

-- name: outgoing.record
-- What became of attempts, unless somebody else has taken over meanwhile.
UPDATE webhooks_dispatch d
   SET state = u.state, due_at = u.due_at, claim_id = NULL, tries = d.tries + 1,
       attempts = d.attempts + 1, status = u.status, error = u.error,
       log = CASE WHEN jsonb_array_length(d.log) < %(kept)s::int THEN d.log ELSE d.log - 0 END
             || jsonb_build_array(u.entry::jsonb),
       finished_at = CASE WHEN u.state <> 'PENDING' THEN %(now)s::timestamptz END
  FROM unnest(%(ids)s::uuid[], %(claim_ids)s::uuid[], %(states)s::text[], %(due_ats)s::timestamptz[],
              %(statuses)s::smallint[], %(errors)s::text[], %(entries)s::text[])
       AS u(id, claim_id, state, due_at, status, error, entry)
 WHERE d.id = u.id AND d.claim_id = u.claim_id
RETURNING d.id;

-- name: outgoing.judge
-- What attempts say about their endpoints: one that has failed for too long, or wants nothing, is paused.
UPDATE webhooks_endpoint e
   SET failing_since = CASE WHEN u.has_worked THEN NULL ELSE coalesce(e.failing_since, %(now)s::timestamptz) END,
       not_before = u.not_before,
       pause_reason = CASE WHEN e.pause_reason <> '' THEN e.pause_reason
                           WHEN u.is_gone THEN 'GONE'
                           WHEN NOT u.has_worked AND e.failing_since < %(dead_since)s::timestamptz
                           THEN 'FAILING' ELSE '' END,
       paused_at = CASE WHEN e.pause_reason <> '' THEN e.paused_at
                        WHEN u.is_gone
                          OR (NOT u.has_worked AND e.failing_since < %(dead_since)s::timestamptz)
                        THEN %(now)s::timestamptz END
  FROM unnest(%(ids)s::uuid[], %(workings)s::boolean[], %(gones)s::boolean[],
              %(not_befores)s::timestamptz[]) AS u(id, has_worked, is_gone, not_before)
 WHERE e.id = u.id
   AND (NOT u.has_worked OR e.failing_since IS NOT NULL OR e.not_before IS NOT NULL)
RETURNING e.id;
