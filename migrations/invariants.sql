-- What must hold of every migrated database, as queries that return violations: each begins with "-- name:" and a
-- sentence, ends with a semicolon, and returns no row when the sentence is true. The database crate's tests run
-- them; by hand, as an administrator:  psql --file migrations/invariants.sql
--
-- This is not a migration: sqlx takes a file for one when its name is <version>_<name>.sql, and ignores all others.
-- "Ours" is what flowpilot_owner owns, and the schemas public, metering, cache, workflows, tenants, api and gateway.

-- name: the 42 tables and 451 columns of the specification are there, no other table is in public, and each added column has a comment
WITH specification AS (
    SELECT split_part(line, ': ', 1) AS table_name,
           unnest(string_to_array(split_part(line, ': ', 2), ' ')) AS column_name
    FROM regexp_split_to_table(
        'users: id email password_hash first_name last_name is_active is_staff is_superuser email_verified email_verification_token phone_number phone_verified avatar_url timezone locale last_login password_changed_at created_at updated_at
user_sessions: id user_id refresh_token_hash device_name device_type browser os ip_address user_agent is_active expires_at last_activity created_at
login_attempts: id email ip_address user_agent success failure_reason attempted_at
mfa_devices: id user_id device_name device_type secret_encrypted is_active is_verified verified_at last_used_at created_at
oauth_connections: id user_id provider provider_user_id email access_token_encrypted refresh_token_encrypted expires_at scopes metadata created_at updated_at
organizations: id name slug parent_id logo_url website industry size timezone locale settings metadata is_active created_at updated_at
organization_members: id organization_id user_id role_id department_id title is_active joined_at left_at
roles: id organization_id name slug description permissions is_system_role created_at updated_at
invitations: id organization_id email role_id invited_by token status expires_at accepted_at metadata created_at
departments: id organization_id name parent_id description metadata created_at updated_at
usage_quotas: id organization_id resource_type quota_limit quota_used quota_period reset_at created_at updated_at
workflows: id organization_id name description definition version current_version_id status category tags created_by updated_by is_template template_source_id metadata created_at updated_at
workflow_versions: id workflow_id version definition changelog created_by created_at
workflow_templates: id name description category definition preview_image_url tags is_public usage_count created_by created_at updated_at
workflow_variables: id workflow_id key value_encrypted value_type is_secret description created_at updated_at
workflow_triggers: id workflow_id trigger_type config is_active last_triggered_at created_at updated_at
workflow_executions: id organization_id workflow_id workflow_version_id triggered_by trigger_type status input_data output_data error_message started_at completed_at duration_ms metadata created_at
execution_steps: id execution_id step_name step_type step_order status input_data output_data error_message retry_count started_at completed_at duration_ms metadata created_at
execution_logs: id execution_id step_id level message metadata logged_at
ai_requests: id organization_id execution_id step_id model prompt_text prompt_tokens completion_text completion_tokens total_tokens temperature status error_message latency_ms cost_usd created_at completed_at
prompt_templates: id organization_id name slug description template_text variables model temperature is_system_template usage_count created_by created_at updated_at
semantic_cache: id organization_id prompt_hash prompt_embedding prompt_text response_text model hit_count expires_at created_at last_accessed_at
ai_fine_tuning_jobs: id organization_id base_model fine_tuned_model training_data_url status provider_job_id error_message created_by created_at completed_at
connectors: id organization_id provider name settings is_active connected_by created_at updated_at
connector_credentials: id connector_id access_token_encrypted refresh_token_encrypted expires_at scopes metadata created_at updated_at
connector_webhooks: id connector_id event_type webhook_url secret is_active provider_webhook_id last_triggered_at created_at
connector_sync_logs: id connector_id sync_type status records_processed error_message started_at completed_at
documents: id organization_id name file_path file_size mime_type file_hash status page_count uploaded_by metadata created_at updated_at
document_pages: id document_id page_number content ocr_confidence metadata created_at
document_extractions: id document_id extraction_type structured_data confidence extracted_by created_at
document_embeddings: id document_id page_id chunk_text chunk_index embedding created_at
notifications: id organization_id user_id type title message channel status sent_at read_at metadata created_at
notification_preferences: id user_id event_type channels is_enabled created_at updated_at
alert_rules: id organization_id name condition action is_active last_triggered_at created_by created_at updated_at
daily_metrics: id organization_id metric_date total_executions successful_executions failed_executions total_ai_requests total_ai_tokens total_ai_cost_usd active_users active_workflows avg_execution_duration_ms p95_execution_duration_ms total_api_calls created_at
user_activity: id user_id organization_id activity_type resource_type resource_id metadata created_at
error_logs: id organization_id user_id error_type error_message stack_trace request_path request_method request_body status_code metadata occurred_at
billing_usage: id organization_id billing_period_start billing_period_end total_executions total_ai_tokens total_storage_gb total_api_calls total_cost_usd status invoice_id created_at updated_at
api_keys: id organization_id name key_hash key_prefix scopes is_active last_used_at expires_at created_by created_at revoked_at revoked_by
usage_events: id organization_id event_type quantity cost_usd metadata created_at
organization_settings: id organization_id branding security features integrations created_at updated_at
audit_logs: id organization_id user_id action resource_type resource_id old_values new_values ip_address user_agent metadata created_at', '\n') AS line
), found AS (
    SELECT relname::text AS table_name, attname::text AS column_name, attrelid, attnum
    FROM pg_class
    JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      AND relname <> '_sqlx_migrations'
)
SELECT 'missing: ' || table_name || '.' || column_name AS violation
FROM specification LEFT JOIN found USING (table_name, column_name)
WHERE attnum IS NULL
UNION ALL
SELECT 'not in the specification: ' || table_name
FROM found
GROUP BY table_name
HAVING table_name NOT IN (SELECT table_name FROM specification)
UNION ALL
SELECT 'added without a comment: ' || table_name || '.' || column_name
FROM found LEFT JOIN specification USING (table_name, column_name)
WHERE specification.column_name IS NULL AND column_name <> 'organization_id'
  AND col_description(attrelid, attnum) IS NULL
UNION ALL
SELECT 'the list has ' || count(*) || ' columns of ' || count(DISTINCT table_name) || ' tables'
FROM specification
HAVING count(*) <> 451 OR count(DISTINCT table_name) <> 42;

-- name: every table in public but the seven global ones carries organization_id, NOT NULL except where there are system rows or errors of nobody
SELECT tenant.oid::regclass AS violation
FROM pg_class AS tenant
LEFT JOIN pg_attribute ON attrelid = tenant.oid AND attname = 'organization_id' AND NOT attisdropped
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
  AND relname NOT IN (
      'users', 'user_sessions', 'login_attempts', 'mfa_devices', 'oauth_connections', 'notification_preferences',
      'workflow_templates', 'organizations', '_sqlx_migrations'
  )
  AND (attnum IS NULL OR (NOT attnotnull AND relname NOT IN ('roles', 'prompt_templates', 'error_logs')));

-- name: every tenant table and every partition of ours has row-level security enabled and forced
SELECT pg_class.oid::regclass AS violation
FROM pg_class
WHERE relkind IN ('r', 'p')
  AND relnamespace IN (SELECT oid FROM pg_namespace
                       WHERE nspname IN ('public', 'metering', 'cache', 'workflows', 'tenants', 'api', 'gateway'))
  AND (
      relispartition
      OR pg_class.oid = 'public.organizations'::regclass
      OR EXISTS (SELECT FROM pg_attribute
                 WHERE attrelid = pg_class.oid AND attname = 'organization_id' AND NOT attisdropped)
  )
  AND NOT (relrowsecurity AND relforcerowsecurity);

-- name: what flowpilot_app may reach of a tenant table is what its organization owns, in USING and in WITH CHECK
SELECT granted.oid::regclass AS violation
FROM pg_class AS granted
WHERE relkind IN ('r', 'p') AND relrowsecurity
  AND has_table_privilege('flowpilot_app', granted.oid, 'SELECT, INSERT, UPDATE, DELETE')
  AND NOT EXISTS (
      SELECT FROM pg_policy
      WHERE polrelid = granted.oid AND polname = 'tenant_isolation' AND polcmd = '*' AND polpermissive
        AND pg_get_expr(polqual, polrelid) ~ '^\((organization_id|id) = \( SELECT (public\.)?current_organization_id\(\)'
        AND pg_get_expr(polwithcheck, polrelid) = pg_get_expr(polqual, polrelid)
  );

-- name: no policy is wider than the five that there are
SELECT polrelid::regclass || '.' || polname AS violation
FROM pg_policy
CROSS JOIN LATERAL (
    SELECT array_agg(CASE member WHEN 0 THEN 'public' ELSE member::regrole::text END) AS roles
    FROM unnest(polroles) AS member
) AS granted
WHERE polrelid IN (SELECT oid FROM pg_class WHERE relowner = 'flowpilot_owner'::regrole)
  AND NOT COALESCE(CASE polname
      WHEN 'tenant_isolation' THEN roles = '{flowpilot_app}'
      WHEN 'worker_access' THEN roles = '{flowpilot_worker}'
      WHEN 'system_rows_readable' THEN roles = '{flowpilot_app}' AND polcmd = 'r'
          AND pg_get_expr(polqual, polrelid) = '(organization_id IS NULL)'
          AND polrelid IN (
              'public.roles'::regclass, 'public.prompt_templates'::regclass, 'gateway.prompt_template_versions'::regclass
          )
      WHEN 'system_rows_by_migration' THEN roles = '{flowpilot_owner}'
          AND pg_get_expr(polqual, polrelid) = '(organization_id IS NULL)'
          AND pg_get_expr(polwithcheck, polrelid) = '(organization_id IS NULL)'
      -- SECURITY DEFINER triggers add to a side schema's log, and can do nothing else to it.
      WHEN 'triggers_write' THEN roles = '{flowpilot_owner}' AND polcmd = 'a'
          AND polrelid IN (SELECT oid FROM pg_class WHERE relnamespace <> 'public'::regnamespace)
  END, false);

-- name: a partition has no policy and no grant: it is reached through its parent only
SELECT pg_class.oid::regclass AS violation
FROM pg_class
WHERE relispartition AND relkind IN ('r', 'p') AND relowner = 'flowpilot_owner'::regrole
  AND (
      EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid)
      OR EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee <> relowner)
      OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attacl IS NOT NULL)
  );

