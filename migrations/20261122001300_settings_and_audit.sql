-- Settings of an organization, and the audit trail that nobody can change.

SET ROLE flowpilot_owner;

CREATE TABLE organization_settings (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID UNIQUE NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    branding JSONB NOT NULL DEFAULT '{}',
    security JSONB NOT NULL DEFAULT '{}',
    features JSONB NOT NULL DEFAULT '{}',
    integrations JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP
);
COMMENT ON TABLE organization_settings IS 'Organization-specific settings';
COMMENT ON COLUMN organization_settings.branding IS 'As {"logo_url", "primary_color", "secondary_color"}';
COMMENT ON COLUMN organization_settings.security IS 'As {"require_mfa", "session_timeout_minutes", "ip_whitelist"}';
COMMENT ON COLUMN organization_settings.features IS 'As {"advanced_ai": true}';
SELECT keep_updated_at('organization_settings');

CREATE TABLE audit_logs (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    user_id UUID,
    action VARCHAR(100) NOT NULL,
    resource_type VARCHAR(50),
    resource_id UUID,
    old_values JSONB,
    new_values JSONB,
    ip_address INET,
    user_agent TEXT,
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_audit_logs_organization_created ON audit_logs (organization_id, created_at DESC);
CREATE INDEX idx_audit_logs_user_id ON audit_logs (user_id);
CREATE INDEX idx_audit_logs_action ON audit_logs (action);
CREATE INDEX idx_audit_logs_resource ON audit_logs (resource_type, resource_id);
COMMENT ON TABLE audit_logs IS 'Immutable audit trail (partitioned by month)';
COMMENT ON COLUMN audit_logs.user_id IS 'Soft reference to users.id: the row outlives the user';
COMMENT ON COLUMN audit_logs.action IS 'As workflow.create, user.login, role.update';
COMMENT ON COLUMN audit_logs.resource_id IS 'Soft reference to the table that resource_type names';
COMMENT ON COLUMN audit_logs.old_values IS 'Secrets redacted';
COMMENT ON COLUMN audit_logs.new_values IS 'Secrets redacted';
COMMENT ON COLUMN audit_logs.created_at IS 'Partition key, month by UTC';

-- Triggers, not the specification's rules: rules make every DELETE on organizations and users fail, forbid
-- INSERT ... ON CONFLICT, and do not hold for statements on a partition.
CREATE FUNCTION audit_logs_block() RETURNS trigger
    LANGUAGE plpgsql
AS $function$
BEGIN
    RAISE EXCEPTION 'audit_logs is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME;
END
$function$;
COMMENT ON FUNCTION audit_logs_block() IS 'Refuses every change of audit_logs but INSERT';
CREATE TRIGGER audit_logs_immutable BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION audit_logs_block();
-- Row triggers are copied to partitions, statement triggers are not: create_monthly_partitions() makes those.
CREATE TRIGGER audit_logs_refuse_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_block();

RESET ROLE;
