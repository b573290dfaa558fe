-- Prices by id: the operator's own, those of single organizations, and every price that a list ever had.

SET ROLE flowpilot_owner;

CREATE TABLE metering.prices (
    id UUID PRIMARY KEY,
    organization_id UUID REFERENCES organizations (id) ON DELETE RESTRICT,
    origin VARCHAR(20) NOT NULL,
    provider VARCHAR(100) NOT NULL,
    model VARCHAR(255) NOT NULL,
    valid TSTZRANGE NOT NULL,
    web_search_usd NUMERIC(20, 6),
    source TEXT NOT NULL,
    source_date DATE,
    created_by UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT prices_valid_origin CHECK (origin IN ('list', 'operator')),
    CONSTRAINT prices_list_is_for_all CHECK (origin = 'operator' OR organization_id IS NULL),
    CONSTRAINT prices_valid_range CHECK (
        isempty(valid) OR ((lower_inf(valid) OR lower_inc(valid)) AND NOT upper_inc(valid))
    ),
    CONSTRAINT prices_web_search_not_negative CHECK (web_search_usd >= 0),
    -- A list is what each gateway read; two versions of it may overlap while gateways are replaced. The operator's prices do not.
    CONSTRAINT prices_no_overlap EXCLUDE USING gist (
        COALESCE(organization_id, '00000000-0000-0000-0000-000000000000'::uuid) WITH =,
        provider WITH =,
        model WITH =,
        valid WITH &&
    ) WHERE (origin = 'operator')
);
CREATE INDEX idx_prices_organization ON metering.prices (organization_id);
COMMENT ON TABLE metering.prices IS 'Every price that may have priced an event, by its id: the operator''s, which come first, and those of price lists. A price is never changed: it ends, and another begins';
COMMENT ON COLUMN metering.prices.id IS 'usage_events.price_id; of a list''s price made from all it says, so that the same price has the same id on every gateway';
COMMENT ON COLUMN metering.prices.organization_id IS 'For whom alone it holds; NULL: for all';
COMMENT ON COLUMN metering.prices.origin IS 'list: read from prices.toml or [metering] prices_file; operator: put by the API or the command line';
COMMENT ON COLUMN metering.prices.provider IS 'As in price lists: providers.NAME.price_provider';
COMMENT ON COLUMN metering.prices.model IS 'As the provider calls it';
COMMENT ON COLUMN metering.prices.valid IS 'The moments of admission that it prices, end not included; empty: withdrawn before it was ever in force, or put right from its beginning on';
COMMENT ON COLUMN metering.prices.web_search_usd IS 'US dollars for a million web searches';
COMMENT ON COLUMN metering.prices.source IS 'Where the price was read, or why it was put';
COMMENT ON COLUMN metering.prices.source_date IS 'When it was read there';
COMMENT ON COLUMN metering.prices.created_by IS 'Who put it; NULL for a list''s, and from the command line';
SELECT secure_tenant_table('metering.prices', app_rights => NULL, worker_rights => 'SELECT, INSERT, UPDATE');

CREATE TABLE metering.price_rates (
    price_id UUID NOT NULL REFERENCES metering.prices (id) ON DELETE RESTRICT,
    service VARCHAR(20) NOT NULL,
    input_tokens_over BIGINT NOT NULL,
    input_usd NUMERIC(20, 6) NOT NULL,
    output_usd NUMERIC(20, 6) NOT NULL,
    cache_read_usd NUMERIC(20, 6),
    cache_write_5m_usd NUMERIC(20, 6),
    cache_write_1h_usd NUMERIC(20, 6),
    reasoning_usd NUMERIC(20, 6),
    audio_input_usd NUMERIC(20, 6),
    audio_output_usd NUMERIC(20, 6),
    image_input_usd NUMERIC(20, 6),

    PRIMARY KEY (price_id, service, input_tokens_over),
    CONSTRAINT price_rates_valid_service CHECK (service IN ('standard', 'batch', 'flex', 'priority')),
    CONSTRAINT price_rates_not_negative CHECK (
        input_tokens_over >= 0
        AND LEAST(input_usd, output_usd, cache_read_usd, cache_write_5m_usd, cache_write_1h_usd, reasoning_usd
                , audio_input_usd, audio_output_usd, image_input_usd) >= 0
    )
);
COMMENT ON TABLE metering.price_rates IS 'What a price says: US dollars per million tokens, by service and length of the input; added with the price, never changed';
COMMENT ON COLUMN metering.price_rates.service IS 'The service that the provider says it used; one without rates of its own costs the standard ones';
COMMENT ON COLUMN metering.price_rates.input_tokens_over IS 'The rates hold for requests of more input tokens than this, as a whole; 0: for all';
COMMENT ON COLUMN metering.price_rates.cache_read_usd IS 'NULL here and below: no rate of its own, it costs as the class it is a part of';
-- No organization stands here: the worker reads it with the price.
GRANT SELECT, INSERT ON metering.price_rates TO flowpilot_worker;

CREATE FUNCTION metering.guard_price() RETURNS trigger
    LANGUAGE plpgsql
AS $function$
BEGIN
    IF to_jsonb(NEW) - 'valid' IS DISTINCT FROM to_jsonb(OLD) - 'valid'
        OR NOT NEW.valid <@ OLD.valid
        OR (NOT isempty(NEW.valid) AND lower(NEW.valid) IS DISTINCT FROM lower(OLD.valid)) THEN
        RAISE EXCEPTION 'metering.prices %: a price can only end', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'guard_price', TABLE = 'prices';
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION metering.guard_price() IS 'Lets a price end and nothing else: what priced an event stays what it was';
CREATE TRIGGER guard_price BEFORE UPDATE ON metering.prices
    FOR EACH ROW EXECUTE FUNCTION metering.guard_price();

-- Counts the changes of prices. One row, locked until the change commits: the numbers are seen in their order.
CREATE TABLE metering.price_epoch (
    only_row BOOLEAN PRIMARY KEY DEFAULT TRUE,
    epoch BIGINT NOT NULL,
    CONSTRAINT price_epoch_only_row CHECK (only_row)
);
COMMENT ON TABLE metering.price_epoch IS 'Grows with every change of prices, so that gateways notice one whose notification they missed';
INSERT INTO metering.price_epoch (epoch) VALUES (1);
GRANT SELECT ON metering.price_epoch TO flowpilot_worker;

CREATE FUNCTION metering.announce_prices() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    UPDATE metering.price_epoch SET epoch = epoch + 1;
    PERFORM pg_notify('flowpilot_prices', '');
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION metering.announce_prices() IS 'Tells the gateways that prices changed';
REVOKE ALL ON FUNCTION metering.announce_prices() FROM PUBLIC;
CREATE TRIGGER announce_prices AFTER INSERT OR UPDATE ON metering.prices
    FOR EACH STATEMENT EXECUTE FUNCTION metering.announce_prices();

RESET ROLE;
