-- The books: usage events, billing periods, and the keys that usage is booked to.

SET ROLE flowpilot_owner;

CREATE TABLE billing_usage (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    billing_period_start DATE NOT NULL,
    billing_period_end DATE NOT NULL,
    total_executions BIGINT NOT NULL DEFAULT 0,
    total_ai_tokens BIGINT NOT NULL DEFAULT 0,
    total_storage_gb NUMERIC(14, 2) NOT NULL DEFAULT 0,
    total_api_calls BIGINT NOT NULL DEFAULT 0,
    total_cost_usd NUMERIC(14, 2) NOT NULL DEFAULT 0,
    total_cost_usd_exact NUMERIC(24, 12) NOT NULL DEFAULT 0,
    carry_in_usd NUMERIC(24, 12) NOT NULL DEFAULT 0,
    status VARCHAR(20) NOT NULL DEFAULT 'active',
    invoice_id VARCHAR(100),
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT unique_org_billing_period UNIQUE (organization_id, billing_period_start),
    CONSTRAINT valid_period CHECK (billing_period_end > billing_period_start),
    CONSTRAINT billing_usage_valid_status CHECK (status IN ('active', 'invoiced', 'paid')),
    CONSTRAINT invoiced_has_invoice CHECK (status = 'active' OR invoice_id IS NOT NULL),
    CONSTRAINT no_overlap EXCLUDE USING gist (
        organization_id WITH =,
        daterange(billing_period_start, billing_period_end, '[)') WITH &&
    )
);
CREATE INDEX idx_billing_usage_period_start ON billing_usage (billing_period_start DESC);
CREATE INDEX idx_billing_usage_status ON billing_usage (status);
COMMENT ON TABLE billing_usage IS 'Monthly billing usage; a roll-up of usage_events until it is invoiced, frozen afterwards';
COMMENT ON COLUMN billing_usage.billing_period_start IS 'First day, by UTC';
COMMENT ON COLUMN billing_usage.billing_period_end IS 'First day of the next period, by UTC: not part of this one';
COMMENT ON COLUMN billing_usage.total_cost_usd IS 'The invoice''s amount: total_cost_usd_exact + carry_in_usd, rounded once, when the period closes';
COMMENT ON COLUMN billing_usage.total_cost_usd_exact IS 'Unrounded sum of usage_events.cost_usd';
COMMENT ON COLUMN billing_usage.carry_in_usd IS 'What rounding left over in the period before';
COMMENT ON COLUMN billing_usage.invoice_id IS 'Number of the invoice; needed from invoiced on';
SELECT keep_updated_at('billing_usage');

-- A closed period is evidence: it moves forward only, and its amounts do not move at all.
CREATE FUNCTION billing_usage_guard() RETURNS trigger
    LANGUAGE plpgsql
AS $function$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.status <> 'active' THEN
            RAISE EXCEPTION 'billing_usage %: % rows cannot be deleted', OLD.id, OLD.status
                USING ERRCODE = 'check_violation', CONSTRAINT = 'billing_usage_guard', TABLE = 'billing_usage';
        END IF;
        RETURN OLD;
    END IF;
    IF (OLD.status, NEW.status) NOT IN (
        ('active', 'active'), ('active', 'invoiced'), ('invoiced', 'invoiced'), ('invoiced', 'paid'), ('paid', 'paid')
    ) THEN
        RAISE EXCEPTION 'billing_usage %: illegal transition % -> %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'billing_usage_guard', TABLE = 'billing_usage';
    END IF;
    IF OLD.status <> 'active'
        AND to_jsonb(NEW) - ARRAY['status', 'updated_at'] IS DISTINCT FROM to_jsonb(OLD) - ARRAY['status', 'updated_at'] THEN
        RAISE EXCEPTION 'billing_usage %: amounts are frozen once %', OLD.id, OLD.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'billing_usage_guard', TABLE = 'billing_usage';
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION billing_usage_guard() IS 'active -> invoiced -> paid only; everything but the status is frozen from invoiced on';
CREATE TRIGGER billing_usage_guard BEFORE UPDATE OR DELETE ON billing_usage
    FOR EACH ROW EXECUTE FUNCTION billing_usage_guard();

