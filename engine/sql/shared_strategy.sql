-- name: shared_strategy.put
-- Concurrency strategies of a whole tenant as a definition has them; returns those that are not as before.
INSERT INTO engine_sharedstrategy AS s (tenant_id, name, strategy, max_runs, is_computed, updated_at)
SELECT %(tenant_id)s::uuid, name, strategy, max_runs, is_computed, %(now)s::timestamptz
  FROM unnest(%(names)s::text[], %(strategies)s::smallint[], %(max_runs)s::int[],
              %(computed)s::boolean[]) AS u(name, strategy, max_runs, is_computed)
 ORDER BY name
ON CONFLICT (tenant_id, name) DO UPDATE
   SET strategy = excluded.strategy, max_runs = excluded.max_runs,
       is_computed = excluded.is_computed, updated_at = excluded.updated_at
 WHERE (s.strategy, s.max_runs, s.is_computed)
       <> (excluded.strategy, excluded.max_runs, excluded.is_computed)
RETURNING name;

-- name: shared_strategy.of_tenant
-- Concurrency strategies of a whole tenant as they were registered last.
SELECT name, strategy, max_runs, is_computed FROM engine_sharedstrategy
 WHERE tenant_id = %(tenant_id)s::uuid;
