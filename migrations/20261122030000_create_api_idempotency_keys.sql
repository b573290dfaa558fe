-- Answers of creating requests, so that a request sent twice creates once.

SET ROLE flowpilot_owner;

CREATE TABLE api.idempotency_keys (
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    principal_id uuid NOT NULL,
    key varchar(255) NOT NULL,
    request_hash varchar(64) NOT NULL,
    status smallint NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at timestamptz NOT NULL,

    PRIMARY KEY (organization_id, principal_id, key),
    CONSTRAINT idempotency_keys_valid_status CHECK (status BETWEEN 200 AND 299),
    CONSTRAINT idempotency_keys_valid_expiry CHECK (expires_at > created_at)
);
CREATE INDEX idx_idempotency_keys_expires_at ON api.idempotency_keys (expires_at);
COMMENT ON TABLE api.idempotency_keys IS 'Answers of creating requests, kept for 24 hours; written in the transaction that creates';
COMMENT ON COLUMN api.idempotency_keys.organization_id IS 'The tenant the request was about';
COMMENT ON COLUMN api.idempotency_keys.principal_id IS 'The API key or user that sent it (soft reference: operator keys live elsewhere); another one may use the same text';
COMMENT ON COLUMN api.idempotency_keys.key IS 'The header Idempotency-Key';
COMMENT ON COLUMN api.idempotency_keys.request_hash IS 'SHA-256 of method, path, query and body, hexadecimal';
COMMENT ON COLUMN api.idempotency_keys.status IS 'The HTTP status that was answered';
COMMENT ON COLUMN api.idempotency_keys.body IS 'The JSON that was answered, without secrets';
COMMENT ON COLUMN api.idempotency_keys.expires_at IS 'When the key may be used for another request';
SELECT secure_tenant_table('api.idempotency_keys', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE');

RESET ROLE;
