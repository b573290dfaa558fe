-- Keys of the platform's operator: apart from api_keys, whose keys are tenants'.

SET ROLE flowpilot_owner;

CREATE TABLE tenants.operator_keys (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    key_hash varchar(64) NOT NULL,
    key_prefix varchar(10) NOT NULL,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    revoked_at timestamptz,

    CONSTRAINT operator_keys_key_hash_key UNIQUE (key_hash),
    CONSTRAINT operator_keys_valid_hash CHECK (key_hash ~ '^[0-9a-f]{64}$')
);
CREATE INDEX idx_operator_keys_organization_id ON tenants.operator_keys (organization_id);
CREATE INDEX idx_operator_keys_user_id ON tenants.operator_keys (user_id);
COMMENT ON TABLE tenants.operator_keys IS 'Keys of the platform''s operator, who may act for any organization; only the worker role sees them';
COMMENT ON COLUMN tenants.operator_keys.organization_id IS 'The operator''s own organization, which pays for what the operator asks an AI';
COMMENT ON COLUMN tenants.operator_keys.user_id IS 'The person behind the key; what created_by columns get';
COMMENT ON COLUMN tenants.operator_keys.key_hash IS 'SHA-256 of the key, hexadecimal';
COMMENT ON COLUMN tenants.operator_keys.key_prefix IS 'The key''s 8 public characters';
COMMENT ON COLUMN tenants.operator_keys.last_used_at IS 'Written every 30 seconds at most';
COMMENT ON COLUMN tenants.operator_keys.revoked_at IS 'When it died; null while it works';
SELECT secure_tenant_table('tenants.operator_keys', NULL, 'SELECT, INSERT, UPDATE');

RESET ROLE;
