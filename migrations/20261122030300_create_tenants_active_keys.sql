-- Every key that may be used, tenants' and the operator's, as the gateway holds it in memory.

SET ROLE flowpilot_owner;

CREATE VIEW tenants.active_keys WITH (security_invoker = true) AS
SELECT k.id
     , k.organization_id
     , k.created_by AS user_id
     , m.department_id
     , k.key_hash
     , k.scopes
     , k.expires_at
     , k.last_used_at
     , k.created_at
     , false AS is_operator
FROM public.api_keys AS k
JOIN public.organizations AS o ON o.id = k.organization_id
LEFT JOIN public.organization_members AS m
       ON m.organization_id = k.organization_id
      AND m.user_id = k.created_by
      AND m.is_active
WHERE k.is_active
  AND k.revoked_at IS NULL
  AND o.is_active
UNION ALL
SELECT k.id
     , k.organization_id
     , k.user_id
     , NULL::uuid
     , k.key_hash
     , '{}'::text[]
     , NULL::timestamptz
     , k.last_used_at
     , k.created_at
     , true
FROM tenants.operator_keys AS k
WHERE k.revoked_at IS NULL;
COMMENT ON VIEW tenants.active_keys IS 'Keys that may be used; an expired one is still here, so that it can be refused as expired';
COMMENT ON COLUMN tenants.active_keys.department_id IS 'The department of the key''s maker';
COMMENT ON COLUMN tenants.active_keys.is_operator IS 'Whether it is the operator''s, which has every permission';
GRANT SELECT ON tenants.active_keys TO flowpilot_worker;

RESET ROLE;
