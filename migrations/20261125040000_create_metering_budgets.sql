-- Budgets: limits of money, tokens and calls for parts of an organization, spent through the same leases as its quotas.
--
-- One mechanism for both. A lease belongs to a quota (resource_type) or to a budget (budget_id); lock_limit() locks either
-- and begins its next period when that is due, add_to_limit() books to either. What the leases count in is a whole number
-- of units: tokens, calls, or billionths of a dollar. The rule stays: used + reserved <= limit, under the limit's lock.

SET ROLE flowpilot_owner;
SET lock_timeout = '2s';

CREATE TABLE metering.budgets (
    id UUID PRIMARY KEY,
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    scope_type VARCHAR(20) NOT NULL,
    scope_id UUID,
    scope_tag VARCHAR(200),
    resource_type VARCHAR(20) NOT NULL,
    limit_amount NUMERIC(32, 12) NOT NULL,
    used_amount NUMERIC(32, 12) NOT NULL DEFAULT 0,
    reserved_amount NUMERIC(32, 12) NOT NULL DEFAULT 0,
    budget_period VARCHAR(20) NOT NULL,
    reset_at TIMESTAMPTZ,
    anchor_at TIMESTAMPTZ,
    period BIGINT NOT NULL DEFAULT 1,
    enforcement VARCHAR(10) NOT NULL DEFAULT 'hard',
    alert_percents SMALLINT[] NOT NULL DEFAULT '{50,80,100}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT budgets_organization_id_id_key UNIQUE (organization_id, id),
    CONSTRAINT budgets_name_key UNIQUE (organization_id, name),
    CONSTRAINT budgets_valid_scope CHECK (
        CASE scope_type
            WHEN 'organization' THEN scope_id IS NULL AND scope_tag IS NULL
            WHEN 'tag' THEN scope_id IS NULL AND scope_tag LIKE '_%=_%'
            WHEN 'department' THEN scope_id IS NOT NULL AND scope_tag IS NULL
            WHEN 'api_key' THEN scope_id IS NOT NULL AND scope_tag IS NULL
            WHEN 'user' THEN scope_id IS NOT NULL AND scope_tag IS NULL
            WHEN 'workflow' THEN scope_id IS NOT NULL AND scope_tag IS NULL
            ELSE FALSE
        END
    ),
    CONSTRAINT budgets_valid_resource CHECK (resource_type IN ('ai_tokens', 'api_calls', 'usd')),
    CONSTRAINT budgets_valid_period CHECK (budget_period IN ('daily', 'monthly', 'annual', 'total')),
    CONSTRAINT budgets_valid_enforcement CHECK (enforcement IN ('hard', 'soft')),
    CONSTRAINT budgets_period_ends CHECK ((budget_period = 'total') = (reset_at IS NULL)),
    -- Units of a lease are 64 bits wide: a billion dollars are 10^18 of them.
    CONSTRAINT budgets_valid_limit CHECK (
        limit_amount BETWEEN 0 AND CASE resource_type WHEN 'usd' THEN 1000000000 ELSE 1000000000000000000 END
    ),
    CONSTRAINT budgets_valid_amounts CHECK (used_amount >= 0 AND reserved_amount >= 0)
);
COMMENT ON TABLE metering.budgets IS 'What a part of an organization may spend in a period, beside the organization''s own usage_quotas';
COMMENT ON COLUMN metering.budgets.scope_id IS 'The department, API key, user or workflow (soft reference: a key''s or workflow''s end does not end what was spent by it)';
COMMENT ON COLUMN metering.budgets.scope_tag IS 'name=value, as the header x-flowpilot-tags has it';
COMMENT ON COLUMN metering.budgets.limit_amount IS 'Dollars, tokens or calls';
COMMENT ON COLUMN metering.budgets.used_amount IS 'Booked in the present period, exactly';
COMMENT ON COLUMN metering.budgets.reserved_amount IS 'In open leases of the present period, not yet booked';
COMMENT ON COLUMN metering.budgets.reset_at IS 'When the present period ends; NULL for a total budget, which never begins anew';
COMMENT ON COLUMN metering.budgets.anchor_at IS 'An end of a period from which the others are counted, so that the 31st does not become the 28th for good';
COMMENT ON COLUMN metering.budgets.period IS 'A counter: a lease of another period no longer counts';
COMMENT ON COLUMN metering.budgets.enforcement IS 'hard refuses what goes beyond the limit; soft only counts and alerts';
COMMENT ON COLUMN metering.budgets.alert_percents IS 'Percents of the limit that are alerted once in a period';
SELECT secure_tenant_table('metering.budgets');
SELECT keep_updated_at('metering.budgets');

