-- What the semantic tier needs beside the rows it had: the direction of an answer, and what its audits found.

SET ROLE flowpilot_owner;
SET lock_timeout = '2s';

ALTER TABLE semantic_cache ADD COLUMN answer_embedding vector(768);
COMMENT ON COLUMN semantic_cache.answer_embedding IS 'Unit vector of the answer by the same embedder, padded with zeros; answers of two questions are compared by it';

CREATE TABLE cache.audits (
    id UUID PRIMARY KEY,
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    model VARCHAR(255) NOT NULL,
    entry_id UUID NOT NULL,
    score REAL NOT NULL,
    is_right BOOLEAN NOT NULL,
    source VARCHAR(20) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,

    CONSTRAINT audits_valid_source CHECK (source IN ('audit', 'feedback'))
);
CREATE INDEX idx_cache_audits_organization ON cache.audits (organization_id, model, created_at);
COMMENT ON TABLE cache.audits IS 'Answers of the semantic tier that were checked: would-be hits that the provider answered too, and what people said';
COMMENT ON COLUMN cache.audits.model IS 'The model as in semantic_cache.model: the scope of a calibration within its organization';
COMMENT ON COLUMN cache.audits.entry_id IS 'Soft reference to semantic_cache.id: entries go, what was learnt from them stays';
COMMENT ON COLUMN cache.audits.score IS 'Log odds, as the gate estimated them, that the answer is right';
COMMENT ON COLUMN cache.audits.is_right IS 'Whether the answer would have been right';
SELECT secure_tenant_table('cache.audits', app_rights => 'SELECT, INSERT', worker_rights => 'SELECT, INSERT, DELETE');

CREATE TABLE cache.purges (
    id UUID PRIMARY KEY,
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX idx_cache_purges_organization ON cache.purges (organization_id);
COMMENT ON TABLE cache.purges IS 'That entries of an organization were purged or quarantined; every gateway reads it by its ids and forgets what it has of that organization';
SELECT secure_tenant_table('cache.purges', app_rights => 'SELECT, INSERT', worker_rights => 'SELECT, INSERT, DELETE');

RESET lock_timeout;
RESET ROLE;
