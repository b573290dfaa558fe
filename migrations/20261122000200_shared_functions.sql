-- The functions that the tables and their row-level security share.

SET ROLE flowpilot_owner;

-- A setting that was set with SET LOCAL is '' afterwards, not NULL, and ''::uuid is an error: hence NULLIF.
-- Called as (SELECT current_organization_id()), so that it is evaluated once per statement, not once per row.
CREATE FUNCTION current_organization_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('app.current_organization_id', true), '')::uuid;
COMMENT ON FUNCTION current_organization_id() IS
    'The organization this transaction acts for; NULL, which no row matches, when none was set';
GRANT EXECUTE ON FUNCTION current_organization_id() TO flowpilot_app, flowpilot_worker;

CREATE FUNCTION secure_tenant_table(
    tenant_table regclass,
    app_rights text DEFAULT 'SELECT, INSERT, UPDATE, DELETE',
    worker_rights text DEFAULT 'SELECT, INSERT, UPDATE, DELETE',
    organization_column name DEFAULT 'organization_id'
) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
    SET client_min_messages = 'warning'
AS $function$
DECLARE
    rights text;
    wanted text;
BEGIN
    -- TRUNCATE ignores policies, REFERENCES and TRIGGER let a role look past them: they cannot be asked for.
    FOREACH rights IN ARRAY string_to_array(concat_ws(',', app_rights, worker_rights), ',') LOOP
        wanted := upper(btrim(rights));
        IF wanted NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') THEN
            RAISE EXCEPTION 'a tenant table gives SELECT, INSERT, UPDATE and DELETE only, not %', wanted
                USING ERRCODE = 'invalid_grant_operation';
        END IF;
    END LOOP;

    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC, flowpilot_app, flowpilot_worker', tenant_table);

    EXECUTE format('DROP POLICY IF EXISTS tenant_isolation ON %s', tenant_table);
    IF app_rights IS NOT NULL THEN
        EXECUTE format(
            'CREATE POLICY tenant_isolation ON %1$s TO flowpilot_app '
            'USING (%2$I = (SELECT public.current_organization_id())) '
            'WITH CHECK (%2$I = (SELECT public.current_organization_id()))',
            tenant_table, organization_column);
        EXECUTE format('GRANT %s ON TABLE %s TO flowpilot_app', app_rights, tenant_table);
    END IF;

    EXECUTE format('DROP POLICY IF EXISTS worker_access ON %s', tenant_table);
    IF worker_rights IS NOT NULL THEN
        EXECUTE format('CREATE POLICY worker_access ON %s TO flowpilot_worker USING (true) WITH CHECK (true)', tenant_table);
        EXECUTE format('GRANT %s ON TABLE %s TO flowpilot_worker', worker_rights, tenant_table);
    END IF;
END
$function$;
COMMENT ON FUNCTION secure_tenant_table(regclass, text, text, name) IS
    'Forces row-level security on a tenant table, makes its two policies and grants; for migrations, safe to repeat. NULL rights: that role gets no policy and no grant';

CREATE FUNCTION update_updated_at_column() RETURNS trigger
    LANGUAGE plpgsql
AS $function$
BEGIN
    NEW.updated_at = CURRENT_TIMESTAMP;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION update_updated_at_column() IS 'Keeps updated_at at the time of the last change';

CREATE FUNCTION keep_updated_at(changed_table regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    bare_name name;
BEGIN
    SELECT relname INTO STRICT bare_name FROM pg_class WHERE oid = changed_table;
    EXECUTE format(
        'CREATE TRIGGER %I BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column()',
        'update_' || bare_name || '_updated_at', changed_table);
END
$function$;
COMMENT ON FUNCTION keep_updated_at(regclass) IS 'Gives a table with updated_at its trigger; for migrations';

RESET ROLE;
