-- Organizations, who belongs to them, with which role, and what they may use.

SET ROLE flowpilot_owner;

CREATE TABLE organizations (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL,
    slug VARCHAR(100) UNIQUE NOT NULL,
    parent_id UUID REFERENCES organizations (id) ON DELETE SET NULL,
    logo_url VARCHAR(500),
    website VARCHAR(255),
    industry VARCHAR(100),
    size VARCHAR(20),
    timezone VARCHAR(50) NOT NULL DEFAULT 'UTC',
    locale VARCHAR(10) NOT NULL DEFAULT 'en',
    settings JSONB NOT NULL DEFAULT '{}',
    metadata JSONB NOT NULL DEFAULT '{}',
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT slug_format CHECK (slug ~ '^[a-z0-9-]+$'),
    CONSTRAINT organizations_valid_size CHECK (size IN ('small', 'medium', 'large', 'enterprise'))
);
CREATE INDEX idx_organizations_parent_id ON organizations (parent_id);
CREATE INDEX idx_organizations_created_at ON organizations (created_at DESC);
CREATE INDEX idx_organizations_settings_gin ON organizations USING GIN (settings);
CREATE INDEX idx_organizations_name_fts ON organizations USING GIN (to_tsvector('english', name));
COMMENT ON TABLE organizations IS 'Multi-tenant organizations; deactivated rather than deleted, because their books stay';
COMMENT ON COLUMN organizations.parent_id IS 'For hierarchical organizations (subsidiaries); gives the parent no right to see the row';
COMMENT ON COLUMN organizations.settings IS 'Branding and features shown to members; policies are in organization_settings';
SELECT keep_updated_at('organizations');

CREATE TABLE roles (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID REFERENCES organizations (id) ON DELETE CASCADE,
    name VARCHAR(100) NOT NULL,
    slug VARCHAR(100) NOT NULL,
    description TEXT,
    permissions JSONB NOT NULL DEFAULT '{}',
    is_system_role BOOLEAN NOT NULL DEFAULT FALSE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT unique_role_slug_per_org UNIQUE NULLS NOT DISTINCT (organization_id, slug),
    CONSTRAINT system_roles_no_org CHECK (
        (is_system_role = TRUE AND organization_id IS NULL) OR
        (is_system_role = FALSE AND organization_id IS NOT NULL)
    )
);
COMMENT ON TABLE roles IS 'Role-based access control (RBAC)';
COMMENT ON COLUMN roles.organization_id IS 'NULL for a system role, which every organization may give to its members';
COMMENT ON COLUMN roles.permissions IS 'Noun to verb to true, as {"api_keys": {"read": true}}; the vocabulary is types::permission';
COMMENT ON COLUMN roles.is_system_role IS 'System roles are organization-independent';
SELECT keep_updated_at('roles');

-- A role that changed hands would carry its members' permissions into another organization.
CREATE FUNCTION roles_stay_in_their_organization() RETURNS trigger
    LANGUAGE plpgsql
AS $function$
BEGIN
    RAISE EXCEPTION 'a role cannot move to another organization'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'roles_stay_in_their_organization', TABLE = 'roles';
END
$function$;
CREATE TRIGGER roles_stay_in_their_organization BEFORE UPDATE OF organization_id ON roles
    FOR EACH ROW WHEN (OLD.organization_id IS DISTINCT FROM NEW.organization_id)
    EXECUTE FUNCTION roles_stay_in_their_organization();

-- A composite foreign key cannot say "of my organization, or of none", so a trigger does.
-- It runs with the writer's rights: a role hidden by row-level security is refused like one that does not exist.
CREATE FUNCTION role_belongs_to_organization() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.roles
        WHERE id = NEW.role_id
          AND (organization_id = NEW.organization_id OR organization_id IS NULL)
    ) THEN
        RAISE EXCEPTION 'role % is not one of organization %', NEW.role_id, NEW.organization_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'role_belongs_to_organization',
                  TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION role_belongs_to_organization() IS 'Refuses a role_id that is neither of the row''s organization nor a system role';

