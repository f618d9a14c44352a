-- name: token.name
-- What an API token is called.
SELECT name FROM tenants_apitoken WHERE id = %(id)s::uuid;
