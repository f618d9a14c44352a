ALTER TABLE tenants_resourcelimit SET (fillfactor = 50);

-- Refuses what goes beyond a limit; the transaction is undone with it. `room` is what could have been had.
CREATE FUNCTION tenants_refuse_beyond(tenant uuid, kind text, wanted bigint, most bigint, amount bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF wanted > most THEN
        RAISE EXCEPTION USING ERRCODE = 'HT003',
            MESSAGE = format('the tenant has reached its limit of %s (%s)', most, kind),
            DETAIL = jsonb_build_object('tenant_id', tenant, 'room', greatest(most - wanted + amount, 0))::text;
    END IF;
END $$;

-- Takes of what tenants may have within a window, which begins with what is taken first. The rows are locked
-- until the transaction ends: no more is taken than there is, whoever takes at the same time.
CREATE FUNCTION tenants_take(tenants uuid[], amounts bigint[], kind text, most bigint, window_seconds bigint,
                             at timestamptz)
RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    one record;
    taken record;
BEGIN
    FOR one IN SELECT * FROM unnest(tenants, amounts) AS u(tenant_id, amount) ORDER BY 1 LOOP
        INSERT INTO tenants_resourcelimit AS l (tenant_id, resource, value, window_began_at)
        VALUES (one.tenant_id, kind, one.amount, at)
        ON CONFLICT (tenant_id, resource) DO UPDATE SET (value, window_began_at, announced) = (
            SELECT CASE WHEN is_open THEN l.value ELSE 0 END + one.amount,
                   CASE WHEN is_open THEN l.window_began_at ELSE at END,
                   CASE WHEN is_open THEN l.announced ELSE 0 END
              FROM (SELECT coalesce(l.window_began_at + make_interval(secs => window_seconds) > at, false)
                           AS is_open) AS w)
        RETURNING l.value, l.limit_value INTO taken;
        PERFORM tenants_refuse_beyond(one.tenant_id, kind, taken.value,
                                      coalesce(taken.limit_value, most), one.amount);
    END LOOP;
    RETURN 0;
END $$;

-- Notes how much a tenant has of what is not counted by the window, of which `amount` is new. Whoever asks
-- holds `tenants_lock_limit` and has counted since.
CREATE FUNCTION tenants_hold(tenant uuid, kind text, current_value bigint, amount bigint, most bigint)
RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    own bigint;
BEGIN
    INSERT INTO tenants_resourcelimit AS l (tenant_id, resource, value) VALUES (tenant, kind, current_value)
    ON CONFLICT (tenant_id, resource) DO UPDATE SET value = excluded.value
    RETURNING l.limit_value INTO own;
    PERFORM tenants_refuse_beyond(tenant, kind, current_value, coalesce(own, most), amount);
    RETURN 0;
END $$;

-- Whoever adds to something and counts it is alone with it until the transaction ends.
CREATE FUNCTION tenants_lock_limit(tenant uuid, kind text) RETURNS int LANGUAGE sql AS $$
    SELECT 0 FROM pg_advisory_xact_lock(hashtextextended('hatchet.limit.' || kind || '.' || tenant, 0))
$$;
