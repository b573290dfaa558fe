-- What the shipper keeps beside the books: the roll-up that reports read, and how far each journal is shipped.

SET ROLE flowpilot_owner;

CREATE TABLE metering.usage_rollup (
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    day DATE NOT NULL,
    event_type VARCHAR(50) NOT NULL,
    provider VARCHAR(100),
    model VARCHAR(255),
    api_key_id UUID,
    usage_source VARCHAR(20),
    charge_to VARCHAR(20) NOT NULL,
    events BIGINT NOT NULL DEFAULT 0,
    quantity BIGINT NOT NULL DEFAULT 0,
    input_tokens BIGINT NOT NULL DEFAULT 0,
    cache_read_tokens BIGINT NOT NULL DEFAULT 0,
    cache_write_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    reasoning_tokens BIGINT NOT NULL DEFAULT 0,
    cost_usd NUMERIC(24, 12) NOT NULL DEFAULT 0,
    saved_cost_usd NUMERIC(24, 12) NOT NULL DEFAULT 0,

    CONSTRAINT usage_rollup_key UNIQUE NULLS NOT DISTINCT (
        organization_id, day, event_type, provider, model, api_key_id, usage_source, charge_to
    )
) WITH (fillfactor = 70);
CREATE INDEX idx_usage_rollup_day ON metering.usage_rollup (day);
COMMENT ON TABLE metering.usage_rollup IS 'usage_events summed by day and dimension, in the transaction that books them; can be recomputed from them';
COMMENT ON COLUMN metering.usage_rollup.day IS 'By UTC';
COMMENT ON COLUMN metering.usage_rollup.provider IS 'NULL where the event has none: an api_call is not told apart by it';
COMMENT ON COLUMN metering.usage_rollup.events IS 'How many events';
COMMENT ON COLUMN metering.usage_rollup.cost_usd IS 'Unrounded sum';
SELECT secure_tenant_table('metering.usage_rollup', app_rights => 'SELECT');

CREATE TABLE metering.journal_watermarks (
    node_id UUID PRIMARY KEY,
    settled_position BIGINT NOT NULL,
    read_position BIGINT NOT NULL,
    oldest_unsettled_at TIMESTAMPTZ,
    shipped_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT journal_watermarks_order CHECK (settled_position >= 0 AND read_position >= settled_position)
);
COMMENT ON TABLE metering.journal_watermarks IS 'How far each gateway''s journal is booked; a month closes when every node is past it';
COMMENT ON COLUMN metering.journal_watermarks.node_id IS 'The gateway, by its journal';
COMMENT ON COLUMN metering.journal_watermarks.settled_position IS 'Everything before it is settled and booked';
COMMENT ON COLUMN metering.journal_watermarks.read_position IS 'Everything before it is booked as far as it was settled';
COMMENT ON COLUMN metering.journal_watermarks.oldest_unsettled_at IS 'Admission of the oldest request under way; NULL when there is none';
COMMENT ON COLUMN metering.journal_watermarks.shipped_at IS 'By the node''s clock';
GRANT SELECT, INSERT, UPDATE ON metering.journal_watermarks TO flowpilot_worker;

RESET ROLE;
