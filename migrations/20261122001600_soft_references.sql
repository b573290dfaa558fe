-- References into partitioned tables have no foreign key; a nightly job asks this instead.

SET ROLE flowpilot_owner;

CREATE FUNCTION count_orphans(since timestamptz DEFAULT now() - interval '2 days')
    RETURNS TABLE (reference text, orphans bigint)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, public, pg_temp
AS $function$
    -- The organization is compared as well: a row that points at another organization's row is an orphan.
    SELECT 'execution_steps.execution_id', count(*)
    FROM execution_steps AS child
    WHERE child.created_at >= since
      AND NOT EXISTS (
          SELECT FROM workflow_executions AS parent
          WHERE parent.id = child.execution_id AND parent.organization_id = child.organization_id
      )
    UNION ALL
    SELECT 'execution_logs.execution_id', count(*)
    FROM execution_logs AS child
    WHERE child.logged_at >= since
      AND NOT EXISTS (
          SELECT FROM workflow_executions AS parent
          WHERE parent.id = child.execution_id AND parent.organization_id = child.organization_id
      )
    UNION ALL
    SELECT 'execution_logs.step_id', count(*)
    FROM execution_logs AS child
    WHERE child.logged_at >= since
      AND child.step_id IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM execution_steps AS parent
          WHERE parent.id = child.step_id AND parent.organization_id = child.organization_id
      )
    UNION ALL
    SELECT 'ai_requests.execution_id', count(*)
    FROM ai_requests AS child
    WHERE child.created_at >= since
      AND child.execution_id IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM workflow_executions AS parent
          WHERE parent.id = child.execution_id AND parent.organization_id = child.organization_id
      )
    UNION ALL
    SELECT 'ai_requests.step_id', count(*)
    FROM ai_requests AS child
    WHERE child.created_at >= since
      AND child.step_id IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM execution_steps AS parent
          WHERE parent.id = child.step_id AND parent.organization_id = child.organization_id
      )
    UNION ALL
    SELECT 'usage_events.request_id', count(*)
    FROM usage_events AS child
    WHERE child.created_at >= since
      AND child.request_id IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM ai_requests AS parent
          WHERE parent.id = child.request_id AND parent.organization_id = child.organization_id
      )
$function$;
COMMENT ON FUNCTION count_orphans(timestamptz) IS
    'For each soft reference into a partitioned table, how many rows written since then point at nothing or at another organization; for the worker. Anything but 0 within the retention of the target is a defect';
GRANT EXECUTE ON FUNCTION count_orphans(timestamptz) TO flowpilot_worker;

RESET ROLE;
