-- Invoices and their lines, the numbers they get, and what is put on top of providers' prices.

SET ROLE flowpilot_owner;
SET lock_timeout = '2s';

CREATE TABLE metering.markups (
    id UUID PRIMARY KEY,
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    name VARCHAR(100) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    rate NUMERIC(20, 6) NOT NULL,
    first_period DATE NOT NULL,
    end_period DATE,
    created_by UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT markups_valid_kind CHECK (kind IN ('percent', 'per_million_tokens')),
    CONSTRAINT markups_whole_months CHECK (
        extract(day FROM first_period) = 1 AND extract(day FROM end_period) = 1 AND end_period >= first_period
    ),
    CONSTRAINT markups_no_overlap EXCLUDE USING gist (
        organization_id WITH =, name WITH =, daterange(first_period, end_period) WITH &&
    )
);
CREATE INDEX idx_markups_organization ON metering.markups (organization_id);
COMMENT ON TABLE metering.markups IS 'What an organization pays on top of providers'' prices: an event and an invoice line of its own per billing period, never part of a price';
COMMENT ON COLUMN metering.markups.name IS 'What the invoice calls it';
COMMENT ON COLUMN metering.markups.rate IS 'percent: of the period''s cost; per_million_tokens: US dollars; a discount is below zero';
COMMENT ON COLUMN metering.markups.first_period IS 'First day of the first billing period it is in';
COMMENT ON COLUMN metering.markups.end_period IS 'First day of the first billing period it is no longer in; NULL: no end is known; the same as first_period: withdrawn';
SELECT secure_tenant_table('metering.markups', app_rights => NULL, worker_rights => 'SELECT, INSERT');
-- A mark-up ends; nothing else of it changes.
GRANT UPDATE (end_period) ON metering.markups TO flowpilot_worker;

CREATE TABLE metering.invoice_numbers (
    year INTEGER PRIMARY KEY,
    last_number BIGINT NOT NULL
);
COMMENT ON TABLE metering.invoice_numbers IS 'The last number of each year. A row, not a sequence: a number that is taken is used, or taken back with its transaction, so none is missing';
GRANT SELECT, INSERT, UPDATE ON metering.invoice_numbers TO flowpilot_worker;

ALTER TABLE billing_usage ADD CONSTRAINT billing_usage_organization_id_id_key UNIQUE (organization_id, id);

CREATE TABLE metering.invoices (
    id UUID PRIMARY KEY,
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    billing_usage_id UUID NOT NULL,
    number VARCHAR(100) NOT NULL UNIQUE,
    period_start DATE NOT NULL,
    period_end DATE NOT NULL,
    exact_usd NUMERIC(24, 12) NOT NULL,
    carry_in_usd NUMERIC(24, 12) NOT NULL,
    carry_out_usd NUMERIC(24, 12) NOT NULL,
    total_usd NUMERIC(14, 2) NOT NULL,
    total_tokens BIGINT NOT NULL,
    total_calls BIGINT NOT NULL,
    issued_at TIMESTAMPTZ NOT NULL,
    issued_by UUID REFERENCES users (id) ON DELETE SET NULL,
    paid_at TIMESTAMPTZ,
    payment_reference VARCHAR(200),

    CONSTRAINT invoices_organization_id_id_key UNIQUE (organization_id, id),
    CONSTRAINT invoices_one_per_period UNIQUE (organization_id, billing_usage_id),
    CONSTRAINT invoices_billing_usage_fkey FOREIGN KEY (organization_id, billing_usage_id)
        REFERENCES billing_usage (organization_id, id) ON DELETE RESTRICT,
    CONSTRAINT invoices_nothing_lost CHECK (exact_usd + carry_in_usd = total_usd + carry_out_usd),
    CONSTRAINT invoices_total_not_negative CHECK (total_usd >= 0),
    CONSTRAINT invoices_valid_period CHECK (period_end > period_start)
);
CREATE INDEX idx_invoices_organization_period ON metering.invoices (organization_id, period_start DESC);
COMMENT ON TABLE metering.invoices IS 'What a closed billing period comes to; issued once, never changed but for its payment';
COMMENT ON COLUMN metering.invoices.number IS 'billing_usage.invoice_id: the year of issue, and the next number of that year without a gap';
COMMENT ON COLUMN metering.invoices.period_start IS 'First day, by UTC';
COMMENT ON COLUMN metering.invoices.period_end IS 'First day after it, by UTC';
COMMENT ON COLUMN metering.invoices.exact_usd IS 'Unrounded sum of the events that the period bills, mark-ups included';
COMMENT ON COLUMN metering.invoices.carry_in_usd IS 'What earlier periods left over: less than a cent of rounding, or a credit';
COMMENT ON COLUMN metering.invoices.carry_out_usd IS 'What is left to the next open period: at most half a cent either way, or the whole of a credit';
COMMENT ON COLUMN metering.invoices.total_usd IS 'exact_usd + carry_in_usd, rounded once, half a cent up; never below 0';
COMMENT ON COLUMN metering.invoices.payment_reference IS 'How it was paid, in the operator''s words';
SELECT secure_tenant_table('metering.invoices', app_rights => 'SELECT', worker_rights => 'SELECT, INSERT');
GRANT UPDATE (paid_at, payment_reference) ON metering.invoices TO flowpilot_worker;

