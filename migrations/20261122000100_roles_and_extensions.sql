-- The preflight: server version, roles, extensions and the folders (schemas) that everything after it stands on.
-- Runs as the connecting user: a superuser, or an ordinary user who owns the database and may create roles.

DO $preflight$
BEGIN
    IF current_setting('server_version_num')::integer < 150000 THEN
        RAISE EXCEPTION 'PostgreSQL 15 or newer is needed, this is %', current_setting('server_version')
            USING ERRCODE = 'feature_not_supported';
    END IF;
END
$preflight$;

-- Roles belong to the cluster, not to the database: another database may have made them already, or be making
-- them at this moment.
DO $roles$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['flowpilot_owner', 'flowpilot_app', 'flowpilot_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT NOCREATEDB NOCREATEROLE', wanted);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL;
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'role % is missing and % may not create it', wanted, current_user
                        USING ERRCODE = 'insufficient_privilege',
                              HINT = format('An administrator must run: CREATE ROLE %I NOLOGIN; GRANT %I TO %I;',
                                            wanted, wanted, current_user);
            END;
        END IF;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = wanted AND (rolsuper OR rolbypassrls)) THEN
            RAISE EXCEPTION 'role % bypasses row-level security', wanted
                USING ERRCODE = 'invalid_role_specification',
                      HINT = format('An administrator must run: ALTER ROLE %I NOSUPERUSER NOBYPASSRLS;', wanted);
        END IF;
    END LOOP;
END
$roles$;

-- Whoever migrates and serves must be able to become each of the three. From PostgreSQL 16 on, creating a role
-- gives only the right to administer it, and the right to SET ROLE is granted apart; inheritance stays off, so
-- that a transaction which forgets its role has no rights at all.
DO $membership$
DECLARE
    wanted text;
    granular constant boolean := current_setting('server_version_num')::integer >= 160000;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['flowpilot_owner', 'flowpilot_app', 'flowpilot_worker'] LOOP
        CONTINUE WHEN pg_has_role(current_user, wanted, CASE WHEN granular THEN 'SET' ELSE 'MEMBER' END);
        BEGIN
            EXECUTE format('GRANT %I TO %I %s', wanted, current_user,
                           CASE WHEN granular THEN 'WITH INHERIT FALSE, SET TRUE' ELSE '' END);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION '% may not SET ROLE to %', current_user, wanted
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format('An administrator must run: GRANT %I TO %I;', wanted, current_user);
        END;
    END LOOP;
END
$membership$;

-- vector is needed for the semantic cache and document search; 0.8 brought the iterative scan without which a
-- filter by organization loses most of the neighbours.
DO $vector$
DECLARE
    found text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
        RAISE EXCEPTION 'the extension vector (pgvector) is not installed on the database server'
            USING ERRCODE = 'undefined_file',
                  HINT = 'An administrator must install pgvector 0.8 or newer on the server, then run in this database: CREATE EXTENSION vector;';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') THEN
        BEGIN
            CREATE EXTENSION vector;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION '% may not create the extension vector', current_user
                USING ERRCODE = 'insufficient_privilege',
                      HINT = format('An administrator must run in the database %I: CREATE EXTENSION vector;',
                                    current_database());
        END;
    END IF;
    SELECT extversion INTO STRICT found FROM pg_extension WHERE extname = 'vector';
    IF string_to_array(substring(found FROM '^[0-9]+\.[0-9]+'), '.')::integer[] < ARRAY[0, 8] THEN
        RAISE EXCEPTION 'the extension vector is %, 0.8 or newer is needed', found
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'An administrator must install pgvector 0.8 or newer, then run: ALTER EXTENSION vector UPDATE;';
    END IF;
    IF to_regtype('vector') IS NULL THEN
        RAISE EXCEPTION 'the extension vector is installed in a schema outside the search path'
            USING ERRCODE = 'undefined_object',
                  HINT = 'An administrator must run: ALTER EXTENSION vector SET SCHEMA public;';
    END IF;
END
$vector$;

-- btree_gist is used by billing_usage.no_overlap. It is trusted: the database's owner may create it.
DO $btree_gist$
BEGIN
    CREATE EXTENSION IF NOT EXISTS btree_gist;
EXCEPTION WHEN undefined_file OR feature_not_supported OR insufficient_privilege THEN
    RAISE EXCEPTION 'the extension btree_gist could not be created: %', SQLERRM
        USING HINT = format('An administrator must install PostgreSQL''s contrib modules and run in the database %I: CREATE EXTENSION btree_gist;',
                            current_database());
END
$btree_gist$;

-- The specification lists these two. Nothing here calls them (ids come from the application or
-- gen_random_uuid(), which is in core), so a server without them is as good.
-- pg_trgm and btree_gin are left out: no statement uses them.
DO $unused$
DECLARE
    extension text;
BEGIN
    FOREACH extension IN ARRAY ARRAY['uuid-ossp', 'pgcrypto'] LOOP
        IF EXISTS (SELECT FROM pg_available_extensions WHERE name = extension) THEN
            BEGIN
                EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I', extension);
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE NOTICE 'extension % was not created; it is not needed', extension;
            END;
        END IF;
    END LOOP;
END
$unused$;

-- The owner makes tables in public and the side schemas in the database.
DO $rights$
BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO flowpilot_owner', current_database());
    -- public belongs to pg_database_owner; on PostgreSQL 15 a database's owner who is NOINHERIT has to say so.
    IF pg_has_role('pg_database_owner', 'MEMBER') AND NOT pg_has_role('pg_database_owner', 'USAGE') THEN
        SET LOCAL ROLE pg_database_owner;
    END IF;
    GRANT CREATE, USAGE ON SCHEMA public TO flowpilot_owner;
    GRANT USAGE ON SCHEMA public TO flowpilot_app, flowpilot_worker;
    RESET ROLE;
    IF NOT has_database_privilege('flowpilot_owner', current_database(), 'CREATE')
        OR NOT has_schema_privilege('flowpilot_owner', 'public', 'CREATE') THEN
        RAISE EXCEPTION '% may not let flowpilot_owner create objects in the database %', current_user, current_database()
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('An administrator must run: ALTER DATABASE %I OWNER TO %I;', current_database(), current_user);
    END IF;
    -- Serving compares the applied versions with the range it is made for.
    IF to_regclass('public._sqlx_migrations') IS NOT NULL THEN
        GRANT SELECT ON public._sqlx_migrations TO flowpilot_app, flowpilot_worker;
    END IF;
END
$rights$;

SET ROLE flowpilot_owner;

-- Functions are executable by everybody unless this is said before they are made. Tables give nothing to anybody
-- by default, and it must stay so: a partition is safe because it has no grant.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;

-- One side schema for each crate that keeps tables beside the 42 of the specification.
CREATE SCHEMA metering;
CREATE SCHEMA cache;
CREATE SCHEMA workflows;
CREATE SCHEMA tenants;
CREATE SCHEMA api;
COMMENT ON SCHEMA metering IS 'Prices, quota leases, invoices: what the metering crate keeps beside its tables in public';
COMMENT ON SCHEMA cache IS 'What the cache crate keeps beside semantic_cache';
COMMENT ON SCHEMA workflows IS 'What the workflows crate keeps beside its tables in public';
COMMENT ON SCHEMA tenants IS 'What the tenants crate keeps beside its tables in public';
COMMENT ON SCHEMA api IS 'Idempotency keys of the management API';
GRANT USAGE ON SCHEMA metering, cache, workflows, tenants, api TO flowpilot_app, flowpilot_worker;

RESET ROLE;
