-- Versions of prompt templates, and how gateways that hold templates in memory hear of their changes.
--
-- A row of prompt_templates is the version in force, so that using a template reads one row of one table. Every
-- version that was ever written stands beside it and never changes.

SET ROLE flowpilot_owner;
SET lock_timeout = '2s';

CREATE SCHEMA IF NOT EXISTS gateway;
COMMENT ON SCHEMA gateway IS 'What the gateway crate keeps beside its tables in public';
GRANT USAGE ON SCHEMA gateway TO flowpilot_app, flowpilot_worker;

ALTER TABLE prompt_templates
    ADD COLUMN parameters JSONB NOT NULL DEFAULT '{}',
    ADD COLUMN version INTEGER NOT NULL DEFAULT 1,
    ADD COLUMN latest_version INTEGER NOT NULL DEFAULT 1,
    ADD CONSTRAINT prompt_templates_valid_version CHECK (version BETWEEN 1 AND latest_version),
    ADD CONSTRAINT prompt_templates_organization_id_id_key UNIQUE (organization_id, id);
COMMENT ON COLUMN prompt_templates.template_text IS 'Jinja source; {# system #}, {# user #} or {# assistant #} alone on a line begins a message. That of the version in force';
COMMENT ON COLUMN prompt_templates.variables IS 'What the template takes: a name, as "question", or an object with name, type, required, default and description';
COMMENT ON COLUMN prompt_templates.parameters IS 'Beside temperature, what a call gets that does not set it: top_p, output_tokens_max';
COMMENT ON COLUMN prompt_templates.version IS 'The version in force, which the other columns hold';
COMMENT ON COLUMN prompt_templates.latest_version IS 'The newest version, which may not be in force';
COMMENT ON COLUMN prompt_templates.usage_count IS 'Calls rendered from it; added to in batches, so it lags';

CREATE TABLE gateway.prompt_template_versions (
    template_id UUID NOT NULL,
    version INTEGER NOT NULL,
    organization_id UUID,
    template_text TEXT NOT NULL,
    variables JSONB NOT NULL DEFAULT '[]',
    model VARCHAR(255),
    temperature NUMERIC(3, 2),
    parameters JSONB NOT NULL DEFAULT '{}',
    created_by UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY (template_id, version),
    CONSTRAINT prompt_template_versions_positive CHECK (version > 0),
    CONSTRAINT prompt_template_versions_template_fkey FOREIGN KEY (organization_id, template_id)
        REFERENCES prompt_templates (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_prompt_template_versions_template ON gateway.prompt_template_versions (organization_id, template_id);
COMMENT ON TABLE gateway.prompt_template_versions IS 'Every version of every prompt template, unchanged since it was written';
COMMENT ON COLUMN gateway.prompt_template_versions.organization_id IS 'As in prompt_templates: NULL for a system template';
COMMENT ON COLUMN gateway.prompt_template_versions.created_by IS 'Who wrote this version';
SELECT secure_tenant_table(
    'gateway.prompt_template_versions',
    app_rights => 'SELECT, INSERT',
    worker_rights => 'SELECT, INSERT'
);
CREATE POLICY system_rows_readable ON gateway.prompt_template_versions FOR SELECT TO flowpilot_app
    USING (organization_id IS NULL);

-- A system template has no organization, so the foreign key does not look at its versions: they are deleted here.
CREATE POLICY system_rows_by_migration ON gateway.prompt_template_versions TO flowpilot_owner
    USING (organization_id IS NULL) WITH CHECK (organization_id IS NULL);
CREATE FUNCTION gateway.delete_system_template_versions() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    DELETE FROM gateway.prompt_template_versions WHERE organization_id IS NULL AND template_id = OLD.id;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION gateway.delete_system_template_versions() IS 'Deletes the versions of a system template with it';
REVOKE ALL ON FUNCTION gateway.delete_system_template_versions() FROM PUBLIC;
CREATE TRIGGER delete_system_template_versions AFTER DELETE ON prompt_templates
    FOR EACH ROW WHEN (OLD.organization_id IS NULL) EXECUTE FUNCTION gateway.delete_system_template_versions();

-- Counts the changes of templates. One row, locked until the change commits: the numbers are seen in their order.
CREATE TABLE gateway.template_epoch (
    only_row BOOLEAN PRIMARY KEY DEFAULT TRUE,
    epoch BIGINT NOT NULL,
    CONSTRAINT template_epoch_only_row CHECK (only_row)
);
COMMENT ON TABLE gateway.template_epoch IS 'Grows with every change of a prompt template, so that gateways notice one whose notification they missed';
INSERT INTO gateway.template_epoch (epoch) VALUES (1);
GRANT SELECT ON gateway.template_epoch TO flowpilot_app, flowpilot_worker;

CREATE FUNCTION gateway.announce_template() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    new_epoch bigint;
BEGIN
    UPDATE gateway.template_epoch SET epoch = epoch + 1 RETURNING epoch INTO new_epoch;
    PERFORM pg_notify(
        'flowpilot_templates',
        new_epoch || ' ' || COALESCE(NEW.organization_id::text, OLD.organization_id::text, 'all'));
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION gateway.announce_template() IS 'Counts a change of a prompt template and announces whose it is; "all" for a system template';
REVOKE ALL ON FUNCTION gateway.announce_template() FROM PUBLIC;

-- usage_count is left out: it changes all the time and decides nothing.
CREATE TRIGGER announce_template_insert_or_delete AFTER INSERT OR DELETE ON prompt_templates
    FOR EACH ROW EXECUTE FUNCTION gateway.announce_template();
CREATE TRIGGER announce_template_update AFTER UPDATE ON prompt_templates
    FOR EACH ROW WHEN (
        (OLD.organization_id, OLD.slug, OLD.template_text, OLD.variables, OLD.model, OLD.temperature, OLD.parameters,
         OLD.version, OLD.latest_version)
        IS DISTINCT FROM
        (NEW.organization_id, NEW.slug, NEW.template_text, NEW.variables, NEW.model, NEW.temperature, NEW.parameters,
         NEW.version, NEW.latest_version))
    EXECUTE FUNCTION gateway.announce_template();

-- A use is no change: it leaves updated_at, and with it the entity tag, as they are.
DROP TRIGGER update_prompt_templates_updated_at ON prompt_templates;
CREATE TRIGGER update_prompt_templates_updated_at BEFORE UPDATE ON prompt_templates
    FOR EACH ROW WHEN (OLD.usage_count = NEW.usage_count) EXECUTE FUNCTION public.update_updated_at_column();

RESET lock_timeout;
RESET ROLE;
