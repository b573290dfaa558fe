-- Leases: how gateways spend a quota without asking for every request, and never overspend it.
--
-- The rule everything here keeps, under the lock of the quota's row:
--   quota_reserved = sum over the open leases of the current period of (granted - settled - returned)
--   a grant happens only where quota_used + quota_reserved + grant <= quota_limit
-- A lease ends by settlement or return of its node, by that node's recovery, at the period's end, or by an operator.

SET ROLE flowpilot_owner;

CREATE TABLE metering.quota_periods (
    organization_id UUID NOT NULL,
    resource_type VARCHAR(50) NOT NULL,
    anchor_at TIMESTAMPTZ,
    period BIGINT NOT NULL DEFAULT 1,

    PRIMARY KEY (organization_id, resource_type),
    CONSTRAINT quota_periods_quota FOREIGN KEY (organization_id, resource_type)
        REFERENCES usage_quotas (organization_id, resource_type) ON DELETE CASCADE
);
COMMENT ON TABLE metering.quota_periods IS 'Which period a quota is in';
COMMENT ON COLUMN metering.quota_periods.anchor_at IS 'An end of a period from which the others are counted, so that the 31st does not become the 28th for good';
COMMENT ON COLUMN metering.quota_periods.period IS 'A counter: a lease of another period no longer counts';
SELECT secure_tenant_table('metering.quota_periods');

CREATE TABLE metering.quota_leases (
    id UUID PRIMARY KEY,
    organization_id UUID NOT NULL,
    resource_type VARCHAR(50) NOT NULL,
    node_id UUID NOT NULL,
    life_id UUID NOT NULL,
    period BIGINT NOT NULL,
    granted BIGINT NOT NULL DEFAULT 0,
    settled BIGINT NOT NULL DEFAULT 0,
    returned BIGINT NOT NULL DEFAULT 0,
    overshoot BIGINT NOT NULL DEFAULT 0,
    state VARCHAR(20) NOT NULL DEFAULT 'open',
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT quota_leases_valid_state CHECK (state IN ('open', 'closed', 'expired', 'released')),
    CONSTRAINT quota_leases_balance CHECK (
        granted >= 0 AND settled >= 0 AND returned >= 0 AND overshoot >= 0 AND settled + returned <= granted
    ),
    CONSTRAINT quota_leases_quota FOREIGN KEY (organization_id, resource_type)
        REFERENCES usage_quotas (organization_id, resource_type) ON DELETE CASCADE
);
CREATE INDEX idx_quota_leases_quota ON metering.quota_leases (organization_id, resource_type);
CREATE INDEX idx_quota_leases_open ON metering.quota_leases (organization_id, resource_type, node_id) WHERE state = 'open';
CREATE INDEX idx_quota_leases_node ON metering.quota_leases (node_id) WHERE state = 'open';
COMMENT ON TABLE metering.quota_leases IS 'What each gateway may spend of a quota without asking: one row per gateway process, quota and period';
COMMENT ON COLUMN metering.quota_leases.node_id IS 'The gateway, by its journal';
COMMENT ON COLUMN metering.quota_leases.life_id IS 'The process: a gateway that starts again takes new leases and closes the old ones once its journal is shipped';
COMMENT ON COLUMN metering.quota_leases.settled IS 'Spent, as far as it was granted';
COMMENT ON COLUMN metering.quota_leases.overshoot IS 'Spent beyond what was reserved: the error of estimates';
COMMENT ON COLUMN metering.quota_leases.state IS 'closed: by its node; expired: by the end of the period; released: by an operator';
SELECT secure_tenant_table('metering.quota_leases');
SELECT keep_updated_at('metering.quota_leases');

