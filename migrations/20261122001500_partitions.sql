-- Monthly partitions: made ahead, watched, dropped when they are old, and put right when rows landed in a DEFAULT one.

SET ROLE flowpilot_owner;

-- The bounds come from the catalogue, never from a partition's name. They are printed in the session's time zone
-- and date style, hence the two settings.
CREATE FUNCTION partition_bounds(parent regclass)
    RETURNS TABLE (partition regclass, lower_bound timestamptz, upper_bound timestamptz, is_default boolean)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, public, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO'
AS $function$
    SELECT child.oid::regclass,
           (regexp_match(bound, 'FROM \(''([^'']+)''\)'))[1]::timestamptz,
           (regexp_match(bound, 'TO \(''([^'']+)''\)'))[1]::timestamptz,
           bound = 'DEFAULT'
    FROM pg_inherits
    JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
    CROSS JOIN LATERAL pg_get_expr(child.relpartbound, child.oid) AS bound
    WHERE pg_inherits.inhparent = parent
$function$;
COMMENT ON FUNCTION partition_bounds(regclass) IS
    'The partitions of a table with the half-open time [lower_bound, upper_bound) of each; NULL bounds for the DEFAULT one';

-- A partition has row-level security forced, no policy and no grant: it is reached through its parent, or not at all.
CREATE FUNCTION seal_partition(parent regclass, partition regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', partition);
    IF parent = 'public.audit_logs'::regclass THEN
        EXECUTE format(
            'CREATE TRIGGER audit_logs_refuse_truncate BEFORE TRUNCATE ON %s '
            'FOR EACH STATEMENT EXECUTE FUNCTION public.audit_logs_block()', partition);
    END IF;
END
$function$;
COMMENT ON FUNCTION seal_partition(regclass, regclass) IS 'Forces row-level security on a new partition; without a policy, nobody passes';

CREATE FUNCTION create_month_partition(parent regclass, month timestamptz) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO'
    -- A busy parent is left alone rather than queued behind: everybody else would queue behind us.
    SET lock_timeout = '2s'
AS $function$
DECLARE
    month_start constant timestamptz := date_trunc('month', month);
    month_end constant timestamptz := date_trunc('month', month) + interval '1 month';
    namespace name;
    partition_name text;
BEGIN
    IF EXISTS (
        SELECT FROM partition_bounds(parent) AS known
        WHERE known.lower_bound < month_end AND known.upper_bound > month_start
    ) THEN
        RETURN false;
    END IF;
    SELECT nspname, relname || to_char(month_start, '"_"YYYY"_"MM') INTO STRICT namespace, partition_name
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = parent;
    -- Made apart and attached: CREATE TABLE ... PARTITION OF would lock the parent against readers too.
    EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL)', namespace, partition_name, parent);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
                   parent, namespace, partition_name, month_start, month_end);
    PERFORM seal_partition(parent, format('%I.%I', namespace, partition_name)::regclass);
    RETURN true;
END
$function$;
COMMENT ON FUNCTION create_month_partition(regclass, timestamptz) IS
    'Makes the partition for the month (UTC) that the time lies in; false when it is there already';

-- Every table that the owner partitions by a time gets its months, side schemas included.
CREATE FUNCTION create_monthly_partitions(months_back integer DEFAULT 2, months_ahead integer DEFAULT 12) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET timezone = 'UTC'
AS $function$
DECLARE
    parent regclass;
    months_away integer;
    made integer := 0;
BEGIN
    IF months_back NOT BETWEEN 0 AND 120 OR months_ahead NOT BETWEEN 0 AND 120 THEN
        RAISE EXCEPTION 'months_back and months_ahead are between 0 and 120' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Two replicas that wake at the same time take turns.
    PERFORM pg_advisory_xact_lock(hashtextextended('create_monthly_partitions', 0));
    FOR parent IN
        SELECT pg_class.oid::regclass
        FROM pg_partitioned_table
        JOIN pg_class ON pg_class.oid = partrelid
        JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
        WHERE partstrat = 'r' AND partnatts = 1 AND atttypid = 'timestamptz'::regtype
          AND relowner = 'flowpilot_owner'::regrole
        ORDER BY pg_class.oid
    LOOP
        FOR months_away IN -months_back..months_ahead LOOP
            BEGIN
                IF create_month_partition(parent, date_trunc('month', now()) + make_interval(months => months_away)) THEN
                    made := made + 1;
                END IF;
            EXCEPTION
                -- Rows of that month wait in the DEFAULT partition; default_partition_rows() tells the operator.
                WHEN check_violation THEN
                    RAISE WARNING '% has rows of a missing month in its DEFAULT partition: run refile_default_partition', parent;
                WHEN lock_not_available OR duplicate_table THEN
                    RAISE WARNING 'a partition of % was not made: %', parent, SQLERRM;
            END;
        END LOOP;
    END LOOP;
    RETURN made;
END
$function$;
COMMENT ON FUNCTION create_monthly_partitions(integer, integer) IS
    'Makes what is missing of the monthly partitions (UTC) around now and returns how many; for the worker, safe to repeat. One that could not be made is a warning, and the next run tries again';
GRANT EXECUTE ON FUNCTION create_monthly_partitions(integer, integer) TO flowpilot_worker;

-- A DEFAULT partition cannot be read by name. What is outside every month can only lie in it, so the times that
-- no month covers are asked of the parent, and the planner goes to the DEFAULT partition alone.
CREATE FUNCTION default_partition_rows()
    RETURNS TABLE (parent regclass, row_count bigint)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, public, pg_temp
    SET timezone = 'UTC'
AS $function$
DECLARE
    time_column name;
    gap tstzrange;
    found bigint;
