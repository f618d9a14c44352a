-- name: span.runs
-- Which of these ids are those of runs or tasks of their tenants, and of which runs. The offsets keep the tenant
-- from being looked up instead of the id.
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT tenant_id, id FROM unnest(%(tenant_ids)s::uuid[], %(ids)s::uuid[]) AS u(tenant_id, id)
)
SELECT w.tenant_id, w.id, r.id AS run_id
  FROM wanted w
  JOIN LATERAL (SELECT id, tenant_id FROM engine_run WHERE id = w.id OFFSET 0) r ON r.tenant_id = w.tenant_id
UNION ALL
SELECT w.tenant_id, w.id, t.run_id
  FROM wanted w
  JOIN LATERAL (SELECT id, tenant_id, run_id FROM engine_task WHERE id = w.id OFFSET 0) t
       ON t.tenant_id = w.tenant_id AND NOT (t.run_id = t.id);

-- name: span.insert
-- Spans. Those that are there were sent again by an exporter that got no answer.
INSERT INTO engine_span (id, tenant_id, run_id, retry_count, trace_id, span_id, parent_span_id, name, kind,
                         status, status_message, service_name, scope_name, scope_version, started_at,
                         duration_ns, resource_attributes, attributes, events)
SELECT * FROM unnest(%(ids)s::uuid[], %(tenant_ids)s::uuid[], %(run_ids)s::uuid[],
                     %(retry_counts)s::int[], %(trace_ids)s::uuid[], %(span_ids)s::bigint[],
                     %(parent_span_ids)s::bigint[], %(names)s::text[], %(kinds)s::smallint[],
                     %(statuses)s::smallint[], %(status_messages)s::text[], %(service_names)s::text[],
                     %(scope_names)s::text[], %(scope_versions)s::text[], %(started_ats)s::timestamptz[],
                     %(durations_ns)s::bigint[], %(resource_attributes)s::text[],
                     %(attributes)s::text[], %(events)s::text[])
ON CONFLICT (id) DO NOTHING
RETURNING 1;
