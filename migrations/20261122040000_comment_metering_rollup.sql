-- What a soft reference of the roll-up points at, said where the invariants look for it.

SET ROLE flowpilot_owner;

COMMENT ON COLUMN metering.usage_rollup.api_key_id IS 'Soft reference to api_keys.id; NULL for a session';

RESET ROLE;
