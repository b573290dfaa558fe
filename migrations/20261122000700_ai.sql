-- The AI engine: requests, prompt templates, the semantic cache, fine-tuning jobs.

SET ROLE flowpilot_owner;

CREATE TABLE ai_requests (
    id UUID NOT NULL DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    execution_id UUID,
    step_id UUID,
    model VARCHAR(255) NOT NULL,
    prompt_text TEXT NOT NULL,
    prompt_tokens BIGINT,
    completion_text TEXT,
    completion_tokens BIGINT,
    total_tokens BIGINT,
    temperature NUMERIC(3, 2),
    status VARCHAR(20) NOT NULL DEFAULT 'pending',
    error_message TEXT,
    latency_ms BIGINT,
    cost_usd NUMERIC(20, 12),
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    completed_at TIMESTAMPTZ,
    -- beside the specification
    api_key_id UUID,
    user_id UUID,
    department_id UUID,
    workflow_id UUID,
    endpoint VARCHAR(50),
    dialect VARCHAR(20),
    provider VARCHAR(100),
    provider_model VARCHAR(255),
    stream BOOLEAN NOT NULL DEFAULT FALSE,
    attempts INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    reasoning_tokens BIGINT,
    saved_cost_usd NUMERIC(20, 12),
    cache_status VARCHAR(20),
    usage_source VARCHAR(20),
    error_kind VARCHAR(50),
    time_to_first_token_ms BIGINT,
    tags JSONB NOT NULL DEFAULT '{}',

    PRIMARY KEY (id, created_at),
    CONSTRAINT ai_requests_valid_status CHECK (
        status IN ('pending', 'streaming', 'completed', 'failed', 'cancelled', 'cached')
    ),
    CONSTRAINT ai_requests_valid_cache_status CHECK (
        cache_status IN ('exact', 'normalized', 'semantic', 'coalesced', 'miss', 'bypass')
    ),
    CONSTRAINT ai_requests_valid_usage_source CHECK (usage_source IN ('provider', 'estimated', 'unknown', 'cache')),
    CONSTRAINT ai_requests_non_negative CHECK (
        prompt_tokens >= 0 AND completion_tokens >= 0 AND total_tokens >= 0
        AND cache_read_tokens >= 0 AND cache_write_tokens >= 0 AND reasoning_tokens >= 0
        AND cost_usd >= 0 AND saved_cost_usd >= 0 AND attempts >= 0
    )
) PARTITION BY RANGE (created_at);
-- Thousands of rows a second arrive here, and each index is paid for by each row: so only the primary key (with
-- which a replayed batch is recognised), the list of an organization, and what a workflow's page looks up. Both of
-- those are partial: most requests come from no workflow and leave the indexes alone. No index per key, user,
-- department, model or status: lists filter within (organization, time), reports read the roll-ups.
CREATE INDEX idx_ai_requests_organization_created ON ai_requests (organization_id, created_at DESC);
CREATE INDEX idx_ai_requests_execution_id ON ai_requests (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX idx_ai_requests_step_id ON ai_requests (step_id) WHERE step_id IS NOT NULL;
COMMENT ON TABLE ai_requests IS 'One row per admitted AI request, for billing and analytics (partitioned by month)';
COMMENT ON COLUMN ai_requests.id IS 'The request id that the caller got in the x-flowpilot-request-id header';
COMMENT ON COLUMN ai_requests.execution_id IS 'Soft reference to workflow_executions.id';
COMMENT ON COLUMN ai_requests.step_id IS 'Soft reference to execution_steps.id';
COMMENT ON COLUMN ai_requests.model IS 'The model as the caller named it';
COMMENT ON COLUMN ai_requests.prompt_text IS 'By [privacy] prompt_storage: the text (cut at 64 KiB with a marker), its SHA-256, or empty';
COMMENT ON COLUMN ai_requests.completion_text IS 'As prompt_text';
COMMENT ON COLUMN ai_requests.prompt_tokens IS 'Input tokens in total, those read from or written to the provider''s cache included';
COMMENT ON COLUMN ai_requests.completion_tokens IS 'Output tokens in total, reasoning included';
COMMENT ON COLUMN ai_requests.status IS 'cached: answered without a provider';
COMMENT ON COLUMN ai_requests.latency_ms IS 'Admission to last byte';
COMMENT ON COLUMN ai_requests.cost_usd IS 'Sum over all attempts, unrounded';
COMMENT ON COLUMN ai_requests.created_at IS 'Time of the INTENT in the journal, never regenerated; partition key, month by UTC';
COMMENT ON COLUMN ai_requests.api_key_id IS 'Soft reference to api_keys.id; NULL for a session';
COMMENT ON COLUMN ai_requests.user_id IS 'Soft reference to users.id: who made the key or holds the session';
COMMENT ON COLUMN ai_requests.department_id IS 'Soft reference to departments.id: where the key or user belonged at that time';
COMMENT ON COLUMN ai_requests.workflow_id IS 'Soft reference to workflows.id, for requests made by a workflow';
COMMENT ON COLUMN ai_requests.endpoint IS 'Endpoint family, as chat_completions or embeddings';
COMMENT ON COLUMN ai_requests.dialect IS 'The API the caller spoke: openai, anthropic, gemini';
COMMENT ON COLUMN ai_requests.provider IS 'Name of the configured provider that answered last; NULL when none was asked';
COMMENT ON COLUMN ai_requests.provider_model IS 'The model as it was named to the provider; pricing follows it';
COMMENT ON COLUMN ai_requests.stream IS 'Whether the caller asked for a stream';
COMMENT ON COLUMN ai_requests.attempts IS 'Provider attempts made; 0 for an answer from the cache';
COMMENT ON COLUMN ai_requests.cache_read_tokens IS 'Part of prompt_tokens that the provider read from its own prompt cache';
COMMENT ON COLUMN ai_requests.cache_write_tokens IS 'Part of prompt_tokens that the provider wrote to its own prompt cache';
COMMENT ON COLUMN ai_requests.reasoning_tokens IS 'Part of completion_tokens spent on reasoning';
COMMENT ON COLUMN ai_requests.saved_cost_usd IS 'What the answer from the cache would have cost';
COMMENT ON COLUMN ai_requests.cache_status IS 'How the cache took part, as in the x-flowpilot-cache header';
COMMENT ON COLUMN ai_requests.usage_source IS 'Who counted the tokens; unknown: recovered after a crash, at the estimate';
COMMENT ON COLUMN ai_requests.error_kind IS 'Low-cardinality kind of the error, as in docs/errors.md';
COMMENT ON COLUMN ai_requests.time_to_first_token_ms IS 'Admission to the first byte of content';
COMMENT ON COLUMN ai_requests.tags IS 'The caller''s own labels for reports: text to text';

CREATE TABLE prompt_templates (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID REFERENCES organizations (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    slug VARCHAR(100) NOT NULL,
    description TEXT,
    template_text TEXT NOT NULL,
    variables JSONB NOT NULL DEFAULT '[]',
    model VARCHAR(255),
    temperature NUMERIC(3, 2) DEFAULT 0.7,
    is_system_template BOOLEAN NOT NULL DEFAULT FALSE,
    usage_count INTEGER NOT NULL DEFAULT 0,
    created_by UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT unique_org_template_slug UNIQUE NULLS NOT DISTINCT (organization_id, slug),
    CONSTRAINT system_templates_no_org CHECK (
        (is_system_template = TRUE AND organization_id IS NULL) OR
        (is_system_template = FALSE AND organization_id IS NOT NULL)
    )
);
CREATE INDEX idx_prompt_templates_slug ON prompt_templates (slug);
COMMENT ON TABLE prompt_templates IS 'Reusable AI prompt templates';
COMMENT ON COLUMN prompt_templates.organization_id IS 'NULL for a system template, which every organization may use';
COMMENT ON COLUMN prompt_templates.template_text IS 'Jinja2 source, rendered with limits on fuel and size';
COMMENT ON COLUMN prompt_templates.variables IS 'Names of the variables the template takes, as ["user_input", "context"]';
COMMENT ON COLUMN prompt_templates.model IS 'Model or alias to use when the caller names none; NULL: the gateway''s default';
SELECT keep_updated_at('prompt_templates');

CREATE TABLE semantic_cache (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    prompt_hash VARCHAR(64) NOT NULL,
    prompt_embedding vector(768),
    prompt_text TEXT NOT NULL,
    response_text TEXT NOT NULL,
    model VARCHAR(255) NOT NULL,
    hit_count INTEGER NOT NULL DEFAULT 1,
    expires_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_accessed_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    -- beside the specification
    scope VARCHAR(20) NOT NULL DEFAULT 'organization',
    scope_id UUID,
    fingerprint VARCHAR(64),
    normalized_hash VARCHAR(64),
    answer_id UUID,
    embedder VARCHAR(100),
    endpoint VARCHAR(50),
    provider VARCHAR(100),
    usage JSONB,
    response JSONB,
    producer_api_key_id UUID,
    template_id UUID,
    quarantined_at TIMESTAMPTZ,

    -- The hash has organization, scope, model and every parameter in it; the model stands here for readers of rows.
    CONSTRAINT unique_org_prompt_hash UNIQUE (organization_id, model, prompt_hash),
    CONSTRAINT semantic_cache_valid_scope CHECK (scope IN ('organization', 'api_key', 'user')),
    CONSTRAINT semantic_cache_scope_has_id CHECK ((scope = 'organization') = (scope_id IS NULL)),
    CONSTRAINT semantic_cache_embedding_has_embedder CHECK (prompt_embedding IS NULL OR embedder IS NOT NULL)
);
CREATE INDEX idx_semantic_cache_expires_at ON semantic_cache (expires_at);
CREATE INDEX idx_semantic_cache_normalized ON semantic_cache (organization_id, normalized_hash)
    WHERE normalized_hash IS NOT NULL;
-- The partition in which vectors are compared; small ones are read whole, exactly.
CREATE INDEX idx_semantic_cache_partition ON semantic_cache (organization_id, fingerprint, scope, scope_id, embedder)
    WHERE prompt_embedding IS NOT NULL;
-- Large ones go through HNSW, with hnsw.iterative_scan = strict_order.
CREATE INDEX idx_semantic_cache_embedding ON semantic_cache USING hnsw (prompt_embedding vector_cosine_ops);
CREATE INDEX idx_semantic_cache_answer_id ON semantic_cache (organization_id, answer_id) WHERE answer_id IS NOT NULL;
-- Purges, by producer and by template.
CREATE INDEX idx_semantic_cache_producer ON semantic_cache (organization_id, producer_api_key_id)
    WHERE producer_api_key_id IS NOT NULL;
CREATE INDEX idx_semantic_cache_template ON semantic_cache (organization_id, template_id) WHERE template_id IS NOT NULL;
COMMENT ON TABLE semantic_cache IS 'Semantic cache for AI responses';
COMMENT ON COLUMN semantic_cache.prompt_hash IS 'SHA-256 (hex) of the canonical request: organization, scope, model, messages and whatever changes the answer';
COMMENT ON COLUMN semantic_cache.prompt_embedding IS 'Unit vector of the last user text, padded with zeros to 768 dimensions';
COMMENT ON COLUMN semantic_cache.response_text IS 'Text of the first choice; the whole answer is in response';
COMMENT ON COLUMN semantic_cache.hit_count IS 'Updated in batches, so it lags';
COMMENT ON COLUMN semantic_cache.last_accessed_at IS 'Updated in batches, so it lags';
COMMENT ON COLUMN semantic_cache.scope IS 'Who may be answered with this entry';
COMMENT ON COLUMN semantic_cache.scope_id IS 'The api_keys.id or users.id of that scope; NULL when the scope is the organization';
COMMENT ON COLUMN semantic_cache.fingerprint IS 'SHA-256 (hex) of everything but the last user text: only equal ones are compared by vector';
COMMENT ON COLUMN semantic_cache.normalized_hash IS 'prompt_hash with the last user text normalised';
COMMENT ON COLUMN semantic_cache.answer_id IS 'Class of answers found equal; entries that share it say the same';
COMMENT ON COLUMN semantic_cache.embedder IS 'Id and version of the embedder; vectors of different ones are never compared';
COMMENT ON COLUMN semantic_cache.endpoint IS 'Endpoint family, as in ai_requests.endpoint';
COMMENT ON COLUMN semantic_cache.provider IS 'Name of the configured provider that answered';
COMMENT ON COLUMN semantic_cache.usage IS 'types::tokens::Usage of the original answer, from which the saved cost is reckoned';
COMMENT ON COLUMN semantic_cache.response IS 'types::reply::Answer: the answer in no provider''s dialect';
COMMENT ON COLUMN semantic_cache.producer_api_key_id IS 'Soft reference to api_keys.id, for purging what a key stored; soft, so that a key''s end never fails a batch of entries';
COMMENT ON COLUMN semantic_cache.template_id IS 'Soft reference to prompt_templates.id, for purging; soft, because system templates have no organization';
COMMENT ON COLUMN semantic_cache.quarantined_at IS 'Since when the entry is not served, because somebody said that it is wrong';

CREATE TABLE ai_fine_tuning_jobs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    base_model VARCHAR(255) NOT NULL,
    fine_tuned_model VARCHAR(255),
    training_data_url VARCHAR(500),
    status VARCHAR(20) NOT NULL DEFAULT 'pending',
    provider_job_id VARCHAR(255),
    error_message TEXT,
    created_by UUID NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    completed_at TIMESTAMPTZ,

    CONSTRAINT ai_fine_tuning_jobs_valid_status CHECK (
        status IN ('pending', 'running', 'completed', 'failed', 'cancelled')
    )
);
CREATE INDEX idx_ai_fine_tuning_jobs_organization_id ON ai_fine_tuning_jobs (organization_id);
CREATE INDEX idx_ai_fine_tuning_jobs_status ON ai_fine_tuning_jobs (status);
COMMENT ON TABLE ai_fine_tuning_jobs IS 'Fine-tuning jobs for custom AI models';
COMMENT ON COLUMN ai_fine_tuning_jobs.provider_job_id IS 'The job''s id at the provider';

RESET ROLE;
