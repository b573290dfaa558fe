-- The requests whose usage nobody knows are few among many, and are looked for by their time.

SET ROLE flowpilot_owner;

CREATE INDEX idx_usage_events_unknown ON usage_events (created_at) WHERE usage_source = 'unknown';
COMMENT ON INDEX idx_usage_events_unknown IS 'The reconciliation list: what was booked at an estimate because a gateway did not live to settle it';

RESET ROLE;
