-- name: hint.notify
-- Hints to other processes; inside a transaction they leave when it commits.
SELECT pg_notify(channel, payload)::text
  FROM unnest(%(channels)s::text[], %(payloads)s::text[]) AS u(channel, payload);
