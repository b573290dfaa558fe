-- Executions, their steps and logs: partitioned by month (UTC), so that history leaves by dropping a partition.
-- A foreign key into a partitioned table would forbid that, so references into these three are soft: plain
-- columns, indexed, said to be soft in their comment, and checked by count_orphans().

SET ROLE flowpilot_owner;

CREATE TABLE workflow_executions (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    workflow_id UUID NOT NULL,
    workflow_version_id UUID,
    triggered_by UUID REFERENCES users (id) ON DELETE SET NULL,
    trigger_type VARCHAR(50),
    status VARCHAR(20) NOT NULL DEFAULT 'pending',
    input_data JSONB DEFAULT '{}',
    output_data JSONB DEFAULT '{}',
    error_message TEXT,
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    duration_ms BIGINT,
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY (id, created_at),
    CONSTRAINT workflow_executions_valid_trigger_type CHECK (trigger_type IN ('manual', 'scheduled', 'webhook', 'event')),
    CONSTRAINT workflow_executions_valid_status CHECK (
        status IN ('pending', 'running', 'completed', 'failed', 'cancelled')
    ),
    -- One that failed or was cancelled may never have started.
    CONSTRAINT completed_requires_times CHECK (
        (status = 'completed' AND started_at IS NOT NULL AND completed_at IS NOT NULL) OR
        (status IN ('failed', 'cancelled') AND completed_at IS NOT NULL) OR
        (status IN ('pending', 'running'))
    ),
    -- NO ACTION, not RESTRICT: it protects as well, and lets an organization's own cascade take both.
    CONSTRAINT workflow_executions_workflow_fkey FOREIGN KEY (organization_id, workflow_id)
        REFERENCES workflows (organization_id, id),
    CONSTRAINT workflow_executions_version_fkey FOREIGN KEY (organization_id, workflow_id, workflow_version_id)
        REFERENCES workflow_versions (organization_id, workflow_id, id) ON DELETE SET NULL (workflow_version_id)
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_executions_workflow_id ON workflow_executions (workflow_id, created_at DESC);
CREATE INDEX idx_executions_org_status_created ON workflow_executions (organization_id, status, created_at DESC);
CREATE INDEX idx_executions_version ON workflow_executions (workflow_version_id) WHERE workflow_version_id IS NOT NULL;
CREATE INDEX idx_executions_unfinished ON workflow_executions (status, created_at) WHERE status IN ('pending', 'running');
COMMENT ON TABLE workflow_executions IS 'Workflow execution instances (partitioned by month)';
COMMENT ON COLUMN workflow_executions.workflow_version_id IS 'The version that ran; a version of the same workflow';
COMMENT ON COLUMN workflow_executions.duration_ms IS 'completed_at - started_at in milliseconds, set by a trigger';
COMMENT ON COLUMN workflow_executions.created_at IS 'Partition key, month by UTC';

CREATE TABLE execution_steps (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    execution_id UUID NOT NULL,
    step_name VARCHAR(255) NOT NULL,
    step_type VARCHAR(50) NOT NULL,
    step_order INTEGER NOT NULL,
    status VARCHAR(20) NOT NULL DEFAULT 'pending',
    input_data JSONB DEFAULT '{}',
    output_data JSONB DEFAULT '{}',
    error_message TEXT,
    retry_count INTEGER NOT NULL DEFAULT 0,
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    duration_ms BIGINT,
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY (id, created_at),
    CONSTRAINT execution_steps_valid_status CHECK (
        status IN ('pending', 'waiting', 'running', 'completed', 'failed', 'skipped', 'cancelled')
    )
) PARTITION BY RANGE (created_at);
-- Led by the organization: every read has it, and it serves the foreign key as well.
CREATE INDEX idx_execution_steps_order ON execution_steps (organization_id, execution_id, step_order);
CREATE INDEX idx_execution_steps_unfinished ON execution_steps (status, created_at)
    WHERE status IN ('pending', 'waiting', 'running');
COMMENT ON TABLE execution_steps IS 'Individual steps within workflow executions (partitioned by month)';
COMMENT ON COLUMN execution_steps.organization_id IS 'That of the execution';
COMMENT ON COLUMN execution_steps.execution_id IS 'Soft reference to workflow_executions.id';
COMMENT ON COLUMN execution_steps.step_type IS 'ai_summarization, send_email, conditional and the like; the engine''s list';
COMMENT ON COLUMN execution_steps.status IS 'waiting: for an event or a delay; skipped: the branch was not taken';
COMMENT ON COLUMN execution_steps.duration_ms IS 'completed_at - started_at in milliseconds, set by a trigger';
COMMENT ON COLUMN execution_steps.created_at IS 'Partition key, month by UTC';

CREATE TABLE execution_logs (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    execution_id UUID NOT NULL,
    step_id UUID,
    level VARCHAR(20) NOT NULL DEFAULT 'info',
    message TEXT NOT NULL,
    metadata JSONB NOT NULL DEFAULT '{}',
    logged_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY (id, logged_at),
    CONSTRAINT execution_logs_valid_level CHECK (level IN ('debug', 'info', 'warning', 'error'))
) PARTITION BY RANGE (logged_at);
CREATE INDEX idx_execution_logs_execution ON execution_logs (organization_id, execution_id, logged_at);
CREATE INDEX idx_execution_logs_step_id ON execution_logs (step_id) WHERE step_id IS NOT NULL;
COMMENT ON TABLE execution_logs IS 'Detailed execution logs (partitioned by month)';
COMMENT ON COLUMN execution_logs.organization_id IS 'That of the execution';
COMMENT ON COLUMN execution_logs.execution_id IS 'Soft reference to workflow_executions.id';
COMMENT ON COLUMN execution_logs.step_id IS 'Soft reference to execution_steps.id';
COMMENT ON COLUMN execution_logs.logged_at IS 'Partition key, month by UTC';

CREATE FUNCTION calculate_execution_duration() RETURNS trigger
    LANGUAGE plpgsql
AS $function$
BEGIN
    IF NEW.completed_at IS NOT NULL AND NEW.started_at IS NOT NULL THEN
        NEW.duration_ms = EXTRACT(EPOCH FROM (NEW.completed_at - NEW.started_at)) * 1000;
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION calculate_execution_duration() IS 'Sets duration_ms once both times are known';
CREATE TRIGGER calculate_workflow_execution_duration BEFORE INSERT OR UPDATE ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION calculate_execution_duration();
CREATE TRIGGER calculate_execution_step_duration BEFORE INSERT OR UPDATE ON execution_steps
    FOR EACH ROW EXECUTE FUNCTION calculate_execution_duration();

RESET ROLE;
