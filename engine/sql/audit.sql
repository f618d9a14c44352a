-- name: audit.begin
-- From here to the end of the transaction, triggers tell of changed rows as the doing of the token's owner.
SELECT set_config('hatchet.audit', (%(context)s::text::jsonb || jsonb_strip_nulls(jsonb_build_object(
           'actor_name', (SELECT name FROM tenants_apitoken WHERE id = %(token_id)s::uuid))))::text, true);

-- name: audit.record
INSERT INTO tenants_auditentry (tenant_id, actor_kind, actor_id, actor_name, action, resource_kind, resource_id,
                                after, user_agent)
VALUES (%(tenant_id)s::uuid, 'token', %(token_id)s::uuid::text,
        coalesce((SELECT name FROM tenants_apitoken WHERE id = %(token_id)s::uuid), ''),
        %(action)s::text, %(kind)s::text, %(resource_id)s::text, %(after)s::text::jsonb, 'gRPC')
RETURNING id;
