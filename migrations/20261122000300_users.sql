-- People and how they sign in: five of the seven global tables, which belong to no organization.

SET ROLE flowpilot_owner;

CREATE TABLE users (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    email VARCHAR(255) UNIQUE NOT NULL,
    password_hash VARCHAR(255),
    first_name VARCHAR(100) NOT NULL,
    last_name VARCHAR(100) NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    is_staff BOOLEAN NOT NULL DEFAULT FALSE,
    is_superuser BOOLEAN NOT NULL DEFAULT FALSE,
    email_verified BOOLEAN NOT NULL DEFAULT FALSE,
    email_verification_token VARCHAR(255),
    phone_number VARCHAR(20),
    phone_verified BOOLEAN NOT NULL DEFAULT FALSE,
    avatar_url VARCHAR(500),
    timezone VARCHAR(50) NOT NULL DEFAULT 'UTC',
    locale VARCHAR(10) NOT NULL DEFAULT 'en',
    last_login TIMESTAMPTZ,
    password_changed_at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT email_lowercase CHECK (email = LOWER(email))
);
CREATE INDEX idx_users_email_verified ON users (email_verified) WHERE email_verified = FALSE;
CREATE INDEX idx_users_created_at ON users (created_at DESC);
CREATE INDEX idx_users_name_fts ON users USING GIN (to_tsvector('english', first_name || ' ' || last_name));
COMMENT ON TABLE users IS 'Core user accounts; global, a user can be a member of several organizations';
COMMENT ON COLUMN users.password_hash IS 'Password hash with its parameters; NULL for people who sign in through OAuth only';
COMMENT ON COLUMN users.email_verification_token IS 'SHA-256 (hex) of the token that was mailed; NULL after verification';
COMMENT ON COLUMN users.is_staff IS 'Works for the platform''s operator';
COMMENT ON COLUMN users.is_superuser IS 'May do everything on the platform; unrelated to PostgreSQL''s superuser';
SELECT keep_updated_at('users');

CREATE TABLE user_sessions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    refresh_token_hash VARCHAR(255) NOT NULL,
    device_name VARCHAR(255),
    device_type VARCHAR(50),
    browser VARCHAR(100),
    os VARCHAR(100),
    ip_address INET,
    user_agent TEXT,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    expires_at TIMESTAMPTZ NOT NULL,
    last_activity TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT user_sessions_refresh_token_hash_key UNIQUE (refresh_token_hash),
    CONSTRAINT user_sessions_valid_device_type CHECK (device_type IN ('web', 'mobile', 'desktop')),
    CONSTRAINT user_sessions_valid_expiry CHECK (expires_at > created_at)
);
CREATE INDEX idx_user_sessions_user_id ON user_sessions (user_id);
CREATE INDEX idx_user_sessions_expires_at ON user_sessions (expires_at) WHERE is_active = TRUE;
COMMENT ON TABLE user_sessions IS 'Active user sessions with refresh tokens';
COMMENT ON COLUMN user_sessions.refresh_token_hash IS 'SHA-256 (hex) of the refresh token';

CREATE TABLE login_attempts (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    email VARCHAR(255) NOT NULL,
    ip_address INET NOT NULL,
    user_agent TEXT,
    success BOOLEAN NOT NULL,
    failure_reason VARCHAR(100),
    attempted_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT failure_reason_required CHECK (
        (success = TRUE AND failure_reason IS NULL) OR
        (success = FALSE AND failure_reason IS NOT NULL)
    )
);
CREATE INDEX idx_login_attempts_email_attempted ON login_attempts (email, attempted_at DESC);
CREATE INDEX idx_login_attempts_ip_attempted ON login_attempts (ip_address, attempted_at DESC);
CREATE INDEX idx_login_attempts_attempted_at ON login_attempts (attempted_at DESC);
COMMENT ON TABLE login_attempts IS 'Login attempt tracking for security monitoring';
COMMENT ON COLUMN login_attempts.email IS 'As typed, lower-cased; there may be no such user';
COMMENT ON COLUMN login_attempts.failure_reason IS 'invalid_password, account_locked, mfa_failed and the like';

CREATE TABLE mfa_devices (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_name VARCHAR(100) NOT NULL,
    device_type VARCHAR(20) NOT NULL DEFAULT 'totp',
    secret_encrypted TEXT NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    is_verified BOOLEAN NOT NULL DEFAULT FALSE,
    verified_at TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT mfa_devices_valid_device_type CHECK (device_type IN ('totp', 'sms', 'backup_codes'))
);
CREATE INDEX idx_mfa_devices_user_id ON mfa_devices (user_id);
CREATE UNIQUE INDEX unique_active_totp_per_user ON mfa_devices (user_id, device_type)
    WHERE device_type = 'totp' AND is_active;
COMMENT ON TABLE mfa_devices IS 'Multi-factor authentication devices';
COMMENT ON COLUMN mfa_devices.secret_encrypted IS 'TOTP secret or backup codes, encrypted by the application';

CREATE TABLE oauth_connections (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider VARCHAR(50) NOT NULL,
    provider_user_id VARCHAR(255) NOT NULL,
    email VARCHAR(255),
    access_token_encrypted TEXT,
    refresh_token_encrypted TEXT,
    expires_at TIMESTAMPTZ,
    scopes TEXT[],
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT unique_provider_user UNIQUE (provider, provider_user_id)
);
CREATE INDEX idx_oauth_connections_user_id ON oauth_connections (user_id);
COMMENT ON TABLE oauth_connections IS 'OAuth 2.0 connections for SSO';
COMMENT ON COLUMN oauth_connections.provider IS 'google, microsoft, github, okta or any configured OIDC provider';
COMMENT ON COLUMN oauth_connections.access_token_encrypted IS 'Encrypted by the application';
COMMENT ON COLUMN oauth_connections.refresh_token_encrypted IS 'Encrypted by the application';
COMMENT ON COLUMN oauth_connections.expires_at IS 'When the access token ends';
SELECT keep_updated_at('oauth_connections');

RESET ROLE;