CREATE TABLE metering.invoice_lines (
    invoice_id UUID NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    breakdown VARCHAR(20) NOT NULL,
    position INTEGER NOT NULL,
    kind VARCHAR(20) NOT NULL,
    department_id UUID,
    provider VARCHAR(100),
    model VARCHAR(255),
    service VARCHAR(20),
    token_class VARCHAR(20),
    quantity BIGINT,
    unit_price_usd NUMERIC(24, 6),
    exact_usd NUMERIC(24, 12) NOT NULL,
    amount_usd NUMERIC(14, 2) NOT NULL,

    PRIMARY KEY (invoice_id, breakdown, position),
    CONSTRAINT invoice_lines_invoice_fkey FOREIGN KEY (organization_id, invoice_id)
        REFERENCES metering.invoices (organization_id, id) ON DELETE RESTRICT,
    CONSTRAINT invoice_lines_valid_breakdown CHECK (breakdown IN ('charge', 'department')),
    CONSTRAINT invoice_lines_valid_kind CHECK (
        kind IN ('usage', 'correction', 'markup', 'carry_in', 'carry_out', 'department')
    )
);
CREATE INDEX idx_invoice_lines_invoice ON metering.invoice_lines (organization_id, invoice_id);
COMMENT ON TABLE metering.invoice_lines IS 'An invoice twice over: by what was charged, and by who used it; the amounts of either add up to its total to the cent';
COMMENT ON COLUMN metering.invoice_lines.breakdown IS 'charge: models by token class, mark-ups, corrections and what is carried; department: shares of the total';
COMMENT ON COLUMN metering.invoice_lines.department_id IS 'Soft reference to departments.id; NULL in a department line: used by nobody''s department';
COMMENT ON COLUMN metering.invoice_lines.quantity IS 'Tokens, searches, or events, as token_class says';
COMMENT ON COLUMN metering.invoice_lines.unit_price_usd IS 'US dollars for a million; quantity times it is exact_usd where it stands';
COMMENT ON COLUMN metering.invoice_lines.exact_usd IS 'Unrounded; of a department, what it used at providers'' prices, mark-ups without a department left out';
COMMENT ON COLUMN metering.invoice_lines.amount_usd IS 'Whole cents, by largest remainder';
SELECT secure_tenant_table('metering.invoice_lines', app_rights => 'SELECT', worker_rights => 'SELECT, INSERT');

CREATE FUNCTION metering.guard_invoice() RETURNS trigger
    LANGUAGE plpgsql
AS $function$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'invoices'
        AND to_jsonb(NEW) - ARRAY['paid_at', 'payment_reference'] = to_jsonb(OLD) - ARRAY['paid_at', 'payment_reference']
        AND to_jsonb(OLD) ->> 'paid_at' IS NULL THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '%: an issued invoice is not changed', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = 'guard_invoice', TABLE = TG_TABLE_NAME;
END
$function$;
COMMENT ON FUNCTION metering.guard_invoice() IS 'An invoice is paid once; nothing else of it or of its lines ever changes';
CREATE TRIGGER guard_invoice BEFORE UPDATE OR DELETE ON metering.invoices
    FOR EACH ROW EXECUTE FUNCTION metering.guard_invoice();
CREATE TRIGGER guard_invoice BEFORE UPDATE OR DELETE ON metering.invoice_lines
    FOR EACH ROW EXECUTE FUNCTION metering.guard_invoice();

UPDATE roles
   SET permissions = permissions || '{"invoices": {"read": true}}'
 WHERE organization_id IS NULL
   AND slug IN ('owner', 'admin');

RESET lock_timeout;
RESET ROLE;
