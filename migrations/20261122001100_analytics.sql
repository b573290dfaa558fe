-- What happened: daily roll-ups, activity of people, errors.

SET ROLE flowpilot_owner;

CREATE TABLE daily_metrics (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    metric_date DATE NOT NULL,
    total_executions BIGINT NOT NULL DEFAULT 0,
    successful_executions BIGINT NOT NULL DEFAULT 0,
    failed_executions BIGINT NOT NULL DEFAULT 0,
    total_ai_requests BIGINT NOT NULL DEFAULT 0,
    total_ai_tokens BIGINT NOT NULL DEFAULT 0,
    total_ai_cost_usd NUMERIC(24, 12) NOT NULL DEFAULT 0,
    active_users INTEGER NOT NULL DEFAULT 0,
    active_workflows INTEGER NOT NULL DEFAULT 0,
    avg_execution_duration_ms BIGINT,
    p95_execution_duration_ms BIGINT,
    total_api_calls BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT unique_org_date UNIQUE (organization_id, metric_date)
);
CREATE INDEX idx_daily_metrics_date ON daily_metrics (metric_date DESC);
COMMENT ON TABLE daily_metrics IS 'Aggregated daily metrics; a roll-up that can be recomputed';
COMMENT ON COLUMN daily_metrics.metric_date IS 'Day by UTC';
COMMENT ON COLUMN daily_metrics.total_ai_cost_usd IS 'Unrounded sum of usage_events.cost_usd';
COMMENT ON COLUMN daily_metrics.p95_execution_duration_ms IS 'Within this day; days cannot be merged';

CREATE TABLE user_activity (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    activity_type VARCHAR(50) NOT NULL,
    resource_type VARCHAR(50),
    resource_id UUID,
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_user_activity_organization_created ON user_activity (organization_id, created_at DESC);
CREATE INDEX idx_user_activity_user_id ON user_activity (user_id);
CREATE INDEX idx_user_activity_type ON user_activity (activity_type);
COMMENT ON TABLE user_activity IS 'User activity tracking (partitioned by month)';
COMMENT ON COLUMN user_activity.activity_type IS 'workflow_created, execution_triggered and the like';
COMMENT ON COLUMN user_activity.resource_id IS 'Soft reference to the table that resource_type names';
COMMENT ON COLUMN user_activity.created_at IS 'Partition key, month by UTC';

CREATE TABLE error_logs (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID REFERENCES organizations (id) ON DELETE CASCADE,
    user_id UUID REFERENCES users (id) ON DELETE SET NULL,
    error_type VARCHAR(100) NOT NULL,
    error_message TEXT NOT NULL,
    stack_trace TEXT,
    request_path VARCHAR(500),
    request_method VARCHAR(10),
    request_body TEXT,
    status_code INTEGER,
    metadata JSONB NOT NULL DEFAULT '{}',
    occurred_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX idx_error_logs_organization_occurred ON error_logs (organization_id, occurred_at DESC);
CREATE INDEX idx_error_logs_error_type ON error_logs (error_type);
COMMENT ON TABLE error_logs IS 'Application error tracking (partitioned by month)';
COMMENT ON COLUMN error_logs.organization_id IS 'NULL when the request belonged to nobody yet; such rows are seen by flowpilot_worker alone';
COMMENT ON COLUMN error_logs.request_body IS 'Redacted or NULL: prompts and secrets never get here';
COMMENT ON COLUMN error_logs.status_code IS 'HTTP status that was answered';
COMMENT ON COLUMN error_logs.occurred_at IS 'Partition key, month by UTC';

RESET ROLE;
