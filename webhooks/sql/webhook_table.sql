-- name: webhook_table.remove_origins_of
-- By which webhooks these events came in.
DELETE FROM webhooks_eventorigin WHERE event_id = ANY(%(event_ids)s::uuid[]) RETURNING event_id;

-- name: webhook_table.count
SELECT count(*) FROM webhooks_webhook WHERE tenant_id = %(tenant_id)s::uuid;

-- name: webhook_table.remove_of_tenants
-- What was to be told to endpoints of these tenants, which are gone, and alerts.
WITH occurrences AS (
    DELETE FROM webhooks_occurrence WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), dispatches AS (
    DELETE FROM webhooks_dispatch WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), failed_runs AS (
    DELETE FROM webhooks_failedruns WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), notifications AS (
    DELETE FROM webhooks_alertnotification WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
), alerts AS (
    DELETE FROM webhooks_alert WHERE tenant_id = ANY(%(tenant_ids)s::uuid[])
)
DELETE FROM webhooks_message WHERE tenant_id = ANY(%(tenant_ids)s::uuid[]) RETURNING message_id;

-- name: webhook_table.remove_deliveries
-- The next deliveries that are old enough.
DELETE FROM webhooks_delivery WHERE id IN (
    SELECT d.id FROM unnest(%(tenant_ids)s::uuid[], %(befores)s::uuid[]) AS t(id, before)
      JOIN webhooks_delivery d ON d.tenant_id = t.id AND d.id < t.before
     WHERE d.id >= %(after)s::uuid AND d.id < %(latest)s::uuid
     ORDER BY d.id LIMIT %(limit)s::int FOR UPDATE OF d SKIP LOCKED)
RETURNING id;

-- name: webhook_table.remove_dispatches
-- The next ways of messages to endpoints that are old enough, whether they arrived or not.
DELETE FROM webhooks_dispatch WHERE id IN (
    SELECT d.id FROM unnest(%(tenant_ids)s::uuid[], %(befores)s::uuid[]) AS t(id, before)
      JOIN webhooks_dispatch d ON d.tenant_id = t.id AND d.id < t.before
     WHERE d.id >= %(after)s::uuid AND d.id < %(latest)s::uuid
     ORDER BY d.id LIMIT %(limit)s::int FOR UPDATE OF d SKIP LOCKED)
RETURNING id;

-- name: webhook_table.remove_messages
-- The next messages that are old enough.
DELETE FROM webhooks_message WHERE message_id IN (
    SELECT m.message_id FROM unnest(%(tenant_ids)s::uuid[], %(befores)s::uuid[]) AS t(id, before)
      JOIN webhooks_message m ON m.tenant_id = t.id AND m.message_id < t.before
     WHERE m.message_id >= %(after)s::uuid AND m.message_id < %(latest)s::uuid
     ORDER BY m.message_id LIMIT %(limit)s::int FOR UPDATE OF m SKIP LOCKED)
RETURNING message_id;

-- name: webhook_table.remove_origins
-- Origins of events that went with their day.
DELETE FROM webhooks_eventorigin WHERE event_id IN (
    SELECT o.event_id FROM webhooks_eventorigin o
     WHERE o.event_id >= %(after)s::uuid AND o.event_id < %(latest)s::uuid
       AND NOT EXISTS (SELECT FROM engine_event e WHERE e.id = o.event_id)
     ORDER BY o.event_id LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED)
RETURNING event_id;
