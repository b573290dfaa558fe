-- Third-party systems: connectors, their credentials, webhooks and syncs.

SET ROLE flowpilot_owner;

CREATE TABLE connectors (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    provider VARCHAR(50) NOT NULL,
    name VARCHAR(255) NOT NULL,
    settings JSONB NOT NULL DEFAULT '{}',
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    connected_by UUID NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT connectors_organization_id_id_key UNIQUE (organization_id, id),
    CONSTRAINT unique_org_provider_name UNIQUE (organization_id, provider, name)
);
CREATE INDEX idx_connectors_provider ON connectors (provider);
CREATE INDEX idx_connectors_is_active ON connectors (is_active) WHERE is_active = TRUE;
COMMENT ON TABLE connectors IS 'Third-party integrations';
COMMENT ON COLUMN connectors.provider IS 'gmail, slack, salesforce and the like; the connector catalogue''s list';
COMMENT ON COLUMN connectors.settings IS 'What is not secret; secrets are in connector_credentials';
SELECT keep_updated_at('connectors');

CREATE TABLE connector_credentials (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    connector_id UUID NOT NULL,
    access_token_encrypted TEXT,
    refresh_token_encrypted TEXT,
    expires_at TIMESTAMPTZ,
    scopes TEXT[],
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT connector_credentials_connector_fkey FOREIGN KEY (organization_id, connector_id)
        REFERENCES connectors (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_connector_credentials_organization_id ON connector_credentials (organization_id);
CREATE INDEX idx_connector_credentials_connector_id ON connector_credentials (connector_id);
CREATE INDEX idx_connector_credentials_expires_at ON connector_credentials (expires_at);
COMMENT ON TABLE connector_credentials IS 'Encrypted OAuth credentials';
COMMENT ON COLUMN connector_credentials.organization_id IS 'That of the connector; the foreign key holds both together';
COMMENT ON COLUMN connector_credentials.access_token_encrypted IS 'Encrypted by the application';
COMMENT ON COLUMN connector_credentials.refresh_token_encrypted IS 'Encrypted by the application';
COMMENT ON COLUMN connector_credentials.expires_at IS 'When the access token ends';
SELECT keep_updated_at('connector_credentials');

CREATE TABLE connector_webhooks (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    connector_id UUID NOT NULL,
    event_type VARCHAR(100) NOT NULL,
    webhook_url VARCHAR(500) NOT NULL,
    secret VARCHAR(255) NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    provider_webhook_id VARCHAR(255),
    last_triggered_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT connector_webhooks_connector_fkey FOREIGN KEY (organization_id, connector_id)
        REFERENCES connectors (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_connector_webhooks_organization_id ON connector_webhooks (organization_id);
CREATE INDEX idx_connector_webhooks_connector_id ON connector_webhooks (connector_id);
CREATE INDEX idx_connector_webhooks_event_type ON connector_webhooks (event_type);
COMMENT ON TABLE connector_webhooks IS 'Registered webhooks with third-party providers';
COMMENT ON COLUMN connector_webhooks.organization_id IS 'That of the connector; the foreign key holds both together';
COMMENT ON COLUMN connector_webhooks.secret IS 'Signing secret, encrypted by the application: a hash could not verify a signature';
COMMENT ON COLUMN connector_webhooks.provider_webhook_id IS 'The webhook''s id at the provider';

CREATE TABLE connector_sync_logs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    connector_id UUID NOT NULL,
    sync_type VARCHAR(50) NOT NULL,
    status VARCHAR(20) NOT NULL DEFAULT 'pending',
    records_processed INTEGER NOT NULL DEFAULT 0,
    error_message TEXT,
    started_at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP,
    completed_at TIMESTAMPTZ,

    CONSTRAINT connector_sync_logs_valid_sync_type CHECK (sync_type IN ('full', 'incremental', 'webhook')),
    CONSTRAINT connector_sync_logs_valid_status CHECK (
        status IN ('pending', 'running', 'completed', 'failed', 'cancelled')
    ),
    CONSTRAINT connector_sync_logs_connector_fkey FOREIGN KEY (organization_id, connector_id)
        REFERENCES connectors (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_connector_sync_logs_organization_id ON connector_sync_logs (organization_id);
CREATE INDEX idx_connector_sync_logs_connector_id ON connector_sync_logs (connector_id);
CREATE INDEX idx_connector_sync_logs_started_at ON connector_sync_logs (started_at DESC);
COMMENT ON TABLE connector_sync_logs IS 'Connector sync history';
COMMENT ON COLUMN connector_sync_logs.organization_id IS 'That of the connector; the foreign key holds both together';

RESET ROLE;