-- name: flowpilot_app has no right at all to the seven global tables
SELECT reached AS violation
FROM unnest(ARRAY[
    'users', 'user_sessions', 'login_attempts', 'mfa_devices', 'oauth_connections', 'notification_preferences',
    'workflow_templates'
]) AS reached
WHERE has_table_privilege('flowpilot_app', 'public.' || reached, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
   OR has_any_column_privilege('flowpilot_app', 'public.' || reached, 'SELECT, INSERT, UPDATE, REFERENCES');

-- name: nobody but the owner may truncate, refer to or put triggers on a table of ours, and PUBLIC may do nothing
SELECT pg_class.oid::regclass || ': ' || privilege_type || ' to '
       || CASE grantee WHEN 0 THEN 'public' ELSE grantee::regrole::text END AS violation
FROM pg_class
CROSS JOIN LATERAL aclexplode(relacl)
WHERE relowner = 'flowpilot_owner'::regrole AND grantee <> relowner
  AND (grantee = 0 OR privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'USAGE'));

-- name: the serving roles own nothing, belong to no other role, and bypass nothing
SELECT rolname || ' has attributes it must not have' AS violation
FROM pg_roles
WHERE rolname IN ('flowpilot_app', 'flowpilot_worker', 'flowpilot_owner')
  AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolcanlogin)
