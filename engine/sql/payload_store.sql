-- name: payload_store.note
-- Objects are put there from now on.
INSERT INTO engine_payloadstore (location, used_at) VALUES (%(location)s::text, %(now)s::timestamptz)
ON CONFLICT (location) DO UPDATE SET used_at = excluded.used_at RETURNING location;

-- name: payload_store.locations
-- Where objects were put, the last place first.
SELECT location FROM engine_payloadstore ORDER BY used_at DESC;
