-- Validates what 20261125040000 added.

SET ROLE flowpilot_owner;
SET lock_timeout = '2s';
ALTER TABLE metering.quota_leases VALIDATE CONSTRAINT quota_leases_one_limit;
RESET lock_timeout;
RESET ROLE;
