-- What an event of this key and scope meets, as text: the latest versions of the workflows it may start, and
-- the filters they have for its scope, each with the transaction that wrote it last.
CREATE FUNCTION engine_event_targets(owner uuid, event_key text, event_scope text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found text;
BEGIN
    SELECT string_agg(concat_ws(' ', t.workflow_id, t.version_id, t.has_filters::int), ',')
      INTO found
      FROM (SELECT w.id AS workflow_id, v.id AS version_id,
                   EXISTS (SELECT FROM engine_filter f WHERE f.workflow_id = w.id) AS has_filters
              FROM engine_eventtrigger e
              JOIN engine_workflow w ON w.id = e.workflow_id AND w.deleted_at IS NULL
              JOIN LATERAL (SELECT id FROM engine_workflowversion
                             WHERE workflow_id = w.id ORDER BY "order" DESC LIMIT 1) v ON true
             WHERE e.tenant_id = owner
               AND (e.pattern = event_key OR (e.like_pattern IS NOT NULL AND event_key LIKE e.like_pattern))
             ORDER BY w.name, e.pattern) t;
    IF event_scope = '' OR found IS NULL THEN
        RETURN coalesce(found, '') || ';';
    END IF;
    RETURN found || ';' || coalesce((
        SELECT string_agg(concat_ws(' ', f.id, f.xmin), ',' ORDER BY f.id)
          FROM engine_filter f
         WHERE f.scope = event_scope
           AND f.workflow_id IN (
               SELECT e.workflow_id FROM engine_eventtrigger e
                WHERE e.tenant_id = owner
                  AND (e.pattern = event_key
                       OR (e.like_pattern IS NOT NULL AND event_key LIKE e.like_pattern)))), '');
END $$;

-- Fails with HT002 unless events of these keys and scopes still meet what they were found to meet, and nothing
-- waits for them.
CREATE FUNCTION engine_hold_event_targets(owner uuid, keys text[], scopes text[], targets text[]) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM engine_stepwait
                WHERE tenant_id = owner AND event_key = ANY(keys) AND satisfied_at IS NULL)
       OR EXISTS (SELECT FROM engine_durablewait
                   WHERE tenant_id = owner AND source = ANY(keys) AND is_event
                     AND satisfied_at IS NULL AND NOT is_dropped)
       OR EXISTS (SELECT FROM unnest(keys, scopes, targets) AS u(key, scope, target)
                   WHERE u.target IS DISTINCT FROM engine_event_targets(owner, u.key, u.scope)) THEN
        RAISE EXCEPTION 'an event has other targets now' USING ERRCODE = 'HT002';
    END IF;
    RETURN true;
END $$;
