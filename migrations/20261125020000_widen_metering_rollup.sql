-- Every dimension that finance asks for: the roll-up by who and what becomes wider; tags, and charges by token class, get ones of their own.

SET ROLE flowpilot_owner;
SET lock_timeout = '2s';

ALTER TABLE metering.usage_rollup
    ADD COLUMN user_id UUID,
    ADD COLUMN department_id UUID,
    ADD COLUMN workflow_id UUID,
    ADD COLUMN price_id UUID,
    ADD COLUMN service VARCHAR(20),
    ADD COLUMN outcome VARCHAR(20),
    ADD COLUMN audio_input_tokens BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN image_tokens BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN audio_output_tokens BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN web_searches BIGINT NOT NULL DEFAULT 0,
    -- Rows that are there keep their sums under NULLs, which reports show as unallocated, until they are recomputed.
    DROP CONSTRAINT usage_rollup_key;
-- Under its old name, so that a gateway of the version before finds it while both run.
ALTER TABLE metering.usage_rollup ADD CONSTRAINT usage_rollup_key UNIQUE NULLS NOT DISTINCT (
    organization_id, day, event_type, model, api_key_id, user_id, department_id, workflow_id, provider, price_id
  , service, usage_source, outcome, charge_to
);
COMMENT ON COLUMN metering.usage_rollup.user_id IS 'Soft reference to users.id';
COMMENT ON COLUMN metering.usage_rollup.department_id IS 'Soft reference to departments.id: where the cost belonged at that time';
COMMENT ON COLUMN metering.usage_rollup.workflow_id IS 'Soft reference to workflows.id';
COMMENT ON COLUMN metering.usage_rollup.price_id IS 'Soft reference to metering.prices.id; NULL for a hit, an api_call, and what has no price';
COMMENT ON COLUMN metering.usage_rollup.service IS 'The service that the provider says it used: standard, batch, flex or priority; NULL for a hit and an api_call';
COMMENT ON COLUMN metering.usage_rollup.outcome IS 'How the attempt ended, as in usage_events; NULL for an api_call';
COMMENT ON COLUMN metering.usage_rollup.web_searches IS 'A count';

CREATE TABLE metering.tag_rollup (
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    day DATE NOT NULL,
    tag_key VARCHAR(64) NOT NULL,
    tag_value VARCHAR(128) NOT NULL,
    provider VARCHAR(100) NOT NULL,
    model VARCHAR(255) NOT NULL,
    usage_source VARCHAR(20),
    outcome VARCHAR(20),
    charge_to VARCHAR(20) NOT NULL,
    events BIGINT NOT NULL DEFAULT 0,
    input_tokens BIGINT NOT NULL DEFAULT 0,
    cache_read_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    reasoning_tokens BIGINT NOT NULL DEFAULT 0,
    cost_usd NUMERIC(24, 12) NOT NULL DEFAULT 0,
    saved_cost_usd NUMERIC(24, 12) NOT NULL DEFAULT 0,

    CONSTRAINT tag_rollup_key UNIQUE NULLS NOT DISTINCT (
        organization_id, day, tag_key, tag_value, model, provider, usage_source, outcome, charge_to
    )
) WITH (fillfactor = 70);
CREATE INDEX idx_tag_rollup_day ON metering.tag_rollup (day);
COMMENT ON TABLE metering.tag_rollup IS 'ai_request events summed by day and tag: an event counts once under each of its tags, so rows of one key add up and rows of several do not. Can be recomputed from usage_events';
COMMENT ON COLUMN metering.tag_rollup.day IS 'By UTC';
COMMENT ON COLUMN metering.tag_rollup.tag_key IS 'Cut at its width; tags whose first 64 characters are the same are one';
COMMENT ON COLUMN metering.tag_rollup.tag_value IS 'Cut at its width';
COMMENT ON COLUMN metering.tag_rollup.events IS 'How many events';
COMMENT ON COLUMN metering.tag_rollup.cost_usd IS 'Unrounded sum';
SELECT secure_tenant_table('metering.tag_rollup', app_rights => 'SELECT');

