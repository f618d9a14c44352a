-- name: payload.insert
-- Payloads beside those other statements write: errors, outputs of skipped tasks, event payloads.
INSERT INTO engine_payload (owner_id, kind, attempt, data)
SELECT owner_id, kind, attempt, data
  FROM unnest(%(owner_ids)s::uuid[], %(kinds)s::smallint[], %(attempts)s::int[], %(data)s::bytea[])
       AS u(owner_id, kind, attempt, data)
ON CONFLICT (owner_id, kind, attempt) DO UPDATE SET data = excluded.data
RETURNING 1;

-- name: payload.delete_outputs
-- Outputs of tasks that are replayed: the old result is gone at once.
DELETE FROM engine_payload
 WHERE owner_id = ANY(%(owner_ids)s::uuid[]) AND kind = :PayloadKind.OUTPUT RETURNING 1;

-- name: payload.stored
-- What is stored of these payloads where it is no longer than a reference to an object may be.
SELECT owner_id, kind, data AS stored FROM engine_payload
 WHERE owner_id = ANY(%(owner_ids)s::uuid[]) AND octet_length(data) <= %(most)s::int;

-- name: payload.read
-- Payloads of these owners. The smallest come with their data until the next would make them more than the
-- room there is, inputs and outputs of the first owners before all others.
SELECT owner_id, kind, attempt, length,
       CASE WHEN running <= %(room)s::bigint THEN data END AS data
  FROM (SELECT owner_id, kind, attempt, length, data,
               sum(length) OVER (
                   ORDER BY owner_id = ANY(%(first_owner_ids)s::uuid[])
                            AND kind <= :PayloadKind.OUTPUT DESC,
                            length, owner_id DESC, kind DESC, attempt DESC) AS running
          FROM (SELECT *, engine_payload_length(data) AS length FROM engine_payload) measured
         WHERE owner_id = ANY(%(owner_ids)s::uuid[]) AND kind = ANY(%(kinds)s::smallint[])) p;
