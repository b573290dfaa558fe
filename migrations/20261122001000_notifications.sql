-- Notifications, who wants which, and the rules that raise them.

SET ROLE flowpilot_owner;

CREATE TABLE notifications (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id UUID REFERENCES users (id) ON DELETE CASCADE,
    type VARCHAR(50) NOT NULL,
    title VARCHAR(255) NOT NULL,
    message TEXT NOT NULL,
    channel VARCHAR(20) NOT NULL,
    status VARCHAR(20) NOT NULL DEFAULT 'pending',
    sent_at TIMESTAMPTZ,
    read_at TIMESTAMPTZ,
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT notifications_valid_channel CHECK (channel IN ('in_app', 'email', 'slack', 'sms')),
    CONSTRAINT notifications_valid_status CHECK (status IN ('pending', 'sent', 'failed', 'read'))
);
CREATE INDEX idx_notifications_organization_id ON notifications (organization_id);
CREATE INDEX idx_notifications_user_id ON notifications (user_id);
CREATE INDEX idx_notifications_status ON notifications (status);
CREATE INDEX idx_notifications_created_at ON notifications (created_at DESC);
CREATE INDEX idx_notifications_user_unread ON notifications (user_id, read_at) WHERE read_at IS NULL;
COMMENT ON TABLE notifications IS 'Multi-channel notifications; one row per channel, the outbox of the sender';
COMMENT ON COLUMN notifications.user_id IS 'NULL: for the whole organization';
COMMENT ON COLUMN notifications.type IS 'workflow_completed, execution_failed, quota_exceeded and the like';

CREATE TABLE notification_preferences (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    event_type VARCHAR(50) NOT NULL,
    channels TEXT[] NOT NULL DEFAULT '{}',
    is_enabled BOOLEAN NOT NULL DEFAULT TRUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT unique_user_event UNIQUE (user_id, event_type),
    CONSTRAINT notification_preferences_valid_channels CHECK (
        channels <@ ARRAY['in_app', 'email', 'slack', 'sms']
    )
);
COMMENT ON TABLE notification_preferences IS 'User notification preferences; global, one wish for all organizations of a user';
COMMENT ON COLUMN notification_preferences.event_type IS 'As notifications.type';
SELECT keep_updated_at('notification_preferences');

CREATE TABLE alert_rules (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    condition JSONB NOT NULL,
    action JSONB NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    last_triggered_at TIMESTAMPTZ,
    created_by UUID NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_alert_rules_organization_id ON alert_rules (organization_id);
CREATE INDEX idx_alert_rules_is_active ON alert_rules (is_active) WHERE is_active = TRUE;
COMMENT ON TABLE alert_rules IS 'Automated alerting rules';
COMMENT ON COLUMN alert_rules.condition IS 'As {"type": "error_rate", "threshold": 10, "window": "5m"}';
COMMENT ON COLUMN alert_rules.action IS 'As {"type": "notify", "channels": ["email"], "recipients": []}';
SELECT keep_updated_at('alert_rules');

RESET ROLE;