CREATE TRIGGER announce_budget_put AFTER INSERT OR DELETE ON metering.budgets
    FOR EACH ROW EXECUTE FUNCTION metering.announce_quota();
CREATE TRIGGER announce_budget_change AFTER UPDATE OF limit_amount, budget_period, enforcement ON metering.budgets
    FOR EACH ROW EXECUTE FUNCTION metering.announce_quota();

CREATE TABLE metering.budget_alerts (
    organization_id UUID NOT NULL,
    budget_id UUID NOT NULL,
    period BIGINT NOT NULL,
    percent SMALLINT NOT NULL,
    used_amount NUMERIC(32, 12) NOT NULL,
    limit_amount NUMERIC(32, 12) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY (budget_id, period, percent),
    CONSTRAINT budget_alerts_budget FOREIGN KEY (organization_id, budget_id)
        REFERENCES metering.budgets (organization_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_budget_alerts_budget ON metering.budget_alerts (organization_id, budget_id);
COMMENT ON TABLE metering.budget_alerts IS 'Which part of a budget was reached, once in each period; what is done about it is the business of notifications';
COMMENT ON COLUMN metering.budget_alerts.used_amount IS 'Booked when it was noticed';
SELECT secure_tenant_table('metering.budget_alerts', app_rights => 'SELECT');

ALTER TABLE metering.quota_leases ALTER COLUMN resource_type DROP NOT NULL;
ALTER TABLE metering.quota_leases ADD COLUMN budget_id UUID;
ALTER TABLE metering.quota_leases ADD CONSTRAINT quota_leases_budget FOREIGN KEY (organization_id, budget_id)
    REFERENCES metering.budgets (organization_id, id) ON DELETE CASCADE;
ALTER TABLE metering.quota_leases ADD CONSTRAINT quota_leases_one_limit
    CHECK (num_nonnulls(resource_type, budget_id) = 1) NOT VALID;
-- Not concurrently: the table has a row per gateway process, limit and period, and is quickly read.
CREATE INDEX idx_quota_leases_budget ON metering.quota_leases (organization_id, budget_id);
COMMENT ON COLUMN metering.quota_leases.resource_type IS 'The quota it is a slice of; NULL where it is one of a budget';
COMMENT ON COLUMN metering.quota_leases.budget_id IS 'The budget it is a slice of; of a budget in dollars the amounts are billionths';

CREATE OR REPLACE FUNCTION metering.period_end(anchor_at timestamptz, quota_period text, after timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql IMMUTABLE
AS $function$
DECLARE
    months constant integer := CASE quota_period WHEN 'annual' THEN 12 ELSE 1 END;
    elapsed constant interval := age(after AT TIME ZONE 'UTC', anchor_at AT TIME ZONE 'UTC');
    periods integer := greatest(0, (extract(year FROM elapsed) * 12 + extract(month FROM elapsed))::integer / months);
    days constant integer := greatest(0, floor(extract(epoch FROM after - anchor_at) / 86400) + 1);
    period_end timestamptz;
BEGIN
    IF quota_period = 'daily' THEN
        -- Days of UTC are all alike.
        RETURN anchor_at + days * interval '24 hours';
    END IF;
    LOOP
        period_end := ((anchor_at AT TIME ZONE 'UTC') + make_interval(months => periods * months)) AT TIME ZONE 'UTC';
        EXIT WHEN period_end > after;
        periods := periods + 1;
    END LOOP;
    RETURN period_end;
END
$function$;

CREATE FUNCTION metering.units_per(p_resource text) RETURNS numeric
    LANGUAGE sql IMMUTABLE
    RETURN CASE p_resource WHEN 'usd' THEN 1000000000 ELSE 1 END;
COMMENT ON FUNCTION metering.units_per(text) IS 'How many units of a lease one dollar, token or call is';

CREATE FUNCTION metering.lock_budget(p_organization uuid, p_budget uuid) RETURNS metering.budgets
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    budget metering.budgets;
BEGIN
    SELECT * INTO budget FROM metering.budgets b
     WHERE b.organization_id = p_organization AND b.id = p_budget FOR UPDATE;
    IF budget.reset_at <= now() THEN
        budget.reset_at := metering.period_end(COALESCE(budget.anchor_at, budget.reset_at), budget.budget_period, now());
        budget.period := budget.period + 1;
        budget.used_amount := 0;
        budget.reserved_amount := 0;
        UPDATE metering.budgets b
           SET reset_at = budget.reset_at, period = budget.period, used_amount = 0, reserved_amount = 0
         WHERE b.id = p_budget;
        UPDATE metering.quota_leases l
           SET state = 'expired'
         WHERE l.organization_id = p_organization AND l.budget_id = p_budget AND l.state = 'open';
    END IF;
    RETURN budget;
END
$function$;
COMMENT ON FUNCTION metering.lock_budget(uuid, uuid) IS 'Locks a budget and begins its next period when that is due';

CREATE FUNCTION metering.lock_limit(
    p_organization uuid, p_resource text, p_budget uuid,
    OUT limited boolean, OUT limit_units bigint, OUT used_units bigint, OUT reserved_units bigint,
    OUT period_end timestamptz, OUT current_period bigint
)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    locked record;
    quota usage_quotas;
    budget metering.budgets;
    units numeric;
BEGIN
    IF p_budget IS NULL THEN
        SELECT * INTO locked FROM metering.lock_quota(p_organization, p_resource);
        quota := locked.quota;
        IF quota.id IS NULL THEN
            RETURN;
        END IF;
        limited := quota.quota_period <> 'unlimited';
        limit_units := quota.quota_limit;
        used_units := quota.quota_used;
        reserved_units := quota.quota_reserved;
        period_end := quota.reset_at;
        current_period := locked.current_period;
        RETURN;
    END IF;
    budget := metering.lock_budget(p_organization, p_budget);
    IF budget.id IS NULL THEN
        RETURN;
    END IF;
    units := metering.units_per(budget.resource_type);
    limited := budget.enforcement = 'hard';
    limit_units := floor(budget.limit_amount * units);
    -- Rounded against the spender, so that less than a unit is never too much.
    used_units := ceil(budget.used_amount * units);
    reserved_units := ceil(budget.reserved_amount * units);
    period_end := budget.reset_at;
    current_period := budget.period;
END
$function$;
COMMENT ON FUNCTION metering.lock_limit(uuid, text, uuid) IS
    'Locks a quota or a budget and begins its next period when that is due. limited: NULL where there is none, false where it only counts';

CREATE FUNCTION metering.add_to_limit(
    p_organization uuid, p_resource text, p_budget uuid, p_used numeric, p_reserved bigint
) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
BEGIN
    -- Never below nothing: somebody may have set the columns by hand.
    IF p_budget IS NULL THEN
        UPDATE usage_quotas q
           SET quota_used = q.quota_used + p_used::bigint
             , quota_reserved = greatest(0, q.quota_reserved + p_reserved)
         WHERE q.organization_id = p_organization AND q.resource_type = p_resource;
    ELSE
        UPDATE metering.budgets b
           SET used_amount = b.used_amount + p_used
             , reserved_amount = greatest(0, b.reserved_amount + p_reserved / metering.units_per(b.resource_type))
         WHERE b.organization_id = p_organization AND b.id = p_budget;
    END IF;
END
$function$;
COMMENT ON FUNCTION metering.add_to_limit(uuid, text, uuid, numeric, bigint) IS
    'Books to a locked quota or budget: an exact amount to what is used, units to what is reserved';

-- Gives back what a node does not need of a lease. Its limit must be locked.
CREATE OR REPLACE FUNCTION metering.unreserve(p_lease uuid, p_period bigint, p_amount bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    lease metering.quota_leases;
    amount bigint;
BEGIN
    SELECT * INTO lease FROM metering.quota_leases l WHERE l.id = p_lease FOR UPDATE;
    IF NOT FOUND OR lease.state <> 'open' OR lease.period <> p_period THEN
        RETURN 0;
    END IF;
    amount := least(p_amount, lease.granted - lease.settled - lease.returned);
    UPDATE metering.quota_leases SET returned = returned + amount WHERE id = p_lease;
    PERFORM metering.add_to_limit(lease.organization_id, lease.resource_type, lease.budget_id, 0, -amount);
    RETURN amount;
END
$function$;
COMMENT ON FUNCTION metering.unreserve(uuid, bigint, bigint) IS 'Moves an amount of an open lease back to its limit';

DROP FUNCTION metering.take_lease(uuid, text, uuid, uuid, uuid, bigint, bigint, bigint);
CREATE FUNCTION metering.take_lease(
    p_organization uuid, p_resource text, p_budget uuid, p_node uuid, p_life uuid,
    p_lease uuid, p_give_back bigint, p_wanted bigint, p_needed bigint,
    OUT limited boolean, OUT lease_id uuid, OUT granted bigint,
    OUT period_end timestamptz, OUT limit_units bigint, OUT committed bigint
)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    locked record;
    reserved bigint;
    free bigint;
    nodes bigint;
BEGIN
    SELECT * INTO locked FROM metering.lock_limit(p_organization, p_resource, p_budget);
    limited := locked.limited;
    IF limited IS NULL THEN
        RETURN;
    END IF;
    limit_units := locked.limit_units;
    period_end := locked.period_end;
    reserved := locked.reserved_units;
    -- Also where there is no limit any more: what is given back here is not given back again.
    IF p_give_back > 0 THEN
        reserved := greatest(0, reserved - metering.unreserve(p_lease, locked.current_period, p_give_back));
    END IF;
    IF NOT limited THEN
        RETURN;
    END IF;

    -- The nearer the limit and the more the nodes, the smaller the slice: the last of a limit stays usable.
    SELECT count(DISTINCT l.node_id) + 1 INTO nodes
      FROM metering.quota_leases l
     WHERE l.organization_id = p_organization AND l.state = 'open' AND l.node_id <> p_node
       AND (l.budget_id = p_budget OR (p_budget IS NULL AND l.resource_type = p_resource));
    free := greatest(0, limit_units - locked.used_units - reserved);
    granted := least(p_wanted, greatest(p_needed, free / (2 * nodes)));
    IF granted > free OR granted < p_needed THEN
        granted := 0;
    END IF;

    -- The same lease grows as long as its process lives and the period lasts.
    SELECT l.id INTO lease_id
      FROM metering.quota_leases l
     WHERE l.organization_id = p_organization AND l.node_id = p_node
       AND (l.budget_id = p_budget OR (p_budget IS NULL AND l.resource_type = p_resource))
       AND l.life_id = p_life AND l.period = locked.current_period AND l.state = 'open'
       FOR UPDATE;
    IF lease_id IS NULL THEN
        -- The proposed id was used if the lease of an earlier period, or one an operator released, had it.
        lease_id := CASE WHEN EXISTS (SELECT FROM metering.quota_leases l WHERE l.id = p_lease)
                         THEN gen_random_uuid() ELSE p_lease END;
        INSERT INTO metering.quota_leases (id, organization_id, resource_type, budget_id, node_id, life_id, period)
        VALUES (lease_id, p_organization, CASE WHEN p_budget IS NULL THEN p_resource END, p_budget, p_node, p_life, locked.current_period);
    END IF;
    IF granted > 0 THEN
        UPDATE metering.quota_leases l SET granted = l.granted + take_lease.granted WHERE l.id = lease_id;
        PERFORM metering.add_to_limit(p_organization, p_resource, p_budget, 0, granted);
    END IF;
    committed := locked.used_units + reserved + granted;
END
$function$;
COMMENT ON FUNCTION metering.take_lease(uuid, text, uuid, uuid, uuid, uuid, bigint, bigint, bigint) IS
    'Gives back the rest of a lease and grants more of the limit: what is wanted where there is plenty, at least what is needed, or nothing. limited: NULL without a limit, false where it only counts';

DROP FUNCTION metering.return_lease(uuid, text, uuid, bigint);
CREATE FUNCTION metering.return_lease(
    p_organization uuid, p_resource text, p_budget uuid, p_lease uuid, p_amount bigint
) RETURNS bigint
    LANGUAGE sql
    RETURN (
        SELECT metering.unreserve(p_lease, l.current_period, p_amount)
          FROM metering.lock_limit(p_organization, p_resource, p_budget) l
    );
COMMENT ON FUNCTION metering.return_lease(uuid, text, uuid, uuid, bigint) IS 'Gives back what an idle node holds of a lease';

-- Called by the shipper with what it really booked, in the transaction that booked it. Quotas are locked before budgets,
-- each in the order of their names, on every node.
DROP FUNCTION metering.settle_leases(uuid[], text[], uuid[], bigint[]);
CREATE FUNCTION metering.settle_leases(
    p_organizations uuid[], p_resources text[], p_budgets uuid[], p_leases uuid[], p_units bigint[], p_amounts numeric[]
) RETURNS TABLE (organization_id uuid, budget_id uuid, percent smallint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    booked record;
    locked record;
    lease metering.quota_leases;
    released bigint;
BEGIN
    FOR booked IN
        SELECT b.organization_id, b.resource_type, b.budget_id, b.lease_id
             , sum(b.units)::bigint AS units, sum(b.amount) AS amount
          FROM unnest(p_organizations, p_resources, p_budgets, p_leases, p_units, p_amounts)
               AS b (organization_id, resource_type, budget_id, lease_id, units, amount)
         GROUP BY b.organization_id, b.resource_type, b.budget_id, b.lease_id
         ORDER BY b.organization_id, b.budget_id NULLS FIRST, b.resource_type, b.lease_id
    LOOP
        SELECT * INTO locked
          FROM metering.lock_limit(booked.organization_id, booked.resource_type, booked.budget_id);
        CONTINUE WHEN locked.limited IS NULL;
        released := 0;
        IF booked.lease_id IS NOT NULL THEN
            SELECT * INTO lease FROM metering.quota_leases l WHERE l.id = booked.lease_id FOR UPDATE;
            -- Spent in a period that is over, or under a limit that is gone: it counts there.
            CONTINUE WHEN NOT FOUND OR lease.period <> locked.current_period;
            IF lease.state = 'open' THEN
                released := least(booked.units, lease.granted - lease.settled - lease.returned);
            END IF;
            UPDATE metering.quota_leases l
               SET settled = l.settled + released, overshoot = l.overshoot + booked.units - released
             WHERE l.id = booked.lease_id;
        END IF;
        PERFORM metering.add_to_limit(
            booked.organization_id, booked.resource_type, booked.budget_id, booked.amount, -released);
        IF booked.budget_id IS NOT NULL THEN
            RETURN QUERY
            INSERT INTO metering.budget_alerts AS alert (organization_id, budget_id, period, percent, used_amount, limit_amount)
            SELECT b.organization_id, b.id, b.period, reached, b.used_amount, b.limit_amount
              FROM metering.budgets b
             CROSS JOIN LATERAL unnest(b.alert_percents) AS reached
             WHERE b.organization_id = booked.organization_id AND b.id = booked.budget_id
               AND b.used_amount * 100 >= b.limit_amount * reached
                ON CONFLICT DO NOTHING
            RETURNING alert.organization_id, alert.budget_id, alert.percent;
        END IF;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION metering.settle_leases(uuid[], text[], uuid[], uuid[], bigint[], numeric[]) IS
    'Turns what was reserved into what was used, and says which parts of budgets are reached for the first time. Without a lease it is counted all the same: what is not limited has none';

CREATE OR REPLACE FUNCTION metering.close_lease(p_lease uuid, p_state text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    lease metering.quota_leases;
    v_period bigint;
    released bigint;
BEGIN
    SELECT * INTO lease FROM metering.quota_leases l WHERE l.id = p_lease;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    SELECT l.current_period INTO v_period
      FROM metering.lock_limit(lease.organization_id, lease.resource_type, lease.budget_id) l;
    released := metering.unreserve(p_lease, v_period, lease.granted);
    UPDATE metering.quota_leases SET state = p_state WHERE id = p_lease AND state = 'open';
    RETURN released;
END
$function$;

-- For what is counted in the caller's own transaction: workflows, executions, storage.
CREATE FUNCTION metering.take_now(
    p_organization uuid, p_resource text, p_amount bigint,
    OUT taken boolean, OUT limit_units bigint, OUT committed bigint, OUT period_end timestamptz
)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    locked record;
BEGIN
    SELECT * INTO locked FROM metering.lock_limit(p_organization, p_resource, NULL);
    limit_units := locked.limit_units;
    committed := locked.used_units + locked.reserved_units;
    period_end := locked.period_end;
    IF locked.limited IS NULL THEN
        RETURN;
    END IF;
    taken := NOT locked.limited OR p_amount <= 0 OR committed + p_amount <= limit_units;
    IF taken THEN
        PERFORM metering.add_to_limit(p_organization, p_resource, NULL, greatest(p_amount, -locked.used_units), 0);
    END IF;
END
$function$;
COMMENT ON FUNCTION metering.take_now(uuid, text, bigint) IS
    'Takes of a quota at once, or gives back with a negative amount. taken: NULL where there is no quota, false where too little is left';

GRANT EXECUTE ON FUNCTION
    metering.units_per(text),
    metering.lock_budget(uuid, uuid),
    metering.lock_limit(uuid, text, uuid),
    metering.add_to_limit(uuid, text, uuid, numeric, bigint),
    metering.take_lease(uuid, text, uuid, uuid, uuid, uuid, bigint, bigint, bigint),
    metering.return_lease(uuid, text, uuid, uuid, bigint),
    metering.settle_leases(uuid[], text[], uuid[], uuid[], bigint[], numeric[]),
    metering.take_now(uuid, text, bigint)
    TO flowpilot_app, flowpilot_worker;

RESET lock_timeout;
RESET ROLE;