-- Counts the changes of limits. One row, locked until the change commits: the numbers are seen in their order.
CREATE TABLE metering.quota_epoch (
    only_row BOOLEAN PRIMARY KEY DEFAULT TRUE,
    epoch BIGINT NOT NULL,
    CONSTRAINT quota_epoch_only_row CHECK (only_row)
);
COMMENT ON TABLE metering.quota_epoch IS 'Grows with every change of a limit, so that gateways notice one whose notification they missed';
INSERT INTO metering.quota_epoch (epoch) VALUES (1);
GRANT SELECT ON metering.quota_epoch TO flowpilot_app, flowpilot_worker;

CREATE FUNCTION metering.announce_quota() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    new_epoch bigint;
BEGIN
    UPDATE metering.quota_epoch SET epoch = epoch + 1 RETURNING epoch INTO new_epoch;
    PERFORM pg_notify('flowpilot_quotas', new_epoch || ' ' || COALESCE(NEW.organization_id, OLD.organization_id));
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION metering.announce_quota() IS 'Tells the gateways whose limit changed: "epoch organization"';
CREATE TRIGGER announce_quota_put AFTER INSERT OR DELETE ON usage_quotas
    FOR EACH ROW EXECUTE FUNCTION metering.announce_quota();
CREATE TRIGGER announce_quota_change AFTER UPDATE OF quota_limit, quota_period ON usage_quotas
    FOR EACH ROW EXECUTE FUNCTION metering.announce_quota();