UNION ALL
SELECT member::regrole || ' is a member of ' || roleid::regrole
FROM pg_auth_members
WHERE member IN ('flowpilot_app'::regrole, 'flowpilot_worker'::regrole, 'flowpilot_owner'::regrole)
UNION ALL
SELECT relowner::regrole || ' owns ' || oid::regclass
FROM pg_class
WHERE relowner IN ('flowpilot_app'::regrole, 'flowpilot_worker'::regrole)
UNION ALL
SELECT serving || ' may create in ' || nspname
FROM unnest(ARRAY['flowpilot_app', 'flowpilot_worker']) AS serving, pg_namespace
WHERE nspname !~ '^pg_(toast_)?temp' AND has_schema_privilege(serving, pg_namespace.oid, 'CREATE');

-- name: everything in our schemas belongs to flowpilot_owner
SELECT pg_class.oid::regclass || ' belongs to ' || relowner::regrole AS violation
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname IN ('public', 'metering', 'cache', 'workflows', 'tenants', 'api', 'gateway')
  AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND relname <> '_sqlx_migrations'
  AND relowner <> 'flowpilot_owner'::regrole
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
UNION ALL
SELECT pg_proc.oid::regprocedure || ' belongs to ' || proowner::regrole
FROM pg_proc
JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE nspname IN ('public', 'metering', 'cache', 'workflows', 'tenants', 'api', 'gateway')
  AND proowner <> 'flowpilot_owner'::regrole
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
UNION ALL
SELECT 'schema ' || nspname || ' belongs to ' || nspowner::regrole
FROM pg_namespace
WHERE nspname IN ('metering', 'cache', 'workflows', 'tenants', 'api', 'gateway') AND nspowner <> 'flowpilot_owner'::regrole;

