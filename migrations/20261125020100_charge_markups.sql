-- Mark-ups are charges of a class of their own, so that no report takes them for a provider's.

SET ROLE flowpilot_owner;
SET lock_timeout = '2s';

ALTER TABLE metering.charge_rollup
    DROP CONSTRAINT charge_rollup_valid_token_class,
    ADD CONSTRAINT charge_rollup_valid_token_class CHECK (
        token_class IN (
            'input', 'audio_input', 'image_input', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'output', 'reasoning'
          , 'audio_output', 'web_search', 'markup', 'undivided'
        )
    );
COMMENT ON COLUMN metering.charge_rollup.token_class IS 'The class the quantity counts; each token is in exactly one. markup: one per mark-up. undivided: one per event whose cost cannot be taken apart, because its price is not to be had any more, or because it is a correction';

RESET lock_timeout;
RESET ROLE;
