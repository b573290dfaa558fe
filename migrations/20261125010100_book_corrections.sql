-- Events that are billed in another period than their own, events that correct others, and mark-ups; and how far each journal is booked, by time.

SET ROLE flowpilot_owner;
SET lock_timeout = '2s';

ALTER TABLE usage_events
    ADD COLUMN billed_period DATE,
    ADD COLUMN corrects_id UUID,
    DROP CONSTRAINT usage_events_valid_event_type,
    ADD CONSTRAINT usage_events_valid_event_type
        CHECK (event_type IN ('ai_request', 'api_call', 'execution', 'storage', 'correction', 'markup'));
CREATE INDEX idx_usage_events_billed_period ON usage_events (organization_id, billed_period) WHERE billed_period IS NOT NULL;
CREATE INDEX idx_usage_events_corrects ON usage_events (organization_id, corrects_id) WHERE corrects_id IS NOT NULL;
COMMENT ON COLUMN usage_events.event_type IS 'Sums filter by it; ai_request: one per provider attempt, api_call: one per request, correction: a difference in cost alone, markup: one per mark-up and billing period';
COMMENT ON COLUMN usage_events.billed_period IS 'First day of the billing period that takes the event, where that is not the month of created_at, because that month was invoiced before the event was booked; a FOCUS export calls the event''s charge a Correction. NULL: its own month';
COMMENT ON COLUMN usage_events.corrects_id IS 'Soft reference to usage_events.id: the event, of the same created_at, whose cost this one changes; the cost in force is the sum of both. NULL in a correction: a credit, or a charge, that metadata explains';

ALTER TABLE metering.journal_watermarks
    ADD COLUMN booked_until TIMESTAMPTZ,
    ADD COLUMN is_complete BOOLEAN NOT NULL DEFAULT FALSE;
COMMENT ON COLUMN metering.journal_watermarks.booked_until IS 'All that the node admitted before this moment is booked, give or take the seconds between admission and INTENT; a month closes when it is past the month''s end and grace';
COMMENT ON COLUMN metering.journal_watermarks.is_complete IS 'The node stopped with everything booked, and holds nothing back until it starts again';

RESET lock_timeout;
RESET ROLE;