-- name: no function of ours is executable by everybody, and one that runs with its owner's rights pins its search_path
SELECT pg_proc.oid::regprocedure AS violation
FROM pg_proc
WHERE proowner = 'flowpilot_owner'::regrole
  AND (
      EXISTS (SELECT FROM aclexplode(COALESCE(proacl, acldefault('f', proowner))) WHERE grantee = 0)
      OR (prosecdef AND NOT EXISTS (
          SELECT FROM unnest(proconfig) AS setting WHERE setting LIKE 'search\_path=%pg\_temp'
      ))
  );

-- name: no view of ours without security_invoker, and no materialized view
SELECT pg_class.oid::regclass AS violation
FROM pg_class
WHERE relowner = 'flowpilot_owner'::regrole
  AND (relkind = 'm' OR (relkind = 'v' AND NOT COALESCE('security_invoker=true' = ANY (reloptions), false)));

-- name: every status column is NOT NULL and has a CHECK, and so has every column whose name ends so
SELECT attrelid::regclass || '.' || attname AS violation
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
WHERE relowner = 'flowpilot_owner'::regrole AND relkind IN ('r', 'p') AND NOT relispartition AND NOT attisdropped
  AND attname ~ '(^|_)status$'
  AND (
      (attname = 'status' AND NOT attnotnull)
      OR NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = attrelid AND contype = 'c' AND attnum = ANY (conkey))
  );

-- name: every foreign key has an index that begins with its columns, except those to users
SELECT conrelid::regclass || '.' || conname AS violation
FROM pg_constraint
JOIN pg_class ON pg_class.oid = conrelid
WHERE contype = 'f' AND conparentid = 0
  AND relowner = 'flowpilot_owner'::regrole
  AND confrelid <> 'public.users'::regclass
  AND NOT EXISTS (
      -- The first column is one of the key's; where the key has more than the organization, some leading part of
      -- the index lies within the key and has more than the organization as well. A partial index serves when it
      -- leaves out nothing but NULL, which refers to nothing.
      SELECT
      FROM pg_index
      CROSS JOIN generate_series(1, indnkeyatts) AS depth
      CROSS JOIN LATERAL (
          SELECT array_agg(indkey[position]) AS columns FROM generate_series(0, depth - 1) AS position
      ) AS head
      WHERE indrelid = conrelid
        AND head.columns <@ conkey
        AND (cardinality(conkey) = 1 OR EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = conrelid AND attnum = ANY (head.columns) AND attname <> 'organization_id'
        ))
        AND (indpred IS NULL OR pg_get_expr(indpred, indrelid) ~ '^\(\w+ IS NOT NULL\)$')
  );