CREATE TABLE departments (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name VARCHAR(100) NOT NULL,
    parent_id UUID,
    description TEXT,
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT departments_organization_id_id_key UNIQUE (organization_id, id),
    CONSTRAINT unique_dept_name_per_org UNIQUE (organization_id, name),
    CONSTRAINT departments_parent_fkey FOREIGN KEY (organization_id, parent_id)
        REFERENCES departments (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_departments_parent_id ON departments (parent_id);
COMMENT ON TABLE departments IS 'Organizational departments/teams';
COMMENT ON COLUMN departments.metadata IS 'Free; finance keeps the cost centre under "cost_center"';
SELECT keep_updated_at('departments');

CREATE TABLE organization_members (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role_id UUID NOT NULL REFERENCES roles (id),
    department_id UUID,
    title VARCHAR(100),
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    joined_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    left_at TIMESTAMPTZ,

    CONSTRAINT unique_org_user UNIQUE (organization_id, user_id),
    CONSTRAINT organization_members_department_fkey FOREIGN KEY (organization_id, department_id)
        REFERENCES departments (organization_id, id) ON DELETE SET NULL (department_id)
);
CREATE INDEX idx_org_members_user_id ON organization_members (user_id);
CREATE INDEX idx_org_members_role_id ON organization_members (role_id);
CREATE INDEX idx_org_members_department_id ON organization_members (department_id);
CREATE TRIGGER role_belongs_to_organization BEFORE INSERT OR UPDATE OF role_id, organization_id ON organization_members
    FOR EACH ROW EXECUTE FUNCTION role_belongs_to_organization();
COMMENT ON TABLE organization_members IS 'User membership in organizations';
COMMENT ON COLUMN organization_members.role_id IS 'A role of the same organization or a system role; checked by a trigger';

CREATE TABLE invitations (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email VARCHAR(255) NOT NULL,
    role_id UUID NOT NULL REFERENCES roles (id),
    invited_by UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token VARCHAR(255) UNIQUE NOT NULL,
    status VARCHAR(20) NOT NULL DEFAULT 'pending',
    expires_at TIMESTAMPTZ NOT NULL,
    accepted_at TIMESTAMPTZ,
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT invitations_valid_status CHECK (status IN ('pending', 'accepted', 'expired', 'revoked')),
    CONSTRAINT invitations_valid_expiry CHECK (expires_at > created_at),
    CONSTRAINT accepted_requires_accepted_at CHECK (status <> 'accepted' OR accepted_at IS NOT NULL)
);
CREATE INDEX idx_invitations_organization_id ON invitations (organization_id);
CREATE INDEX idx_invitations_role_id ON invitations (role_id);
CREATE INDEX idx_invitations_email ON invitations (email);
CREATE INDEX idx_invitations_expires_at ON invitations (expires_at) WHERE status = 'pending';
CREATE TRIGGER role_belongs_to_organization BEFORE INSERT OR UPDATE OF role_id, organization_id ON invitations
    FOR EACH ROW EXECUTE FUNCTION role_belongs_to_organization();
COMMENT ON TABLE invitations IS 'Organization invitations';
COMMENT ON COLUMN invitations.token IS 'SHA-256 (hex) of the token that was mailed; the token itself is never stored';
COMMENT ON COLUMN invitations.role_id IS 'A role of the same organization or a system role; checked by a trigger';

CREATE TABLE usage_quotas (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    resource_type VARCHAR(50) NOT NULL,
    quota_limit BIGINT NOT NULL,
    quota_used BIGINT NOT NULL DEFAULT 0,
    quota_reserved BIGINT NOT NULL DEFAULT 0,
    quota_period VARCHAR(20) NOT NULL DEFAULT 'monthly',
    reset_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT unique_org_resource UNIQUE (organization_id, resource_type),
    CONSTRAINT usage_quotas_valid_resource_type CHECK (
        resource_type IN ('workflows', 'executions', 'api_calls', 'ai_tokens', 'storage_gb')
    ),
    CONSTRAINT non_negative_quota CHECK (quota_limit >= 0 AND quota_used >= 0 AND quota_reserved >= 0),
    CONSTRAINT valid_quota_period CHECK (quota_period IN ('monthly', 'annual', 'unlimited')),
    CONSTRAINT reset_at_required CHECK (quota_period = 'unlimited' OR reset_at IS NOT NULL)
);
CREATE INDEX idx_usage_quotas_resource_type ON usage_quotas (resource_type);
COMMENT ON TABLE usage_quotas IS 'Per-tenant resource quotas; one row per resource, spent through leases and never per request';
COMMENT ON COLUMN usage_quotas.quota_limit IS 'Most that may be used in one period, in units of the resource; ignored when quota_period is unlimited';
COMMENT ON COLUMN usage_quotas.quota_used IS 'Settled in the current period';
COMMENT ON COLUMN usage_quotas.quota_reserved IS 'Granted to gateways as leases and not settled yet; limit - used - reserved is free';
COMMENT ON COLUMN usage_quotas.reset_at IS 'When the current period ends (UTC) and quota_used begins at 0 again';
SELECT keep_updated_at('usage_quotas');

RESET ROLE;
