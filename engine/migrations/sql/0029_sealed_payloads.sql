-- How long a payload is. One that is not stored as it came begins with a NUL, the number of its form, and its
-- length (engine/vault/envelope.py), and cannot be compressed. What is, is not fetched to look at its beginning.
CREATE FUNCTION engine_payload_length(data bytea) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN pg_column_compression(data) IS NULL AND octet_length(data) >= 10
                     AND substring(data FROM 1 FOR 1) = '\x00'::bytea
        THEN ('x' || encode(substring(data FROM 3 FOR 8), 'hex'))::bit(64)::bigint
        ELSE octet_length(data) END
$$;