-- name: a foreign key from one tenant table to another carries the organization on both sides, so that a child cannot lie
SELECT conrelid::regclass || '.' || conname AS violation
FROM pg_constraint
JOIN pg_class AS child ON child.oid = conrelid
JOIN pg_attribute AS child_column
    ON child_column.attrelid = conrelid AND child_column.attname = 'organization_id' AND NOT child_column.attisdropped
JOIN pg_attribute AS parent_column
    ON parent_column.attrelid = confrelid AND parent_column.attname = 'organization_id' AND NOT parent_column.attisdropped
WHERE contype = 'f' AND conparentid = 0 AND child.relowner = 'flowpilot_owner'::regrole
  AND COALESCE(confkey[array_position(conkey, child_column.attnum)] <> parent_column.attnum, true)
  -- System roles have no organization: role_id is checked by a trigger.
  AND NOT (
      confrelid = 'public.roles'::regclass
      AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = conrelid AND tgname = 'role_belongs_to_organization' AND tgenabled = 'O')
  );

-- name: every organization_id refers to organizations, and on the books without a cascade
SELECT tenant.oid::regclass AS violation
FROM pg_class AS tenant
JOIN pg_attribute ON attrelid = tenant.oid AND attname = 'organization_id' AND NOT attisdropped
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
  AND NOT EXISTS (
      SELECT FROM pg_constraint
      WHERE contype = 'f' AND conrelid = tenant.oid AND conkey = ARRAY[attnum] AND confrelid = 'public.organizations'::regclass
        AND (confdeltype = 'r'
             OR relname NOT IN ('ai_requests', 'usage_events', 'billing_usage', 'daily_metrics', 'audit_logs'))
  );

-- name: every uuid column that ends in _id and has no foreign key says in its comment what it is
SELECT attrelid::regclass || '.' || attname AS violation
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
WHERE relowner = 'flowpilot_owner'::regrole AND relkind IN ('r', 'p') AND NOT relispartition AND NOT attisdropped
  AND atttypid = 'uuid'::regtype AND attname LIKE '%\_id'
  AND col_description(attrelid, attnum) IS NULL
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid = attrelid AND attnum = ANY (conkey));

-- name: no foreign key points into a partitioned table, and each soft reference that does is indexed
SELECT conrelid::regclass || '.' || conname AS violation
FROM pg_constraint
JOIN pg_class AS parent ON parent.oid = confrelid
WHERE contype = 'f' AND conparentid = 0 AND parent.relkind = 'p'
UNION ALL
SELECT attrelid::regclass || '.' || attname
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
WHERE relowner = 'flowpilot_owner'::regrole AND relkind IN ('r', 'p') AND NOT relispartition AND NOT attisdropped
  AND EXISTS (
      SELECT FROM pg_class AS target
      WHERE target.relkind = 'p'
        AND target.oid = to_regclass(substring(col_description(attrelid, attnum) FROM '^Soft reference to ([a-z_.]+)\.id'))
  )
  AND NOT EXISTS (
      SELECT FROM pg_index
      WHERE indrelid = attrelid
        AND (indkey[0] = attnum OR (indkey[1] = attnum AND indkey[0] = (
            SELECT organization.attnum FROM pg_attribute AS organization
            WHERE organization.attrelid = indrelid AND organization.attname = 'organization_id')))
  );

-- name: eight tables are partitioned by month, each has last month, this month and the next two, and three have a DEFAULT partition
SELECT 'not partitioned by range: ' || wanted AS violation
FROM unnest(ARRAY[
    'workflow_executions', 'execution_steps', 'execution_logs', 'ai_requests', 'user_activity', 'error_logs',
    'audit_logs', 'usage_events'
]) AS wanted
WHERE NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = to_regclass('public.' || wanted) AND partstrat = 'r')
UNION ALL
SELECT partrelid::regclass || ' has no partition for ' || month
FROM pg_partitioned_table
JOIN pg_class ON pg_class.oid = partrelid
CROSS JOIN generate_series(
    date_trunc('month', now(), 'UTC') - interval '1 month', date_trunc('month', now(), 'UTC') + interval '2 months', interval '1 month'
) AS month
WHERE relowner = 'flowpilot_owner'::regrole AND relnamespace = 'public'::regnamespace
  AND NOT EXISTS (
      SELECT FROM public.partition_bounds(partrelid)
      WHERE lower_bound <= month + interval '1 day' AND upper_bound > month + interval '1 day'
  )