CREATE TABLE metering.charge_rollup (
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    day DATE NOT NULL,
    billed_period DATE,
    provider VARCHAR(100) NOT NULL,
    model VARCHAR(255) NOT NULL,
    price_id UUID,
    service VARCHAR(20),
    token_class VARCHAR(20) NOT NULL,
    unit_price_usd NUMERIC(24, 6) NOT NULL,
    usage_source VARCHAR(20),
    outcome VARCHAR(20),
    charge_to VARCHAR(20) NOT NULL,
    events BIGINT NOT NULL DEFAULT 0,
    quantity BIGINT NOT NULL DEFAULT 0,
    cost_usd NUMERIC(24, 12) NOT NULL DEFAULT 0,

    CONSTRAINT charge_rollup_key UNIQUE NULLS NOT DISTINCT (
        organization_id, day, billed_period, model, provider, price_id, service, token_class, unit_price_usd, usage_source
      , outcome, charge_to
    ),
    CONSTRAINT charge_rollup_valid_token_class CHECK (
        token_class IN (
            'input', 'audio_input', 'image_input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'output', 'reasoning'
          , 'audio_output', 'web_search', 'undivided'
        )
    ),
    -- What makes the rows fit for an invoice: nothing was rounded.
    CONSTRAINT charge_rollup_quantity_times_price_is_cost CHECK (cost_usd * 1000000 = quantity * unit_price_usd)
) WITH (fillfactor = 70);
CREATE INDEX idx_charge_rollup_day ON metering.charge_rollup (day);
CREATE INDEX idx_charge_rollup_billed_period ON metering.charge_rollup (billed_period, organization_id);
COMMENT ON TABLE metering.charge_rollup IS 'Costs of usage_events taken apart by token class and unit price, summed by day; what invoices and the FOCUS export are made of. Can be recomputed from usage_events';
COMMENT ON COLUMN metering.charge_rollup.day IS 'By UTC';
COMMENT ON COLUMN metering.charge_rollup.billed_period IS 'First day of the billing period the cost is in: its own month, or a later one where that was closed; NULL for what no organization pays';
COMMENT ON COLUMN metering.charge_rollup.price_id IS 'Soft reference to metering.prices.id; NULL where there was none';
COMMENT ON COLUMN metering.charge_rollup.service IS 'The service that the provider says it used: standard, batch, flex or priority';
COMMENT ON COLUMN metering.charge_rollup.token_class IS 'The class the quantity counts; each token is in exactly one. undivided: one per event whose cost cannot be taken apart, because its price is not to be had any more, or because it is a correction';
COMMENT ON COLUMN metering.charge_rollup.unit_price_usd IS 'US dollars for a million of the class';
COMMENT ON COLUMN metering.charge_rollup.events IS 'How many events had this class';
COMMENT ON COLUMN metering.charge_rollup.quantity IS 'Tokens, searches, or events, as the class says; negative in a correction';
COMMENT ON COLUMN metering.charge_rollup.cost_usd IS 'Unrounded sum; over all rows the sum of usage_events.cost_usd';
SELECT secure_tenant_table('metering.charge_rollup', app_rights => 'SELECT');

CREATE TABLE metering.daily_actors (
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    day DATE NOT NULL,
    kind VARCHAR(10) NOT NULL,
    actor_id UUID NOT NULL,
    PRIMARY KEY (organization_id, day, kind, actor_id),
    CONSTRAINT daily_actors_valid_kind CHECK (kind IN ('user', 'workflow'))
);
COMMENT ON TABLE metering.daily_actors IS 'Who was active on a day: what daily_metrics.active_users and active_workflows count';
COMMENT ON COLUMN metering.daily_actors.day IS 'By UTC';
COMMENT ON COLUMN metering.daily_actors.actor_id IS 'Soft reference to users.id or workflows.id, as kind says';
SELECT secure_tenant_table('metering.daily_actors', app_rights => NULL, worker_rights => 'SELECT, INSERT, DELETE');

RESET lock_timeout;
RESET ROLE;
