-- The fixed books that the FOCUS export is checked on: two organizations, one with an invoice and usage that came late, one open; every
-- class of tokens, two services, a context tier, a price that changed, a mark-up, corrections, a hit, a failed and an unknown attempt,
-- a call of the platform's own, and a price that is not to be had any more.

INSERT INTO organizations (id, name, slug) VALUES
    ('0199a000-0000-7000-8000-000000000001', 'Acme, "Ltd."', 'acme'),
    ('0199a000-0000-7000-8000-000000000002', 'Globex', 'globex');

INSERT INTO metering.prices (id, origin, provider, model, valid, web_search_usd, source) VALUES
    ('0199b000-0000-7000-8000-000000000001', 'list', 'gemini', 'gemini-2.5-flash', '[2026-01-01Z, 2026-10-15 12:00Z)', 35000, 'fixed'),
    ('0199b000-0000-7000-8000-000000000002', 'list', 'gemini', 'gemini-2.5-flash', '[2026-10-15 12:00Z,)', 35000, 'fixed'),
    ('0199b000-0000-7000-8000-000000000003', 'list', 'anthropic', 'claude-sonnet-5', '[2026-01-01Z,)', NULL, 'fixed');
INSERT INTO metering.price_rates
       ( price_id, service, input_tokens_over, input_usd, output_usd, cache_read_usd, cache_write_5m_usd, cache_write_1h_usd
       , reasoning_usd, audio_input_usd, audio_output_usd, image_input_usd ) VALUES
    ('0199b000-0000-7000-8000-000000000001', 'standard', 0, 0.3, 2.5, 0.03, NULL, NULL, NULL, 1, 12, 0.33),
    ('0199b000-0000-7000-8000-000000000001', 'batch', 0, 0.15, 1.25, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('0199b000-0000-7000-8000-000000000002', 'standard', 0, 0.25, 2.000001, 0.025, NULL, NULL, 2.5, 1, 12, NULL),
    ('0199b000-0000-7000-8000-000000000003', 'standard', 0, 3, 15, 0.3, 3.75, 6, NULL, NULL, NULL, NULL),
    ('0199b000-0000-7000-8000-000000000003', 'standard', 200000, 6, 22.5, 0.6, 7.5, 12, NULL, NULL, NULL, NULL);

-- Costs are reckoned here by hand, so that the program's arithmetic is compared with other one's.
INSERT INTO usage_events
       ( id, created_at, organization_id, event_type, quantity, cost_usd, provider, model, price_id, outcome, usage_source, charge_to
       , input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, audio_input_tokens, image_tokens
       , output_tokens, reasoning_tokens, audio_output_tokens, web_searches, saved_cost_usd, metadata, billed_period ) VALUES
    -- 1,000 text, 200 audio, 100 image, 700 cached in; 300 text, 150 reasoning, 50 audio out; two searches:
    -- 0.0003 + 0.0002 + 0.000033 + 0.000021 + 0.00075 + 0.000375 + 0.0006 + 0.07
    ('0199c000-0000-7000-8000-000000000001', '2026-10-14 09:30Z', '0199a000-0000-7000-8000-000000000001', 'ai_request', 2500, 0.072279
    , 'gemini', 'gemini-2.5-flash', '0199b000-0000-7000-8000-000000000001', 'completed', 'provider', 'tenant'
    , 2000, 700, 0, 0, 200, 100, 500, 150, 50, 2, 0, '{}', NULL),
    -- The same day in a batch: 1,000,000 × 0.15 + 100,000 × 1.25
    ('0199c000-0000-7000-8000-000000000002', '2026-10-14 10:30Z', '0199a000-0000-7000-8000-000000000001', 'ai_request', 1100000, 0.275
    , 'gemini', 'gemini-2.5-flash', '0199b000-0000-7000-8000-000000000001', 'completed', 'provider', 'tenant'
    , 1000000, 0, 0, 0, 0, 0, 100000, 0, 0, 0, 0, '{"service": "batch"}', NULL),
    -- Before and after the price changed, at noon: 7 × 0.3 + 3 × 2.5, then 7 × 0.25 + 3 × 2.000001 millionths
    ('0199c000-0000-7000-8000-000000000003', '2026-10-15 11:59:59.999999Z', '0199a000-0000-7000-8000-000000000001', 'ai_request', 10, 0.0000096
    , 'gemini', 'gemini-2.5-flash', '0199b000-0000-7000-8000-000000000001', 'completed', 'provider', 'tenant'
    , 7, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, '{}', NULL),
    ('0199c000-0000-7000-8000-000000000004', '2026-10-15 12:00Z', '0199a000-0000-7000-8000-000000000001', 'ai_request', 10, 0.000007750003
    , 'gemini', 'gemini-2.5-flash', '0199b000-0000-7000-8000-000000000002', 'failed', 'estimated', 'tenant'
    , 7, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, '{}', NULL),
    -- Cache writes beyond the context tier: 100,000 × 6 + 50,000 × 7.5 + 60,000 × 12 + 40,000 × 0.6 + 10 × 22.5
    ('0199c000-0000-7000-8000-000000000005', '2026-10-31 23:59:59.999999Z', '0199a000-0000-7000-8000-000000000001', 'ai_request', 250010, 1.719225
    , 'anthropic', 'claude-sonnet-5', '0199b000-0000-7000-8000-000000000003', 'completed', 'provider', 'tenant'
    , 250000, 40000, 50000, 60000, 0, 0, 10, 0, 0, 0, 0, '{}', NULL),
    -- A hit, and a call: no cost.
    ('0199c000-0000-7000-8000-000000000006', '2026-10-16 08:00Z', '0199a000-0000-7000-8000-000000000001', 'ai_request', 0, 0
    , 'gemini', 'gemini-2.5-flash', NULL, 'replayed', 'cache', 'tenant', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5, '{}', NULL),
    ('0199c000-0000-7000-8000-000000000007', '2026-10-16 08:00Z', '0199a000-0000-7000-8000-000000000001', 'api_call', 1, 0
    , 'gemini', 'gemini-2.5-flash', NULL, 'replayed', NULL, 'tenant', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', NULL),
    -- The platform's own: on nobody's invoice.
    ('0199c000-0000-7000-8000-000000000008', '2026-10-16 09:00Z', '0199a000-0000-7000-8000-000000000001', 'ai_request', 1000, 0.0003
    , 'gemini', 'gemini-2.5-flash', '0199b000-0000-7000-8000-000000000001', 'completed', 'provider', 'platform'
    , 1000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', NULL),
    -- A correction of the month itself, and a mark-up.
    ('0199c000-0000-7000-8000-000000000009', '2026-10-14 09:30Z', '0199a000-0000-7000-8000-000000000001', 'correction', 0, -0.01
    , 'gemini', 'gemini-2.5-flash', '0199b000-0000-7000-8000-000000000002', NULL, NULL, 'tenant', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', NULL),
    ('0199c000-0000-7000-8000-00000000000a', '2026-10-31 12:00Z', '0199a000-0000-7000-8000-000000000001', 'markup', 1, 0.2067
    , 'gemini', 'gemini-2.5-flash', NULL, NULL, NULL, 'tenant', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', NULL),
    -- October's usage that came after October was invoiced: in November, as a correction.
    ('0199c000-0000-7000-8000-00000000000b', '2026-10-30 07:00Z', '0199a000-0000-7000-8000-000000000001', 'ai_request', 1000, 0.0025
    , 'gemini', 'gemini-2.5-flash', '0199b000-0000-7000-8000-000000000002', 'unknown', 'unknown', 'tenant'
    , 10000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', '2026-11-01'),
    ('0199c000-0000-7000-8000-00000000000c', '2026-11-02 07:00Z', '0199a000-0000-7000-8000-000000000001', 'ai_request', 2000, 0.0005
    , 'gemini', 'gemini-2.5-flash', '0199b000-0000-7000-8000-000000000002', 'completed', 'provider', 'tenant'
    , 2000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', NULL),
    -- The other organization: one model without a price, and one whose price is gone.
    ('0199c000-0000-7000-8000-00000000000d', '2026-10-20 07:00Z', '0199a000-0000-7000-8000-000000000002', 'ai_request', 300, 0
    , 'house', 'our-own-7b', NULL, 'completed', 'provider', 'tenant', 200, 0, 0, 0, 0, 0, 100, 0, 0, 0, 0, '{"unpriced": true}', NULL),
    ('0199c000-0000-7000-8000-00000000000e', '2026-10-20 08:00Z', '0199a000-0000-7000-8000-000000000002', 'ai_request', 30, 0.000123456789
    , 'openai', 'gpt-gone', '0199b000-0000-7000-8000-0000000000ff', 'completed', 'provider', 'tenant'
    , 20, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, '{}', NULL);

INSERT INTO billing_usage
       (organization_id, billing_period_start, billing_period_end, total_cost_usd_exact, total_cost_usd, carry_in_usd, status, invoice_id) VALUES
    -- 0.072279 + 0.275 + 0.0000096 + 0.000007750003 + 1.719225 − 0.01 + 0.2067, rounded with 0.0036 of September
    ('0199a000-0000-7000-8000-000000000001', '2026-10-01', '2026-11-01', 2.263221350003, 2.27, 0.0036, 'invoiced', 'FP-2026-10-0001'),
    ('0199a000-0000-7000-8000-000000000001', '2026-11-01', '2026-12-01', 0.003, 0, 0, 'active', NULL),
    ('0199a000-0000-7000-8000-000000000002', '2026-10-01', '2026-11-01', 0.000123456789, 0, 0, 'active', NULL);
