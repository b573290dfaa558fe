-- Routes that organizations define for themselves, and how gateways that hold them in memory hear of their changes.

SET ROLE flowpilot_owner;
SET lock_timeout = '2s';

CREATE SCHEMA IF NOT EXISTS gateway;
COMMENT ON SCHEMA gateway IS 'What the gateway crate keeps beside its tables in public';
GRANT USAGE ON SCHEMA gateway TO flowpilot_app, flowpilot_worker;

CREATE TABLE gateway.routes (
    id UUID PRIMARY KEY,
    organization_id UUID NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    alias VARCHAR(255) NOT NULL,
    definition JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT routes_organization_alias_key UNIQUE (organization_id, alias)
);
COMMENT ON TABLE gateway.routes IS 'What a model''s name means to one organization, before the configuration is asked';
COMMENT ON COLUMN gateway.routes.alias IS 'The name that callers use as a model';
COMMENT ON COLUMN gateway.routes.definition IS 'Deployments, choice, sticky, hedge, attempts_max and request_timeout_ms, as in [routes.NAME] of the configuration';
SELECT secure_tenant_table(
    'gateway.routes',
    app_rights => 'SELECT, INSERT, UPDATE, DELETE',
    worker_rights => 'SELECT'
);
SELECT keep_updated_at('gateway.routes');

-- Counts the changes of routes. One row, locked until the change commits: the numbers are seen in their order.
CREATE TABLE gateway.routing_epoch (
    only_row BOOLEAN PRIMARY KEY DEFAULT TRUE,
    epoch BIGINT NOT NULL,
    CONSTRAINT routing_epoch_only_row CHECK (only_row)
);
COMMENT ON TABLE gateway.routing_epoch IS 'Grows with every change of a route, so that gateways notice one whose notification they missed';
INSERT INTO gateway.routing_epoch (epoch) VALUES (1);
GRANT SELECT ON gateway.routing_epoch TO flowpilot_worker;

CREATE FUNCTION gateway.announce_routing() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    new_epoch bigint;
BEGIN
    UPDATE gateway.routing_epoch SET epoch = epoch + 1 RETURNING epoch INTO new_epoch;
    PERFORM pg_notify('flowpilot_routing', new_epoch::text);
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION gateway.announce_routing() IS 'Counts a change of what decides where requests go, and announces it';
REVOKE ALL ON FUNCTION gateway.announce_routing() FROM PUBLIC;

CREATE TRIGGER announce_routing AFTER INSERT OR UPDATE OR DELETE ON gateway.routes
    FOR EACH ROW EXECUTE FUNCTION gateway.announce_routing();

RESET lock_timeout;
RESET ROLE;
