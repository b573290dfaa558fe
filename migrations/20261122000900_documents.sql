-- Documents: files, their pages, what was extracted from them, and their vectors.

SET ROLE flowpilot_owner;

CREATE TABLE documents (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    file_path VARCHAR(500) NOT NULL,
    file_size BIGINT NOT NULL,
    mime_type VARCHAR(100) NOT NULL,
    file_hash VARCHAR(64) NOT NULL,
    status VARCHAR(20) NOT NULL DEFAULT 'pending',
    page_count INTEGER,
    uploaded_by UUID NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT documents_organization_id_id_key UNIQUE (organization_id, id),
    CONSTRAINT documents_valid_status CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
    CONSTRAINT positive_file_size CHECK (file_size > 0)
);
CREATE INDEX idx_documents_status ON documents (status);
CREATE INDEX idx_documents_file_hash ON documents (organization_id, file_hash);
CREATE INDEX idx_documents_uploaded_by ON documents (uploaded_by);
CREATE INDEX idx_documents_created_at ON documents (created_at DESC);
CREATE INDEX idx_documents_name_fts ON documents USING GIN (to_tsvector('english', name));
COMMENT ON TABLE documents IS 'Uploaded documents';
COMMENT ON COLUMN documents.file_path IS 'Path in the object store; made of ids, never of the user''s file name';
COMMENT ON COLUMN documents.file_size IS 'In bytes';
COMMENT ON COLUMN documents.file_hash IS 'SHA-256 (hex) for deduplication, within the organization only: across them it would tell who has a file';
SELECT keep_updated_at('documents');

CREATE TABLE document_pages (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    document_id UUID NOT NULL,
    page_number INTEGER NOT NULL,
    content TEXT,
    ocr_confidence NUMERIC(5, 2),
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT document_pages_organization_id_document_id_id_key UNIQUE (organization_id, document_id, id),
    CONSTRAINT unique_document_page UNIQUE (document_id, page_number),
    CONSTRAINT positive_page_number CHECK (page_number > 0),
    CONSTRAINT document_pages_valid_confidence CHECK (ocr_confidence BETWEEN 0 AND 100),
    CONSTRAINT document_pages_document_fkey FOREIGN KEY (organization_id, document_id)
        REFERENCES documents (organization_id, id) ON DELETE CASCADE
);
-- A tsvector holds 1 MB at most, and a longer page would be refused: its beginning is searchable.
CREATE INDEX idx_document_pages_content_fts ON document_pages USING GIN (to_tsvector('english', left(content, 250000)));
COMMENT ON TABLE document_pages IS 'Individual pages with OCR text';
COMMENT ON COLUMN document_pages.organization_id IS 'That of the document; the foreign key holds both together';
COMMENT ON COLUMN document_pages.page_number IS 'From 1';
COMMENT ON COLUMN document_pages.ocr_confidence IS 'In percent; NULL when the text was in the file';

CREATE TABLE document_extractions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    document_id UUID NOT NULL,
    extraction_type VARCHAR(50) NOT NULL,
    structured_data JSONB NOT NULL,
    confidence NUMERIC(5, 2),
    extracted_by VARCHAR(255),
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT document_extractions_valid_extraction_type CHECK (
        extraction_type IN ('entities', 'tables', 'summary', 'classification')
    ),
    CONSTRAINT document_extractions_valid_confidence CHECK (confidence BETWEEN 0 AND 100),
    CONSTRAINT document_extractions_document_fkey FOREIGN KEY (organization_id, document_id)
        REFERENCES documents (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_document_extractions_organization_id ON document_extractions (organization_id);
CREATE INDEX idx_document_extractions_document_id ON document_extractions (document_id);
CREATE INDEX idx_document_extractions_type ON document_extractions (extraction_type);
CREATE INDEX idx_document_extractions_data_gin ON document_extractions USING GIN (structured_data);
COMMENT ON TABLE document_extractions IS 'AI-extracted structured data';
COMMENT ON COLUMN document_extractions.organization_id IS 'That of the document; the foreign key holds both together';
COMMENT ON COLUMN document_extractions.confidence IS 'In percent';
COMMENT ON COLUMN document_extractions.extracted_by IS 'The model that extracted it';

CREATE TABLE document_embeddings (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    document_id UUID NOT NULL,
    page_id UUID,
    chunk_text TEXT NOT NULL,
    chunk_index INTEGER NOT NULL,
    embedding vector(768) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT unique_page_chunk UNIQUE NULLS NOT DISTINCT (document_id, page_id, chunk_index),
    CONSTRAINT document_embeddings_document_fkey FOREIGN KEY (organization_id, document_id)
        REFERENCES documents (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT document_embeddings_page_fkey FOREIGN KEY (organization_id, document_id, page_id)
        REFERENCES document_pages (organization_id, document_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_document_embeddings_organization_id ON document_embeddings (organization_id);
CREATE INDEX idx_document_embeddings_page_id ON document_embeddings (page_id);
CREATE INDEX idx_document_embeddings_vector ON document_embeddings USING hnsw (embedding vector_cosine_ops);
COMMENT ON TABLE document_embeddings IS 'Vector embeddings for semantic search';
COMMENT ON COLUMN document_embeddings.organization_id IS 'That of the document; the foreign key holds both together';
COMMENT ON COLUMN document_embeddings.page_id IS 'A page of the same document; NULL when the chunk spans pages';
COMMENT ON COLUMN document_embeddings.chunk_index IS 'Position within the page, or within the document when page_id is NULL';
COMMENT ON COLUMN document_embeddings.embedding IS 'Unit vector, padded with zeros to 768 dimensions';

RESET ROLE;
