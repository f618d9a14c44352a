-- Holds the leases of these tenants under these epochs until the transaction ends, or fails with HT001:
-- another engine has taken one over, and nothing decided under the old epoch may be written.
CREATE FUNCTION engine_hold_leases(tenant_ids uuid[], epochs bigint[]) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM engine_lease l
       JOIN unnest(tenant_ids, epochs) AS u(tenant_id, epoch)
         ON l.tenant_id = u.tenant_id AND l.epoch = u.epoch
      ORDER BY l.tenant_id FOR KEY SHARE OF l;
    IF (SELECT count(*) FROM engine_lease l
          JOIN unnest(tenant_ids, epochs) AS u(tenant_id, epoch)
            ON l.tenant_id = u.tenant_id AND l.epoch = u.epoch) < cardinality(tenant_ids) THEN
        RAISE EXCEPTION 'the lease of a tenant has passed to another engine' USING ERRCODE = 'HT001';
    END IF;
    RETURN true;
END $$;