UNION ALL
SELECT partrelid::regclass || ': DEFAULT partition ' || CASE partdefid WHEN 0 THEN 'missing' ELSE 'not wanted' END
FROM pg_partitioned_table
JOIN pg_class ON pg_class.oid = partrelid
WHERE relowner = 'flowpilot_owner'::regrole AND relnamespace = 'public'::regnamespace
  AND (partdefid <> 0) <> (relname IN ('usage_events', 'audit_logs', 'ai_requests'));

-- name: audit_logs and each of its partitions refuse UPDATE, DELETE and TRUNCATE by triggers
SELECT guarded || ' lacks ' || wanted AS violation
FROM (
    SELECT 'public.audit_logs'::regclass AS guarded
    UNION ALL
    SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'public.audit_logs'::regclass
) AS tables
CROSS JOIN unnest(ARRAY['audit_logs_immutable', 'audit_logs_refuse_truncate']) AS wanted
WHERE NOT EXISTS (
    SELECT FROM pg_trigger
    WHERE tgrelid = guarded AND tgname = wanted AND tgenabled = 'O' AND tgfoid = 'public.audit_logs_block'::regproc
);

-- name: every table with updated_at has the trigger that keeps it
SELECT attrelid::regclass AS violation
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
WHERE relowner = 'flowpilot_owner'::regrole AND relnamespace = 'public'::regnamespace
  AND relkind IN ('r', 'p') AND NOT relispartition
  AND attname = 'updated_at' AND NOT attisdropped
  AND NOT EXISTS (
      SELECT FROM pg_trigger WHERE tgrelid = attrelid AND tgfoid = 'public.update_updated_at_column'::regproc
  );

-- name: money is NUMERIC with a scale, never a float
SELECT attrelid::regclass || '.' || attname AS violation
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
WHERE relowner = 'flowpilot_owner'::regrole AND relkind IN ('r', 'p') AND NOT attisdropped
  AND attname ~ '_usd(_|$)' AND (atttypid <> 'numeric'::regtype OR atttypmod = -1);

-- name: no index is covered by another one of its table
SELECT narrow.indexrelid::regclass || ' is covered by ' || wide.indexrelid::regclass AS violation
FROM pg_index AS narrow
JOIN pg_class ON pg_class.oid = narrow.indexrelid
JOIN pg_am ON pg_am.oid = relam AND amname = 'btree'
JOIN pg_index AS wide ON wide.indrelid = narrow.indrelid AND wide.indexrelid <> narrow.indexrelid
JOIN pg_class AS wide_class ON wide_class.oid = wide.indexrelid AND wide_class.relam = pg_class.relam
WHERE pg_class.relowner = 'flowpilot_owner'::regrole AND NOT pg_class.relispartition
  AND NOT narrow.indisunique
  AND narrow.indexprs IS NULL AND wide.indexprs IS NULL
  AND wide.indpred IS NULL AND narrow.indpred IS NULL
  AND wide.indkey::text || ' ' LIKE narrow.indkey::text || ' %'
  AND (wide.indkey::text <> narrow.indkey::text OR narrow.indexrelid > wide.indexrelid);

-- name: every table has a comment
SELECT pg_class.oid::regclass AS violation
FROM pg_class
WHERE relowner = 'flowpilot_owner'::regrole AND relkind IN ('r', 'p') AND NOT relispartition
  AND obj_description(pg_class.oid, 'pg_class') IS NULL;

-- name: the four system roles are there
SELECT wanted AS violation
FROM unnest(ARRAY['owner', 'admin', 'member', 'viewer']) AS wanted
WHERE NOT EXISTS (SELECT FROM public.roles WHERE slug = wanted AND is_system_role AND organization_id IS NULL);
