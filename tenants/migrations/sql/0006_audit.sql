-- Entries are added and, when they are old enough, removed by audit_remove_before(); nothing else happens to them.
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF current_setting('hatchet.audit_retention', true) = 'on' AND OLD.at < now() - interval '1 day' THEN
            RETURN OLD;
        END IF;
    ELSIF TG_OP = 'TRUNCATE' AND current_setting('hatchet.audit_flush', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON tenants_auditentry FOR EACH ROW
    EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER append_only_as_a_whole BEFORE TRUNCATE ON tenants_auditentry FOR EACH STATEMENT
    EXECUTE FUNCTION audit_refuse_change();

-- Runs with the rights of its owner: a role that may only add and read entries can let the old ones go by it.
CREATE FUNCTION audit_remove_before(cutoff timestamptz, at_most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    removed integer;
BEGIN
    IF cutoff > now() - interval '1 day' THEN
        RAISE EXCEPTION 'the audit log keeps every entry for a day at least' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('hatchet.audit_retention', 'on', true);
    WITH old AS (
        SELECT id FROM tenants_auditentry WHERE at < cutoff ORDER BY at LIMIT at_most FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM tenants_auditentry e USING old WHERE e.id = old.id RETURNING e.id
    )
    SELECT count(*) INTO removed FROM gone;
    PERFORM set_config('hatchet.audit_retention', '', true);
    IF removed > 0 THEN
        INSERT INTO tenants_auditentry (actor_kind, actor_name, action, resource_kind, after)
        VALUES ('system', 'retention', 'audit.expire', 'audit',
                jsonb_build_object('removed', removed, 'before', cutoff));
    END IF;
    RETURN removed;
END
$$;

-- The object with its long texts cut off.
CREATE FUNCTION audit_shortened(given jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg(key, CASE
        WHEN length(value #>> '{}') > 1000 THEN to_jsonb(left(value #>> '{}', 1000) || '…')
        ELSE value
    END) FROM jsonb_each(given)
$$;

-- Called by the triggers of audited tables. `hatchet.audit` says who is at work, and at what.
CREATE FUNCTION audit_change(kind text, operation text, tenant uuid, identity text, name text, before jsonb, after jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    context jsonb := current_setting('hatchet.audit')::jsonb;
    verb text := CASE operation WHEN 'INSERT' THEN 'create' ELSE lower(operation) END;
BEGIN
    IF context ->> 'action' = 'tenant.delete' AND kind <> 'tenant' THEN
        RETURN;  -- everything of the tenant goes with it
    END IF;
    IF operation = 'UPDATE' THEN
        SELECT jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, n.value) INTO before, after
          FROM jsonb_each(before) o JOIN jsonb_each(after) n USING (key) WHERE o.value IS DISTINCT FROM n.value;
        IF before IS NULL THEN
            RETURN;
        END IF;
    END IF;
    INSERT INTO tenants_auditentry (tenant_id, actor_kind, actor_id, actor_name, action, resource_kind, resource_id,
                                    resource_name, before, after, address, user_agent)
    VALUES (coalesce(tenant, (context ->> 'tenant_id')::uuid), context ->> 'actor_kind', context ->> 'actor_id',
            context ->> 'actor_name',
            -- What is changed right after it was made has been changed, not made twice.
            CASE WHEN context ->> 'kind' = kind AND NOT (operation = 'UPDATE' AND context ->> 'action' = kind || '.create')
                 THEN context ->> 'action' ELSE kind || '.' || verb END,
            kind, identity, left(coalesce(name, ''), 500), audit_shortened(before), audit_shortened(after),
            context ->> 'address', context ->> 'user_agent');
END
$$;