CREATE TABLE api_keys (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    key_hash VARCHAR(64) UNIQUE NOT NULL,
    key_prefix VARCHAR(10) NOT NULL,
    scopes TEXT[] NOT NULL DEFAULT '{}',
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    last_used_at TIMESTAMPTZ,
    expires_at TIMESTAMPTZ,
    created_by UUID NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    revoked_at TIMESTAMPTZ,
    revoked_by UUID REFERENCES users (id) ON DELETE SET NULL
);
CREATE INDEX idx_api_keys_organization_id ON api_keys (organization_id);
CREATE INDEX idx_api_keys_is_active ON api_keys (is_active) WHERE is_active = TRUE;
CREATE INDEX idx_api_keys_expires_at ON api_keys (expires_at) WHERE is_active = TRUE;
COMMENT ON TABLE api_keys IS 'API keys for programmatic access; revoked, never deleted, because usage is booked to them';
COMMENT ON COLUMN api_keys.key_hash IS 'SHA-256 (hex) of the key; the key itself is never stored';
COMMENT ON COLUMN api_keys.key_prefix IS 'The 8 public characters, for recognising a key; of an imported key the first 8 of the hash';
COMMENT ON COLUMN api_keys.scopes IS 'Permissions as noun:verb; the vocabulary is types::permission';
COMMENT ON COLUMN api_keys.last_used_at IS 'Updated in batches, so it lags';

