-- name: run_slot.insert
-- Runs that ask for slots of their workflow's concurrency groups; one that does already stays as it is.
INSERT INTO engine_runslot (run_id, tenant_id, version_id, arrival, keys, is_holding)
SELECT run_id, tenant_id, version_id, arrival, keys, is_holding
  FROM unnest(%(run_ids)s::uuid[], %(tenant_ids)s::uuid[], %(version_ids)s::uuid[],
              %(arrivals)s::uuid[], %(keys)s::text[], %(holdings)s::boolean[])
       AS u(run_id, tenant_id, version_id, arrival, keys, is_holding)
ON CONFLICT (run_id) DO NOTHING
RETURNING 1;

-- name: run_slot.hold
-- Runs one of whose tasks is handed to a worker now hold their slots, whoever schedules them next.
UPDATE engine_runslot SET is_holding = true
 WHERE run_id = ANY(%(run_ids)s::uuid[]) AND NOT is_holding
RETURNING run_id;

-- name: run_slot.delete
-- Runs that ended.
DELETE FROM engine_runslot WHERE run_id = ANY(%(run_ids)s::uuid[])
RETURNING tenant_id, run_id, arrival;

-- name: run_slot.held
-- Runs of a tenant that hold slots, for an owner rebuilding its memory.
SELECT run_id, version_id, keys FROM engine_runslot
 WHERE tenant_id = %(tenant_id)s::uuid AND is_holding
 ORDER BY run_id;

-- name: run_slot.arrivals
-- Of these runs, those which hold slots or ask for them, and since when.
SELECT run_id, arrival FROM engine_runslot WHERE run_id = ANY(%(run_ids)s::uuid[]);
