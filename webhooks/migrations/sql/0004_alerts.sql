-- Failed runs are noted for tenants that want to be told of them: a row a workflow and statement. Without any
-- such tenant that costs a look at an empty index for each statement.

CREATE FUNCTION webhooks_note_runs_born_failed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM tenants_tenant WHERE alerts_of_failures)
       OR NOT EXISTS (SELECT FROM new_rows WHERE status = 3) THEN
        RETURN NULL;
    END IF;
    INSERT INTO webhooks_failedruns (tenant_id, workflow_id, run_id, count, at)
    SELECT n.tenant_id, n.workflow_id, (array_agg(n.id ORDER BY n.id))[1], count(*), now()
      FROM new_rows n
     WHERE n.status = 3
       AND EXISTS (SELECT FROM tenants_tenant t WHERE t.id = n.tenant_id AND t.alerts_of_failures)
     GROUP BY n.tenant_id, n.workflow_id;
    RETURN NULL;
END $$;

CREATE FUNCTION webhooks_note_failed_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM tenants_tenant WHERE alerts_of_failures)
       OR NOT EXISTS (SELECT FROM new_rows WHERE status = 3) THEN
        RETURN NULL;
    END IF;
    -- Rows are sorted, and not joined: a plan is kept that was made for the number of rows of its first execution.
    INSERT INTO webhooks_failedruns (tenant_id, workflow_id, run_id, count, at)
    SELECT n.tenant_id, n.workflow_id, (array_agg(n.id ORDER BY n.id))[1], count(*), now()
      FROM (SELECT r.*, lag(status) OVER (ORDER BY id, is_new) AS old_status
              FROM (SELECT id, tenant_id, workflow_id, status, true AS is_new FROM new_rows
                    UNION ALL
                    SELECT id, tenant_id, workflow_id, status, false FROM old_rows) r) n
     WHERE n.is_new AND n.status = 3 AND n.old_status <> 3
       AND EXISTS (SELECT FROM tenants_tenant t WHERE t.id = n.tenant_id AND t.alerts_of_failures)
     GROUP BY n.tenant_id, n.workflow_id;
    RETURN NULL;
END $$;

CREATE TRIGGER note_runs_born_failed AFTER INSERT ON engine_run
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION webhooks_note_runs_born_failed();
CREATE TRIGGER note_failed_runs AFTER UPDATE ON engine_run
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION webhooks_note_failed_runs();

-- What the audit log says is told to endpoints that ask for it, in its order.
CREATE FUNCTION webhooks_note_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhooks_occurrence (tenant_id, kind, subject_id, at, data)
    SELECT NEW.tenant_id, 'audit.recorded', NEW.tenant_id, NEW.at,
           jsonb_strip_nulls(jsonb_build_object(
               'entryId', NEW.id, 'action', NEW.action, 'actorKind', NEW.actor_kind,
               'actorId', NEW.actor_id, 'actorName', NEW.actor_name, 'resourceKind', NEW.resource_kind,
               'resourceId', NEW.resource_id, 'resourceName', NEW.resource_name))
           || CASE WHEN NEW.before IS NULL THEN '{}' ELSE jsonb_build_object('before', NEW.before) END
           || CASE WHEN NEW.after IS NULL THEN '{}' ELSE jsonb_build_object('after', NEW.after) END
     WHERE EXISTS (SELECT FROM webhooks_endpoint e
                    WHERE e.tenant_id = NEW.tenant_id AND 'audit.recorded' = ANY(e.kinds));
    RETURN NULL;
END $$;

CREATE TRIGGER note_audit AFTER INSERT ON tenants_auditentry
    FOR EACH ROW WHEN (NEW.tenant_id IS NOT NULL) EXECUTE FUNCTION webhooks_note_audit();