CREATE TABLE usage_events (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    event_type VARCHAR(50) NOT NULL,
    quantity BIGINT NOT NULL DEFAULT 1,
    cost_usd NUMERIC(20, 12) NOT NULL DEFAULT 0,
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    -- beside the specification
    request_id UUID,
    attempt INTEGER,
    outcome VARCHAR(20),
    provider VARCHAR(100),
    model VARCHAR(255),
    api_key_id UUID,
    user_id UUID,
    department_id UUID,
    workflow_id UUID,
    input_tokens BIGINT NOT NULL DEFAULT 0,
    cache_read_tokens BIGINT NOT NULL DEFAULT 0,
    cache_write_5m_tokens BIGINT NOT NULL DEFAULT 0,
    cache_write_1h_tokens BIGINT NOT NULL DEFAULT 0,
    audio_input_tokens BIGINT NOT NULL DEFAULT 0,
    image_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    reasoning_tokens BIGINT NOT NULL DEFAULT 0,
    audio_output_tokens BIGINT NOT NULL DEFAULT 0,
    web_searches BIGINT NOT NULL DEFAULT 0,
    saved_cost_usd NUMERIC(20, 12) NOT NULL DEFAULT 0,
    price_id UUID,
    usage_source VARCHAR(20),
    charge_to VARCHAR(20) NOT NULL DEFAULT 'tenant',
    lease_id UUID,
    tags JSONB NOT NULL DEFAULT '{}',

    PRIMARY KEY (id, created_at),
    CONSTRAINT usage_events_valid_event_type CHECK (event_type IN ('ai_request', 'api_call', 'execution', 'storage')),
    CONSTRAINT usage_events_valid_outcome CHECK (
        outcome IN ('completed', 'replayed', 'rejected', 'failed', 'cancelled', 'unknown')
    ),
    CONSTRAINT usage_events_valid_usage_source CHECK (usage_source IN ('provider', 'estimated', 'unknown', 'cache')),
    CONSTRAINT usage_events_valid_charge_to CHECK (charge_to IN ('tenant', 'platform'))
) PARTITION BY RANGE (created_at);
-- Thousands of rows a second arrive here: as few indexes as will do. The primary key recognises a replayed batch,
-- (organization, time) is what roll-ups and statements read, and the request leads from an ai_requests row to its
-- attempts. Everything else is summed from a month of one organization, which is one range of the second index.
CREATE INDEX idx_usage_events_organization_created ON usage_events (organization_id, created_at);
CREATE INDEX idx_usage_events_request_id ON usage_events (request_id) WHERE request_id IS NOT NULL;
COMMENT ON TABLE usage_events IS 'Detailed usage tracking for billing: append-only facts, of which every total is a sum (partitioned by month)';
COMMENT ON COLUMN usage_events.id IS 'Made in the journal from request, attempt and kind, never regenerated: a replay is recognised by (id, created_at)';
COMMENT ON COLUMN usage_events.event_type IS 'Sums filter by it; ai_request: one per provider attempt, api_call: one per request';
COMMENT ON COLUMN usage_events.quantity IS 'In units of event_type; ai_request: input plus output tokens, 0 for a hit; api_call: 1. Negative in a correction';
COMMENT ON COLUMN usage_events.cost_usd IS 'Tokens by price, exact and unrounded; negative in a correction';
COMMENT ON COLUMN usage_events.created_at IS 'Time of the INTENT in the journal; partition key, month by UTC';
COMMENT ON COLUMN usage_events.request_id IS 'Soft reference to ai_requests.id';
COMMENT ON COLUMN usage_events.attempt IS 'Which attempt of the request, from 1; NULL where there is none';
COMMENT ON COLUMN usage_events.outcome IS 'How the attempt ended; types::outcome';
COMMENT ON COLUMN usage_events.provider IS 'Name of the configured provider';
COMMENT ON COLUMN usage_events.model IS 'The model as it was named to the provider; pricing follows it';
COMMENT ON COLUMN usage_events.api_key_id IS 'Soft reference to api_keys.id';
COMMENT ON COLUMN usage_events.user_id IS 'Soft reference to users.id';
COMMENT ON COLUMN usage_events.department_id IS 'Soft reference to departments.id: where the cost belonged at that time';
COMMENT ON COLUMN usage_events.workflow_id IS 'Soft reference to workflows.id';
COMMENT ON COLUMN usage_events.input_tokens IS 'All input tokens, the classes below included';
COMMENT ON COLUMN usage_events.cache_read_tokens IS 'Part of input_tokens read from the provider''s prompt cache';
COMMENT ON COLUMN usage_events.cache_write_5m_tokens IS 'Part of input_tokens written to the provider''s prompt cache for 5 minutes';
COMMENT ON COLUMN usage_events.cache_write_1h_tokens IS 'Part of input_tokens written to the provider''s prompt cache for an hour';
COMMENT ON COLUMN usage_events.audio_input_tokens IS 'Part of input_tokens that was audio';
COMMENT ON COLUMN usage_events.image_tokens IS 'Part of input_tokens that was images';
COMMENT ON COLUMN usage_events.output_tokens IS 'All output tokens, the classes below included';
COMMENT ON COLUMN usage_events.reasoning_tokens IS 'Part of output_tokens spent on reasoning';
COMMENT ON COLUMN usage_events.audio_output_tokens IS 'Part of output_tokens that was audio';
COMMENT ON COLUMN usage_events.web_searches IS 'Searches the provider made and charges for, a count';
COMMENT ON COLUMN usage_events.saved_cost_usd IS 'What an answer from the cache would have cost';
COMMENT ON COLUMN usage_events.price_id IS 'Soft reference to metering.prices.id: the price this was reckoned with';
COMMENT ON COLUMN usage_events.usage_source IS 'Who counted; unknown: recovered after a crash, at the estimate';
COMMENT ON COLUMN usage_events.charge_to IS 'platform: booked, but not on the tenant''s invoice, as for audits of the cache';
COMMENT ON COLUMN usage_events.lease_id IS 'Soft reference to metering.quota_leases.id: the lease it was spent from';
COMMENT ON COLUMN usage_events.tags IS 'The caller''s own labels for reports: text to text';

RESET ROLE;