CREATE FUNCTION metering.period_end(anchor_at timestamptz, quota_period text, after timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql IMMUTABLE
AS $function$
DECLARE
    months constant integer := CASE quota_period WHEN 'annual' THEN 12 ELSE 1 END;
    elapsed constant interval := age(after AT TIME ZONE 'UTC', anchor_at AT TIME ZONE 'UTC');
    periods integer := greatest(0, (extract(year FROM elapsed) * 12 + extract(month FROM elapsed))::integer / months);
    period_end timestamptz;
BEGIN
    LOOP
        period_end := ((anchor_at AT TIME ZONE 'UTC') + make_interval(months => periods * months)) AT TIME ZONE 'UTC';
        EXIT WHEN period_end > after;
        periods := periods + 1;
    END LOOP;
    RETURN period_end;
END
$function$;
COMMENT ON FUNCTION metering.period_end(timestamptz, text, timestamptz) IS
    'The first end of a period after a moment; counted from the anchor each time, and so on its day wherever the month has it';

-- Locks a quota and moves it into the present period. Every function below begins with it: the quota's row is locked before
-- its leases, everywhere, and so nothing deadlocks.
CREATE FUNCTION metering.lock_quota(
    p_organization uuid, p_resource text, OUT quota public.usage_quotas, OUT current_period bigint
)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    v_anchor timestamptz;
BEGIN
    SELECT * INTO quota FROM usage_quotas q
     WHERE q.organization_id = p_organization AND q.resource_type = p_resource FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO metering.quota_periods (organization_id, resource_type, anchor_at)
    VALUES (p_organization, p_resource, quota.reset_at)
    ON CONFLICT DO NOTHING;
    SELECT p.period, p.anchor_at INTO STRICT current_period, v_anchor
      FROM metering.quota_periods p
     WHERE p.organization_id = p_organization AND p.resource_type = p_resource;

    IF quota.quota_period <> 'unlimited' AND quota.reset_at <= now() THEN
        quota.reset_at := metering.period_end(COALESCE(v_anchor, quota.reset_at), quota.quota_period, now());
        quota.quota_used := 0;
        quota.quota_reserved := 0;
        current_period := current_period + 1;
        UPDATE usage_quotas
           SET quota_used = 0, quota_reserved = 0, reset_at = quota.reset_at
         WHERE id = quota.id;
        UPDATE metering.quota_periods p
           SET period = current_period
         WHERE p.organization_id = p_organization AND p.resource_type = p_resource;
        UPDATE metering.quota_leases l
           SET state = 'expired'
         WHERE l.organization_id = p_organization AND l.resource_type = p_resource AND l.state = 'open';
    END IF;
END
$function$;
COMMENT ON FUNCTION metering.lock_quota(uuid, text) IS 'Locks a quota and begins its next period when that is due';

-- Gives back what a node does not need of a lease. The quota must be locked.
CREATE FUNCTION metering.unreserve(p_lease uuid, p_period bigint, p_amount bigint) RETURNS bigint
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
    UPDATE usage_quotas q
       -- Never below nothing: somebody may have set the columns by hand.
       SET quota_reserved = greatest(0, q.quota_reserved - amount)
     WHERE q.organization_id = lease.organization_id AND q.resource_type = lease.resource_type;
    RETURN amount;
END
$function$;
COMMENT ON FUNCTION metering.unreserve(uuid, bigint, bigint) IS 'Moves an amount of an open lease back to its quota';

CREATE FUNCTION metering.take_lease(
    p_organization uuid, p_resource text, p_node uuid, p_life uuid,
    p_lease uuid, p_give_back bigint, p_wanted bigint, p_needed bigint,
    OUT limited boolean, OUT lease_id uuid, OUT granted bigint,
    OUT period_end timestamptz, OUT quota_limit bigint, OUT committed bigint
)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    locked record;
    quota usage_quotas;
    v_period bigint;
    free bigint;
    nodes bigint;
BEGIN
    SELECT * INTO locked FROM metering.lock_quota(p_organization, p_resource);
    quota := locked.quota;
    v_period := locked.current_period;
    IF quota.id IS NULL THEN
        RETURN;
    END IF;
    limited := quota.quota_period <> 'unlimited';
    quota_limit := quota.quota_limit;
    -- Also where there is no limit any more: what is given back here is not given back again.
    IF p_give_back > 0 THEN
        quota.quota_reserved := greatest(0, quota.quota_reserved - metering.unreserve(p_lease, v_period, p_give_back));
    END IF;
    IF NOT limited THEN
        RETURN;
    END IF;

    -- The nearer the limit and the more the nodes, the smaller the slice: the last of a quota stays usable.
    SELECT count(DISTINCT l.node_id) + 1 INTO nodes
      FROM metering.quota_leases l
     WHERE l.organization_id = p_organization AND l.resource_type = p_resource
       AND l.state = 'open' AND l.node_id <> p_node;
    free := greatest(0, quota.quota_limit - quota.quota_used - quota.quota_reserved);
    granted := least(p_wanted, greatest(p_needed, free / (2 * nodes)));
    IF granted > free OR granted < p_needed THEN
        granted := 0;
    END IF;

    -- The same lease grows as long as its process lives and the period lasts.
    SELECT l.id INTO lease_id
      FROM metering.quota_leases l
     WHERE l.organization_id = p_organization AND l.resource_type = p_resource AND l.node_id = p_node
       AND l.life_id = p_life AND l.period = v_period AND l.state = 'open'
       FOR UPDATE;
    IF lease_id IS NULL THEN
        -- The proposed id was used if the lease of an earlier period, or one an operator released, had it.
        lease_id := CASE WHEN EXISTS (SELECT FROM metering.quota_leases l WHERE l.id = p_lease)
                         THEN gen_random_uuid() ELSE p_lease END;
        INSERT INTO metering.quota_leases (id, organization_id, resource_type, node_id, life_id, period)
        VALUES (lease_id, p_organization, p_resource, p_node, p_life, v_period);
    END IF;
    IF granted > 0 THEN
        UPDATE metering.quota_leases l SET granted = l.granted + take_lease.granted WHERE l.id = lease_id;
        UPDATE usage_quotas q SET quota_reserved = q.quota_reserved + take_lease.granted WHERE q.id = quota.id;
    END IF;
    period_end := quota.reset_at;
    committed := quota.quota_used + quota.quota_reserved + granted;
END
$function$;
COMMENT ON FUNCTION metering.take_lease(uuid, text, uuid, uuid, uuid, bigint, bigint, bigint) IS
    'Gives back the rest of a lease and grants more of the quota: what is wanted where there is plenty, at least what is needed, or nothing. limited: NULL without a quota, false where it only counts';

CREATE FUNCTION metering.return_lease(p_organization uuid, p_resource text, p_lease uuid, p_amount bigint) RETURNS bigint
    LANGUAGE sql
    RETURN (
        SELECT metering.unreserve(p_lease, l.current_period, p_amount)
          FROM metering.lock_quota(p_organization, p_resource) l
    );
COMMENT ON FUNCTION metering.return_lease(uuid, text, uuid, bigint) IS 'Gives back what an idle node holds of a lease';

-- Called by the shipper with what it really booked, in the transaction that booked it.
CREATE FUNCTION metering.settle_leases(
    p_organizations uuid[], p_resources text[], p_leases uuid[], p_amounts bigint[]
) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
AS $function$
DECLARE
    booked record;
    locked record;
    quota usage_quotas;
    v_period bigint;
    lease metering.quota_leases;
    released bigint;
BEGIN
    FOR booked IN
        SELECT b.organization_id, b.resource_type, b.lease_id, sum(b.amount)::bigint AS amount
          FROM unnest(p_organizations, p_resources, p_leases, p_amounts)
               AS b (organization_id, resource_type, lease_id, amount)
         GROUP BY b.organization_id, b.resource_type, b.lease_id
         ORDER BY b.organization_id, b.resource_type, b.lease_id
    LOOP
        SELECT * INTO locked FROM metering.lock_quota(booked.organization_id, booked.resource_type);
        quota := locked.quota;
        v_period := locked.current_period;
        CONTINUE WHEN quota.id IS NULL;
        released := 0;
        IF booked.lease_id IS NOT NULL THEN
            SELECT * INTO lease FROM metering.quota_leases l WHERE l.id = booked.lease_id FOR UPDATE;
            -- Spent in a period that is over, or under a quota that is gone: it counts there.
            CONTINUE WHEN NOT FOUND OR lease.period <> v_period;
            IF lease.state = 'open' THEN
                released := least(booked.amount, lease.granted - lease.settled - lease.returned);
            END IF;
            UPDATE metering.quota_leases l
               SET settled = l.settled + released, overshoot = l.overshoot + booked.amount - released
             WHERE l.id = booked.lease_id;
        END IF;
        UPDATE usage_quotas q
           SET quota_used = q.quota_used + booked.amount
             , quota_reserved = greatest(0, q.quota_reserved - released)
         WHERE q.id = quota.id;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION metering.settle_leases(uuid[], text[], uuid[], bigint[]) IS
    'Turns what was reserved into what was used. Without a lease it is counted all the same: an unlimited quota has none';

CREATE FUNCTION metering.close_lease(p_lease uuid, p_state text) RETURNS bigint
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
    SELECT l.current_period INTO v_period FROM metering.lock_quota(lease.organization_id, lease.resource_type) l;
    released := metering.unreserve(p_lease, v_period, lease.granted);
    UPDATE metering.quota_leases SET state = p_state WHERE id = p_lease AND state = 'open';
    RETURN released;
END
$function$;
COMMENT ON FUNCTION metering.close_lease(uuid, text) IS 'Ends a lease and gives back all that is left of it';

GRANT EXECUTE ON FUNCTION
    metering.period_end(timestamptz, text, timestamptz),
    metering.lock_quota(uuid, text),
    metering.unreserve(uuid, bigint, bigint),
    metering.take_lease(uuid, text, uuid, uuid, uuid, bigint, bigint, bigint),
    metering.return_lease(uuid, text, uuid, bigint),
    metering.settle_leases(uuid[], text[], uuid[], bigint[]),
    metering.close_lease(uuid, text)
    TO flowpilot_app, flowpilot_worker;

RESET ROLE;
