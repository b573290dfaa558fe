-- Answers of AI calls that carried an Idempotency-Key, so that a call sent twice is answered and billed once.

SET ROLE flowpilot_owner;

CREATE TABLE metering.idempotent_calls (
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    key VARCHAR(255) NOT NULL,
    request_hash VARCHAR(64) NOT NULL,
    request_id UUID NOT NULL,
    claimed_until TIMESTAMPTZ NOT NULL,
    is_stream BOOLEAN NOT NULL DEFAULT FALSE,
    provider VARCHAR(100),
    model VARCHAR(255),
    body BYTEA,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMPTZ NOT NULL,

    PRIMARY KEY (organization_id, key),
    CONSTRAINT idempotent_calls_valid_expiry CHECK (expires_at > created_at)
);
CREATE INDEX idx_idempotent_calls_expires_at ON metering.idempotent_calls (expires_at);
COMMENT ON TABLE metering.idempotent_calls IS 'AI calls with an Idempotency-Key: those that run, and for 24 hours the answers of those that ended well';
COMMENT ON COLUMN metering.idempotent_calls.key IS 'The header Idempotency-Key';
COMMENT ON COLUMN metering.idempotent_calls.request_hash IS 'SHA-256 of dialect, model, delivery and body, hexadecimal';
COMMENT ON COLUMN metering.idempotent_calls.request_id IS 'The request that runs or ran';
COMMENT ON COLUMN metering.idempotent_calls.claimed_until IS 'Without an answer: when its gateway has to have said again that it runs; after that it is taken to be dead, and may be run anew';
COMMENT ON COLUMN metering.idempotent_calls.body IS 'What was answered; NULL while it runs';
COMMENT ON COLUMN metering.idempotent_calls.expires_at IS 'When the key may be used for another call';
SELECT secure_tenant_table('metering.idempotent_calls');

RESET ROLE;
