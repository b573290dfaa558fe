-- Who may do what with prompt templates: system roles are the owner's to write.

SET ROLE flowpilot_owner;
SET lock_timeout = '2s';

UPDATE roles
SET permissions = permissions || '{"prompt_templates": {"read": true, "write": true}}'
WHERE organization_id IS NULL AND slug IN ('owner', 'admin');

UPDATE roles
SET permissions = permissions || '{"prompt_templates": {"read": true}}'
WHERE organization_id IS NULL AND slug IN ('member', 'viewer');

RESET lock_timeout;
RESET ROLE;
