-- Who may reach what. A tenant table is all but the seven global ones: users, user_sessions, login_attempts,
-- mfa_devices, oauth_connections, notification_preferences, workflow_templates.
--
-- flowpilot_app acts for one organization and sees its rows alone. flowpilot_worker acts across organizations:
-- each tenant table has such a job (key snapshot, shipper, roll-ups, expiry, scheduling, token refresh, rotation of
-- encryption keys, retention), so it reaches all of them; what differs is what it may do there.

SET ROLE flowpilot_owner;

-- An organization sees itself; a parent sees nothing of its subsidiaries. Creating and deleting them is cross-tenant work.
SELECT secure_tenant_table('organizations', app_rights => 'SELECT, UPDATE', organization_column => 'id');
SELECT secure_tenant_table('organization_members');
SELECT secure_tenant_table('roles');
SELECT secure_tenant_table('invitations');
SELECT secure_tenant_table('departments');
SELECT secure_tenant_table('organization_settings');
SELECT secure_tenant_table('usage_quotas');
-- A key is revoked, never deleted: usage is booked to it.
SELECT secure_tenant_table('api_keys', app_rights => 'SELECT, INSERT, UPDATE', worker_rights => 'SELECT, INSERT, UPDATE');

SELECT secure_tenant_table('workflows');
SELECT secure_tenant_table('workflow_versions');
SELECT secure_tenant_table('workflow_variables');
SELECT secure_tenant_table('workflow_triggers');
SELECT secure_tenant_table('workflow_executions');
SELECT secure_tenant_table('execution_steps');
-- Logs are appended; they leave with their partition.
SELECT secure_tenant_table('execution_logs', app_rights => 'SELECT, INSERT', worker_rights => 'SELECT, INSERT');

SELECT secure_tenant_table('prompt_templates');
SELECT secure_tenant_table('semantic_cache');
SELECT secure_tenant_table('ai_fine_tuning_jobs');

SELECT secure_tenant_table('connectors');
SELECT secure_tenant_table('connector_credentials');
SELECT secure_tenant_table('connector_webhooks');
SELECT secure_tenant_table('connector_sync_logs');

SELECT secure_tenant_table('documents');
SELECT secure_tenant_table('document_pages');
SELECT secure_tenant_table('document_extractions');
SELECT secure_tenant_table('document_embeddings');

SELECT secure_tenant_table('notifications');
SELECT secure_tenant_table('alert_rules');

-- The books are written by the shipper and the roll-ups; a tenant's transaction reads them. A usage event is
-- never changed, not by a worker either: a correction is another event. Requests are, when prompts expire.
SELECT secure_tenant_table('ai_requests', app_rights => 'SELECT');
SELECT secure_tenant_table('usage_events', app_rights => 'SELECT', worker_rights => 'SELECT, INSERT');
SELECT secure_tenant_table('billing_usage', app_rights => 'SELECT');
SELECT secure_tenant_table('daily_metrics', app_rights => 'SELECT');

SELECT secure_tenant_table('user_activity', app_rights => 'SELECT, INSERT', worker_rights => 'SELECT, INSERT');
-- Rows without an organization are the worker's alone: no organization is equal to NULL.
SELECT secure_tenant_table('error_logs', app_rights => 'SELECT, INSERT', worker_rights => 'SELECT, INSERT');
SELECT secure_tenant_table('audit_logs', app_rights => 'SELECT, INSERT', worker_rights => 'SELECT, INSERT');

-- System rows are read by every organization and written by none. The reading is a policy of its own for SELECT,
-- so that UPDATE and DELETE still need a row of one's own. Migrations write them, as the owner, whom FORCE binds too.
CREATE POLICY system_rows_readable ON roles FOR SELECT TO flowpilot_app USING (organization_id IS NULL);
CREATE POLICY system_rows_readable ON prompt_templates FOR SELECT TO flowpilot_app USING (organization_id IS NULL);
CREATE POLICY system_rows_by_migration ON roles TO flowpilot_owner
    USING (organization_id IS NULL) WITH CHECK (organization_id IS NULL);
CREATE POLICY system_rows_by_migration ON prompt_templates TO flowpilot_owner
    USING (organization_id IS NULL) WITH CHECK (organization_id IS NULL);

-- The seven global tables: no right at all for flowpilot_app.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON users, user_sessions, mfa_devices, oauth_connections, notification_preferences, workflow_templates
    TO flowpilot_worker;
GRANT SELECT, INSERT, DELETE ON login_attempts TO flowpilot_worker;

-- The words are those of types::permission. Owner and admin differ in what is not a permission: the last owner
-- of an organization cannot be removed.
INSERT INTO roles (organization_id, name, slug, description, is_system_role, permissions) VALUES
    (NULL, 'Owner', 'owner', 'Everything within the organization; an organization keeps at least one', TRUE, '{
        "ai": {"invoke": true},
        "api_keys": {"read": true, "write": true},
        "organizations": {"read": true},
        "departments": {"read": true, "write": true},
        "quotas": {"read": true},
        "usage": {"read": true},
        "cache": {"read": true, "write": true}
    }'),
    (NULL, 'Administrator', 'admin', 'Everything within the organization', TRUE, '{
        "ai": {"invoke": true},
        "api_keys": {"read": true, "write": true},
        "organizations": {"read": true},
        "departments": {"read": true, "write": true},
        "quotas": {"read": true},
        "usage": {"read": true},
        "cache": {"read": true, "write": true}
    }'),
    (NULL, 'Member', 'member', 'Uses the AI and sees what is used', TRUE, '{
        "ai": {"invoke": true},
        "organizations": {"read": true},
        "departments": {"read": true},
        "quotas": {"read": true},
        "usage": {"read": true},
        "cache": {"read": true, "write": true}
    }'),
    (NULL, 'Viewer', 'viewer', 'Sees the organization, its quotas and its usage', TRUE, '{
        "organizations": {"read": true},
        "departments": {"read": true},
        "quotas": {"read": true},
        "usage": {"read": true}
    }');

RESET ROLE;