BEGIN
    FOR parent, time_column IN
        SELECT partrelid::regclass, attname
        FROM pg_partitioned_table
        JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
        JOIN pg_class ON pg_class.oid = partrelid
        WHERE partdefid <> 0 AND relowner = 'flowpilot_owner'::regrole
        ORDER BY partrelid
    LOOP
        row_count := 0;
        FOR gap IN
            SELECT unnest(tstzmultirange(tstzrange(NULL, NULL))
                          - COALESCE(range_agg(tstzrange(lower_bound, upper_bound)), '{}'))
            FROM public.partition_bounds(parent)
            WHERE NOT is_default
        LOOP
            EXECUTE format('SELECT count(*) FROM %s WHERE %I >= %L AND %I < %L', parent,
                           time_column, COALESCE(lower(gap), '-infinity'),
                           time_column, COALESCE(upper(gap), 'infinity'))
                INTO found;
            row_count := row_count + found;
        END LOOP;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION default_partition_rows() IS
    'How many rows lie in each DEFAULT partition; anything but 0 means that months were not made in time: alarm, then refile_default_partition';
GRANT EXECUTE ON FUNCTION partition_bounds(regclass), default_partition_rows() TO flowpilot_worker;

CREATE FUNCTION create_default_partition(parent regclass) RETURNS regclass
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    namespace name;
    bare_name name;
    partition regclass;
BEGIN
    SELECT nspname, relname INTO STRICT namespace, bare_name
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = parent;
    EXECUTE format('CREATE TABLE %I.%I PARTITION OF %s DEFAULT', namespace, bare_name || '_default', parent);
    partition := format('%I.%I', namespace, bare_name || '_default')::regclass;
    PERFORM seal_partition(parent, partition);
    RETURN partition;
END
$function$;
COMMENT ON FUNCTION create_default_partition(regclass) IS 'Gives a partitioned table its DEFAULT partition; for tables where losing a row is worse than finding it later';

CREATE FUNCTION refile_default_partition(parent regclass) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
    SET timezone = 'UTC'
    SET lock_timeout = '10s'
AS $function$
DECLARE
    time_column name;
    stray regclass;
    month timestamptz;
    moved bigint;
BEGIN
    SELECT attname, partdefid::regclass INTO STRICT time_column, stray
    FROM pg_partitioned_table
    JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
    WHERE partrelid = parent AND partdefid <> 0;
    EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, stray);
    EXECUTE format('ALTER TABLE %s RENAME TO %I', stray, stray::oid || '_refiled');
    -- FORCE binds the owner, who has no policy: it is lifted within this transaction, which holds both tables locked.
    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', stray);
    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', parent);
    FOR month IN EXECUTE format('SELECT DISTINCT date_trunc(''month'', %I) FROM %s', time_column, stray) LOOP
        PERFORM create_month_partition(parent, month);
    END LOOP;
    EXECUTE format('INSERT INTO %s SELECT * FROM %s', parent, stray);
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', parent);
    EXECUTE format('DROP TABLE %s', stray);
    PERFORM create_default_partition(parent);
    RETURN moved;
END
$function$;
COMMENT ON FUNCTION refile_default_partition(regclass) IS
    'Moves the rows of the DEFAULT partition into months made for them, and returns how many; for the operator, as flowpilot_owner, locks the table meanwhile';

CREATE FUNCTION drop_old_partitions(parent regclass, retention_months integer) RETURNS SETOF text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
    SET timezone = 'UTC'
    SET lock_timeout = '2s'
AS $function$
DECLARE
    -- Billing and audit evidence is kept for seven years.
    evidence_months constant integer := 84;
    cutoff constant timestamptz := date_trunc('month', now()) - make_interval(months => retention_months);
    old regclass;
    old_name text;
BEGIN
    IF retention_months < 1 THEN
        RAISE EXCEPTION 'retention is at least 1 month' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF parent IN ('public.usage_events'::regclass, 'public.audit_logs'::regclass) AND retention_months < evidence_months THEN
        RAISE EXCEPTION '% holds billing or audit evidence: at least % months', parent, evidence_months
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_partitioned_table JOIN pg_class ON pg_class.oid = partrelid
        WHERE partrelid = parent AND relowner = 'flowpilot_owner'::regrole
    ) THEN
        RAISE EXCEPTION '% is not one of the partitioned tables', parent USING ERRCODE = 'wrong_object_type';
    END IF;
    -- Steps and logs refer to executions softly: they go first.
    IF parent = 'public.workflow_executions'::regclass AND EXISTS (
        SELECT FROM unnest(ARRAY['public.execution_steps', 'public.execution_logs']::regclass[]) AS child,
                    partition_bounds(child) AS bounds
        WHERE bounds.upper_bound <= cutoff
    ) THEN
        RAISE EXCEPTION 'execution_steps and execution_logs older than % months go first', retention_months
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    FOR old IN SELECT partition FROM partition_bounds(parent) WHERE upper_bound <= cutoff ORDER BY upper_bound LOOP
        old_name := old::text;
        EXECUTE format('DROP TABLE %s', old);
        RETURN NEXT old_name;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION drop_old_partitions(regclass, integer) IS
    'Drops the partitions that ended more than so many whole months ago and returns their names; for the operator, as flowpilot_owner, after exporting them';

-- A row outside all months is refused, but for these three: a booked row is never refused, and an alarm tells.
SELECT create_default_partition('usage_events');
SELECT create_default_partition('audit_logs');
SELECT create_default_partition('ai_requests');
SELECT create_monthly_partitions(months_back => 2, months_ahead => 12);

RESET ROLE;
