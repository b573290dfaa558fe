-- Workflows: definitions, versions, variables, triggers, and the global templates.

SET ROLE flowpilot_owner;

CREATE TABLE workflows (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    description TEXT,
    definition JSONB NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    current_version_id UUID,
    status VARCHAR(20) NOT NULL DEFAULT 'draft',
    category VARCHAR(50),
    tags TEXT[] NOT NULL DEFAULT '{}',
    created_by UUID NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    updated_by UUID REFERENCES users (id) ON DELETE SET NULL,
    is_template BOOLEAN NOT NULL DEFAULT FALSE,
    template_source_id UUID,
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT workflows_organization_id_id_key UNIQUE (organization_id, id),
    CONSTRAINT workflows_valid_status CHECK (status IN ('draft', 'active', 'archived')),
    CONSTRAINT workflows_template_source_fkey FOREIGN KEY (organization_id, template_source_id)
        REFERENCES workflows (organization_id, id) ON DELETE SET NULL (template_source_id)
);
CREATE INDEX idx_workflows_status ON workflows (status);
CREATE INDEX idx_workflows_created_by ON workflows (created_by);
CREATE INDEX idx_workflows_category ON workflows (category);
CREATE INDEX idx_workflows_tags_gin ON workflows USING GIN (tags);
CREATE INDEX idx_workflows_created_at ON workflows (created_at DESC);
CREATE INDEX idx_workflows_name_desc_fts ON workflows USING GIN (
    to_tsvector('english', name || ' ' || COALESCE(description, ''))
);
CREATE INDEX idx_workflows_current_version_id ON workflows (current_version_id);
CREATE INDEX idx_workflows_template_source_id ON workflows (template_source_id);
COMMENT ON TABLE workflows IS 'Workflow definitions and metadata';
COMMENT ON COLUMN workflows.definition IS 'The workflow''s DAG as edited last; what runs is the definition of a version';
COMMENT ON COLUMN workflows.version IS 'Number of the newest version; the row itself may be edited further';
COMMENT ON COLUMN workflows.current_version_id IS 'The version that new executions run; one of this workflow''s own';
COMMENT ON COLUMN workflows.template_source_id IS 'The workflow of the same organization that this one was copied from';
SELECT keep_updated_at('workflows');

CREATE TABLE workflow_versions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    workflow_id UUID NOT NULL,
    version INTEGER NOT NULL,
    definition JSONB NOT NULL,
    changelog TEXT,
    created_by UUID NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT workflow_versions_organization_id_workflow_id_id_key UNIQUE (organization_id, workflow_id, id),
    CONSTRAINT unique_workflow_version UNIQUE (workflow_id, version),
    CONSTRAINT positive_version CHECK (version > 0),
    CONSTRAINT workflow_versions_workflow_fkey FOREIGN KEY (organization_id, workflow_id)
        REFERENCES workflows (organization_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE workflow_versions IS 'Version history for workflows (git-like)';
COMMENT ON COLUMN workflow_versions.organization_id IS 'That of the workflow; the foreign key holds both together';

-- Deferred, because a workflow and its first version are written in one transaction and point at each other.
ALTER TABLE workflows ADD CONSTRAINT workflows_current_version_fkey
    FOREIGN KEY (organization_id, id, current_version_id)
    REFERENCES workflow_versions (organization_id, workflow_id, id)
    ON DELETE SET NULL (current_version_id) DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE workflow_templates (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL,
    description TEXT,
    category VARCHAR(50) NOT NULL,
    definition JSONB NOT NULL,
    preview_image_url VARCHAR(500),
    tags TEXT[] NOT NULL DEFAULT '{}',
    is_public BOOLEAN NOT NULL DEFAULT TRUE,
    usage_count INTEGER NOT NULL DEFAULT 0,
    created_by UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_workflow_templates_category ON workflow_templates (category);
CREATE INDEX idx_workflow_templates_is_public ON workflow_templates (is_public) WHERE is_public = TRUE;
CREATE INDEX idx_workflow_templates_usage_count ON workflow_templates (usage_count DESC);
COMMENT ON TABLE workflow_templates IS 'Pre-built workflow templates; global, belongs to no organization';
SELECT keep_updated_at('workflow_templates');

CREATE TABLE workflow_variables (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    workflow_id UUID NOT NULL,
    key VARCHAR(100) NOT NULL,
    value_encrypted TEXT,
    value_type VARCHAR(20) NOT NULL DEFAULT 'string',
    is_secret BOOLEAN NOT NULL DEFAULT FALSE,
    description TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT unique_workflow_variable UNIQUE (workflow_id, key),
    CONSTRAINT workflow_variables_valid_value_type CHECK (value_type IN ('string', 'number', 'boolean', 'secret')),
    CONSTRAINT secret_encrypted CHECK (is_secret = FALSE OR value_encrypted IS NOT NULL),
    CONSTRAINT workflow_variables_workflow_fkey FOREIGN KEY (organization_id, workflow_id)
        REFERENCES workflows (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_workflow_variables_organization_id ON workflow_variables (organization_id);
COMMENT ON TABLE workflow_variables IS 'Workflow-specific variables';
COMMENT ON COLUMN workflow_variables.organization_id IS 'That of the workflow; the foreign key holds both together';
COMMENT ON COLUMN workflow_variables.value_encrypted IS 'Encrypted by the application, secret or not';
SELECT keep_updated_at('workflow_variables');

CREATE TABLE workflow_triggers (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    workflow_id UUID NOT NULL,
    trigger_type VARCHAR(50) NOT NULL,
    config JSONB NOT NULL DEFAULT '{}',
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    last_triggered_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT workflow_triggers_valid_trigger_type CHECK (trigger_type IN ('manual', 'scheduled', 'webhook', 'event')),
    CONSTRAINT workflow_triggers_workflow_fkey FOREIGN KEY (organization_id, workflow_id)
        REFERENCES workflows (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_workflow_triggers_organization_id ON workflow_triggers (organization_id);
CREATE INDEX idx_workflow_triggers_workflow_id ON workflow_triggers (workflow_id);
CREATE INDEX idx_workflow_triggers_type_active ON workflow_triggers (trigger_type, is_active);
COMMENT ON TABLE workflow_triggers IS 'Workflow execution triggers';
COMMENT ON COLUMN workflow_triggers.organization_id IS 'That of the workflow; the foreign key holds both together';
COMMENT ON COLUMN workflow_triggers.config IS 'Cron expression, webhook secret reference or event filter, by trigger_type';
SELECT keep_updated_at('workflow_triggers');

RESET ROLE;
