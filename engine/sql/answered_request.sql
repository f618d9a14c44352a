-- name: answered_request.take_turn
-- Whether this transaction is the only one that works on a key; it is until it ends.
SELECT pg_try_advisory_xact_lock(%(lock)s::bigint);

-- name: answered_request.find
-- The answer that is kept for a key.
SELECT request_digest, status, body FROM engine_answeredrequest
 WHERE tenant_id = %(tenant_id)s::uuid AND key_digest = %(key_digest)s::bytea
   AND expires_at > %(now)s::timestamptz;

-- name: answered_request.keep
-- Keeps an answer; one that is there already has expired, as whoever keeps one has looked for it.
INSERT INTO engine_answeredrequest (tenant_id, key_digest, request_digest, status, body, expires_at)
VALUES (%(tenant_id)s::uuid, %(key_digest)s::bytea, %(request_digest)s::bytea, %(status)s::smallint,
        %(body)s::bytea, %(expires_at)s::timestamptz)
ON CONFLICT (tenant_id, key_digest) DO UPDATE
   SET request_digest = excluded.request_digest, status = excluded.status, body = excluded.body,
       expires_at = excluded.expires_at
RETURNING 1;

-- name: answered_request.delete_expired
-- Forgets answers whose time is over, as many at a time as a transaction may take.
DELETE FROM engine_answeredrequest
 WHERE (tenant_id, key_digest) IN (
       SELECT tenant_id, key_digest FROM engine_answeredrequest
        WHERE expires_at <= %(now)s::timestamptz ORDER BY expires_at LIMIT 10000)
RETURNING 1;
