-- What was used and what it cost in a span of days, by the dimensions asked for: $1 from, $2 until (not included), $3 one organization
-- or all, $4 which sheet (usage or costs), $5 the dimensions, $6 the key of a tag, $7 to $17 one value only of a dimension, $18 the
-- most rows, $19 rows before the first.
-- Reads roll-ups alone, only those of its sheet, and only what organizations pay for: what the platform spent for itself is left out.
--
-- By tag: what has the tag counts under its value, and under no value once more, negatively, beside the whole. What is left
-- there is what has no such tag, so the rows of a report add up to the whole.
WITH parts AS (
    SELECT organization_id, day, provider, model, api_key_id, user_id, department_id, workflow_id, price_id, service, usage_source
         , outcome, NULL::text AS tag, NULL::text AS token_class, NULL::numeric AS unit_price_usd
         -- Corrections and mark-ups have a cost and are no requests.
         , CASE WHEN event_type = 'ai_request' THEN events ELSE 0 END AS events
         , input_tokens, cache_read_tokens, output_tokens, reasoning_tokens, 0::bigint AS quantity, cost_usd, saved_cost_usd
      FROM metering.usage_rollup
     WHERE $4::text = 'usage'
       AND event_type <> 'api_call'
       AND charge_to = 'tenant'
     UNION ALL
    SELECT organization_id, day, provider, model, NULL, NULL, NULL, NULL, NULL, NULL, usage_source, outcome, tag_value, NULL, NULL
         , events, input_tokens, cache_read_tokens, output_tokens, reasoning_tokens, 0, cost_usd, saved_cost_usd
      FROM metering.tag_rollup
     WHERE $4 = 'usage'
       AND tag_key = $6
       AND charge_to = 'tenant'
     UNION ALL
    SELECT organization_id, day, provider, model, NULL, NULL, NULL, NULL, NULL, NULL, usage_source, outcome, NULL, NULL, NULL
         , -events, -input_tokens, -cache_read_tokens, -output_tokens, -reasoning_tokens, 0, -cost_usd, -saved_cost_usd
      FROM metering.tag_rollup
     WHERE $4 = 'usage'
       AND tag_key = $6
       AND charge_to = 'tenant'
     UNION ALL
    SELECT organization_id, day, provider, model, NULL, NULL, NULL, NULL, price_id, service, usage_source, outcome, NULL, token_class
         , unit_price_usd, events, 0, 0, 0, 0, quantity, cost_usd, 0
      FROM metering.charge_rollup
     WHERE $4 = 'costs'
       AND charge_to = 'tenant'
), sums AS (
    SELECT CASE WHEN 'organization' = ANY ($5::text[]) THEN parts.organization_id END AS organization_id
         , CASE WHEN 'parent' = ANY ($5) THEN COALESCE(subsidiaries.parent_id, parts.organization_id) END AS parent_id
         , CASE WHEN 'month' = ANY ($5) THEN date_trunc('month', day)::date WHEN 'day' = ANY ($5) THEN day END AS period
         , CASE WHEN 'department' = ANY ($5) THEN department_id END AS department_id
         , CASE WHEN 'user' = ANY ($5) THEN user_id END AS user_id
         , CASE WHEN 'api_key' = ANY ($5) THEN api_key_id END AS api_key_id
         , CASE WHEN 'workflow' = ANY ($5) THEN workflow_id END AS workflow_id
         , CASE WHEN 'provider' = ANY ($5) THEN provider END AS provider
         , CASE WHEN 'model' = ANY ($5) THEN model END AS model
         , CASE WHEN 'price' = ANY ($5) THEN price_id END AS price_id
         , CASE WHEN 'service' = ANY ($5) THEN service END AS service
         , CASE WHEN 'usage_source' = ANY ($5) THEN usage_source END AS usage_source
         , CASE WHEN 'outcome' = ANY ($5) THEN outcome END AS outcome
         , tag
         , CASE WHEN 'token_class' = ANY ($5) THEN token_class END AS token_class
         , CASE WHEN 'price' = ANY ($5) THEN unit_price_usd END AS unit_price_usd
         , sum(events)::bigint AS requests
         , COALESCE(sum(events) FILTER (WHERE usage_source = 'cache'), 0)::bigint AS hits
         , COALESCE(sum(events) FILTER (WHERE outcome = 'failed'), 0)::bigint AS failed_requests
         , COALESCE(sum(events) FILTER (WHERE usage_source = 'unknown'), 0)::bigint AS unknown_requests
         , COALESCE(sum(events) FILTER (WHERE usage_source = 'estimated'), 0)::bigint AS estimated_requests
         , sum(input_tokens)::bigint AS input_tokens
         , sum(cache_read_tokens)::bigint AS cache_read_tokens
         , sum(output_tokens)::bigint AS output_tokens
         , sum(reasoning_tokens)::bigint AS reasoning_tokens
         , sum(quantity)::bigint AS quantity
         , sum(cost_usd) AS cost_usd
         , sum(saved_cost_usd) AS saved_cost_usd
         , COALESCE(sum(cost_usd) FILTER (WHERE outcome = 'failed'), 0) AS failed_cost_usd
         , COALESCE(sum(cost_usd) FILTER (WHERE usage_source = 'estimated'), 0) AS estimated_cost_usd
         , COALESCE(sum(cost_usd) FILTER (WHERE usage_source = 'unknown'), 0) AS unknown_cost_usd
      FROM parts
      LEFT JOIN organizations AS subsidiaries
        ON 'parent' = ANY ($5)
       AND subsidiaries.id = parts.organization_id
     WHERE day >= $1
       AND day < $2
       AND ($3::uuid IS NULL OR parts.organization_id = $3)
       AND ($7::text IS NULL OR provider = $7)
       AND ($8::text IS NULL OR model = $8)
       AND ($9::uuid IS NULL OR api_key_id = $9)
       AND ($10::uuid IS NULL OR department_id = $10)
       AND ($11::uuid IS NULL OR user_id = $11)
       AND ($12::uuid IS NULL OR workflow_id = $12)
       AND ($13::uuid IS NULL OR price_id = $13)
       AND ($14::text IS NULL OR service = $14)
       AND ($15::text IS NULL OR usage_source = $15)
       AND ($16::text IS NULL OR outcome = $16)
       AND ($17::text IS NULL OR token_class = $17)
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
    HAVING sum(events) <> 0
        OR sum(quantity) <> 0
        OR sum(cost_usd) <> 0
     ORDER BY 3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
     LIMIT $18
    OFFSET $19
)
SELECT sums.organization_id AS "organization_id?"
     , organizations.slug AS "organization?"
     , sums.parent_id AS "parent_id?"
     , parents.slug AS "parent?"
     , sums.period AS "period?"
     , sums.department_id AS "department_id?"
     , departments.name AS "department?"
     , sums.user_id AS "user_id?"
     , sums.api_key_id AS "api_key_id?"
     , api_keys.name AS "api_key?"
     , sums.workflow_id AS "workflow_id?"
     , workflows.name AS "workflow?"
     , sums.provider AS "provider?"
     , sums.model AS "model?"
     , sums.price_id AS "price_id?"
     , sums.service AS "service?"
     , sums.usage_source AS "usage_source?"
     , sums.outcome AS "outcome?"
     , sums.tag AS "tag?"
     , sums.token_class AS "token_class?"
     , sums.unit_price_usd AS "unit_price_usd?"
     -- A dimension asked for and without a value.
     , ( 'department' = ANY ($5) AND sums.department_id IS NULL
      OR 'user' = ANY ($5) AND sums.user_id IS NULL
      OR 'api_key' = ANY ($5) AND sums.api_key_id IS NULL
      OR 'workflow' = ANY ($5) AND sums.workflow_id IS NULL
      OR 'tag' = ANY ($5) AND sums.tag IS NULL ) AS "unallocated!"
     -- Sums of columns that are never null, over groups that are never empty.
     , requests AS "requests!"
     , hits AS "hits!"
     , failed_requests AS "failed_requests!"
     , unknown_requests AS "unknown_requests!"
     , estimated_requests AS "estimated_requests!"
     , input_tokens AS "input_tokens!"
     , cache_read_tokens AS "cache_read_tokens!"
     , output_tokens AS "output_tokens!"
     , reasoning_tokens AS "reasoning_tokens!"
     -- Different classes do not add up to anything.
     , CASE WHEN 'token_class' = ANY ($5) THEN quantity END AS "quantity?"
     , cost_usd AS "cost_usd!"
     , saved_cost_usd AS "saved_cost_usd!"
     , failed_cost_usd AS "failed_cost_usd!"
     , estimated_cost_usd AS "estimated_cost_usd!"
     , unknown_cost_usd AS "unknown_cost_usd!"
  FROM sums
  LEFT JOIN organizations ON organizations.id = sums.organization_id
  LEFT JOIN organizations AS parents ON parents.id = sums.parent_id
  LEFT JOIN departments ON departments.id = sums.department_id
  LEFT JOIN api_keys ON api_keys.id = sums.api_key_id
  LEFT JOIN workflows ON workflows.id = sums.workflow_id
 ORDER BY 5, 1, 3, 6, 8, 9, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21
