-- name: durable_entry.in_ranges
-- Entries of ranges of nodes, both ends included.
SELECT e.task_id, e.branch_id, e.node_id, e.kind, e.identity, e.description, e.detail, e.label,
       e.dedupe_key, e.child_run_id, e.is_awaited, e.satisfied_at IS NOT NULL AS is_satisfied,
       e.satisfied_order, e.result, e.error
  FROM unnest(%(task_ids)s::uuid[], %(branch_ids)s::bigint[], %(first_nodes)s::bigint[],
              %(last_nodes)s::bigint[]) AS u(task_id, branch_id, first_node, last_node)
  JOIN engine_durableentry e ON e.task_id = u.task_id AND e.branch_id = u.branch_id
       AND e.node_id BETWEEN u.first_node AND u.last_node;

-- name: durable_entry.outlines
-- As in_ranges, without what the entries came to, which may be large.
SELECT e.task_id, e.branch_id, e.node_id, e.kind, e.identity, e.description, e.detail, e.label,
       e.dedupe_key, e.child_run_id, e.is_awaited, e.satisfied_at IS NOT NULL AS is_satisfied,
       e.satisfied_order, NULL::bytea AS result, NULL::text AS error
  FROM unnest(%(task_ids)s::uuid[], %(branch_ids)s::bigint[], %(first_nodes)s::bigint[],
              %(last_nodes)s::bigint[]) AS u(task_id, branch_id, first_node, last_node)
  JOIN engine_durableentry e ON e.task_id = u.task_id AND e.branch_id = u.branch_id
       AND e.node_id BETWEEN u.first_node AND u.last_node;

-- name: durable_entry.with_keys
-- Entries of children by what makes them unique under their parents, on all branches.
SELECT e.task_id, e.branch_id, e.node_id, e.kind, e.identity, e.description, e.detail, e.label,
       e.dedupe_key, e.child_run_id, e.is_awaited, e.satisfied_at IS NOT NULL AS is_satisfied,
       e.satisfied_order, e.result, e.error
  FROM unnest(%(task_ids)s::uuid[], %(keys)s::text[]) AS u(task_id, key)
  JOIN engine_durableentry e ON e.task_id = u.task_id AND e.dedupe_key = u.key;

-- name: durable_entry.of_children
-- Incomplete entries of these children.
SELECT e.task_id, e.branch_id, e.node_id, e.kind, e.identity, e.description, e.detail, e.label,
       e.dedupe_key, e.child_run_id, e.is_awaited, e.satisfied_at IS NOT NULL AS is_satisfied,
       e.satisfied_order, e.result, e.error
  FROM unnest(%(task_ids)s::uuid[], %(run_ids)s::uuid[]) AS u(task_id, run_id)
  JOIN engine_durableentry e ON e.task_id = u.task_id AND e.child_run_id = u.run_id
       AND e.satisfied_at IS NULL;

-- name: durable_entry.satisfied_since
-- Of these tasks, those with an entry that was completed since a moment of their own.
SELECT DISTINCT e.task_id
  FROM unnest(%(task_ids)s::uuid[], %(since)s::timestamptz[]) AS u(task_id, since)
  JOIN engine_durableentry e ON e.task_id = u.task_id AND e.satisfied_at >= u.since
       AND e.kind <> :DurableKind.MEMO AND (e.kind = :DurableKind.WAIT_FOR OR e.is_awaited);

-- name: durable_entry.orders
-- The recorded order of completions, all branches.
SELECT task_id, branch_id, node_id, satisfied_order AS "order" FROM engine_durableentry
 WHERE task_id = ANY(%(task_ids)s::uuid[]) AND satisfied_order IS NOT NULL
 ORDER BY task_id, satisfied_order;

-- name: durable_entry.reaches
-- The first and the last node on each branch that was recorded after the same order.
SELECT task_id, branch_id, recorded_after AS "order", min(node_id) AS first_node, max(node_id) AS last_node
  FROM engine_durableentry
 WHERE task_id = ANY(%(task_ids)s::uuid[]) AND recorded_after IS NOT NULL
 GROUP BY task_id, branch_id, recorded_after ORDER BY task_id, branch_id, recorded_after;

-- name: durable_entry.marks
-- When the calls of a task were recorded and complete, all branches.
SELECT branch_id, node_id, kind, is_awaited, recorded_after, satisfied_order, created_at, satisfied_at
  FROM engine_durableentry WHERE task_id = %(task_id)s::uuid;

-- name: durable_entry.insert
-- New entries of locked logs; some are complete from the start.
INSERT INTO engine_durableentry (
    task_id, branch_id, node_id, kind, identity, description, detail, label, dedupe_key,
    child_run_id, is_awaited, created_at, satisfied_at, satisfied_order, recorded_after, result, error)
SELECT task_id, branch_id, node_id, kind, identity, description, detail, label, dedupe_key,
       child_run_id, is_awaited, %(now)s::timestamptz,
       CASE WHEN is_satisfied THEN %(now)s::timestamptz END, satisfied_order, recorded_after,
       result, error
  FROM unnest(%(task_ids)s::uuid[], %(branch_ids)s::bigint[], %(node_ids)s::bigint[],
              %(kinds)s::smallint[], %(identities)s::bytea[], %(descriptions)s::text[],
              %(details)s::text[], %(labels)s::text[], %(dedupe_keys)s::text[],
              %(child_run_ids)s::uuid[], %(awaited)s::boolean[], %(satisfied)s::boolean[],
              %(satisfied_orders)s::bigint[], %(recorded_after)s::bigint[], %(results)s::bytea[],
              %(errors)s::text[])
       AS u(task_id, branch_id, node_id, kind, identity, description, detail, label, dedupe_key,
            child_run_id, is_awaited, is_satisfied, satisfied_order, recorded_after, result, error)
RETURNING 1;

-- name: durable_entry.update
-- What became of entries of locked logs; an outcome that is there stays.
UPDATE engine_durableentry e
   SET is_awaited = u.is_awaited, satisfied_order = u.satisfied_order,
       satisfied_at = coalesce(e.satisfied_at,
                               CASE WHEN u.has_outcome THEN %(now)s::timestamptz END),
       result = CASE WHEN u.has_outcome THEN u.result ELSE e.result END,
       error = CASE WHEN u.has_outcome THEN u.error ELSE e.error END
  FROM unnest(%(task_ids)s::uuid[], %(branch_ids)s::bigint[], %(node_ids)s::bigint[],
              %(awaited)s::boolean[], %(satisfied_orders)s::bigint[], %(outcomes)s::boolean[],
              %(results)s::bytea[], %(errors)s::text[])
       AS u(task_id, branch_id, node_id, is_awaited, satisfied_order, has_outcome, result, error)
 WHERE e.task_id = u.task_id AND e.branch_id = u.branch_id AND e.node_id = u.node_id
RETURNING 1;
