-- What changed about keys, so that every gateway forgets a revoked key within two seconds.

SET ROLE flowpilot_owner;

CREATE TABLE tenants.key_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id uuid NOT NULL,
    key_hash varchar(64),
    transaction_id bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    changed_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_key_changes_transaction_id ON tenants.key_changes (transaction_id);
CREATE INDEX idx_key_changes_changed_at ON tenants.key_changes (changed_at);
COMMENT ON TABLE tenants.key_changes IS 'Written by triggers, read by every gateway, kept for a day';
COMMENT ON COLUMN tenants.key_changes.organization_id IS 'Whose key changed (soft reference: the row outlives its organization)';
COMMENT ON COLUMN tenants.key_changes.key_hash IS 'The key that changed; null: all keys of the organization';
COMMENT ON COLUMN tenants.key_changes.transaction_id IS 'Who wrote it; readers ask from the oldest transaction that ran at their last read, so that none that commits late is missed';
SELECT secure_tenant_table('tenants.key_changes', NULL, 'SELECT, DELETE');
-- The triggers below write as the owner, whom row-level security binds too.
CREATE POLICY triggers_write ON tenants.key_changes FOR INSERT TO flowpilot_owner WITH CHECK (true);

CREATE FUNCTION tenants.note_key_change() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO tenants.key_changes (organization_id, key_hash) VALUES (OLD.organization_id, OLD.key_hash);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND OLD.key_hash <> NEW.key_hash) THEN
        INSERT INTO tenants.key_changes (organization_id, key_hash) VALUES (NEW.organization_id, NEW.key_hash);
    END IF;
    PERFORM pg_notify('flowpilot_keys', '');
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION tenants.note_key_change() IS 'Notes which key changed and announces it';
REVOKE ALL ON FUNCTION tenants.note_key_change() FROM PUBLIC;

CREATE FUNCTION tenants.note_organization_change() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO tenants.key_changes (organization_id, key_hash) VALUES (OLD.id, NULL);
    PERFORM pg_notify('flowpilot_keys', '');
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION tenants.note_organization_change() IS 'Notes that all keys of an organization changed, and announces it';
REVOKE ALL ON FUNCTION tenants.note_organization_change() FROM PUBLIC;

CREATE FUNCTION tenants.note_membership_change() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO tenants.key_changes (organization_id, key_hash)
    VALUES (CASE WHEN TG_OP = 'DELETE' THEN OLD.organization_id ELSE NEW.organization_id END, NULL);
    PERFORM pg_notify('flowpilot_keys', '');
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION tenants.note_membership_change() IS 'A key''s department is its maker''s: notes that it may have changed';
REVOKE ALL ON FUNCTION tenants.note_membership_change() FROM PUBLIC;

-- last_used_at is left out: it changes all the time and decides nothing.
CREATE TRIGGER note_key_insert_or_delete AFTER INSERT OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION tenants.note_key_change();
CREATE TRIGGER note_key_update AFTER UPDATE ON api_keys
    FOR EACH ROW WHEN (
        (OLD.organization_id, OLD.key_hash, OLD.scopes, OLD.is_active, OLD.expires_at, OLD.created_by, OLD.revoked_at)
        IS DISTINCT FROM
        (NEW.organization_id, NEW.key_hash, NEW.scopes, NEW.is_active, NEW.expires_at, NEW.created_by, NEW.revoked_at))
    EXECUTE FUNCTION tenants.note_key_change();
CREATE TRIGGER note_operator_key_insert_or_delete AFTER INSERT OR DELETE ON tenants.operator_keys
    FOR EACH ROW EXECUTE FUNCTION tenants.note_key_change();
CREATE TRIGGER note_operator_key_update AFTER UPDATE ON tenants.operator_keys
    FOR EACH ROW WHEN (
        (OLD.organization_id, OLD.key_hash, OLD.user_id, OLD.revoked_at)
        IS DISTINCT FROM
        (NEW.organization_id, NEW.key_hash, NEW.user_id, NEW.revoked_at))
    EXECUTE FUNCTION tenants.note_key_change();
CREATE TRIGGER note_organization_activity AFTER UPDATE ON organizations
    FOR EACH ROW WHEN (OLD.is_active IS DISTINCT FROM NEW.is_active)
    EXECUTE FUNCTION tenants.note_organization_change();
CREATE TRIGGER note_organization_delete AFTER DELETE ON organizations
    FOR EACH ROW EXECUTE FUNCTION tenants.note_organization_change();
CREATE TRIGGER note_membership_insert_or_delete AFTER INSERT OR DELETE ON organization_members
    FOR EACH ROW EXECUTE FUNCTION tenants.note_membership_change();
CREATE TRIGGER note_membership_update AFTER UPDATE ON organization_members
    FOR EACH ROW WHEN (
        (OLD.user_id, OLD.department_id, OLD.is_active) IS DISTINCT FROM (NEW.user_id, NEW.department_id, NEW.is_active))
    EXECUTE FUNCTION tenants.note_membership_change();

RESET ROLE;
