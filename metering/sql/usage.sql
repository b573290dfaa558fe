-- Usage and cost of a span of days, by the dimensions asked for: $1 from, $2 until (not included), $3 one organization or all,
-- $4 to $9 which dimensions, $10 to $12 one provider, model or key only, $13 the most rows.
-- Reads the roll-up alone. Only what organizations pay for: what the platform spent for itself is left out.
SELECT CASE WHEN $4 THEN organization_id END AS "organization_id?"
     , CASE WHEN $5 THEN date_trunc('month', day)::date WHEN $6 THEN day END AS "period?"
     , CASE WHEN $7 THEN provider END AS "provider?"
     , CASE WHEN $8 THEN model END AS "model?"
     , CASE WHEN $9 THEN api_key_id END AS "api_key_id?"
     -- Sums of columns that are never null, over groups that are never empty.
     , sum(events)::bigint AS "requests!"
     , COALESCE(sum(events) FILTER (WHERE usage_source = 'cache'), 0)::bigint AS "hits!"
     , COALESCE(sum(events) FILTER (WHERE usage_source = 'unknown'), 0)::bigint AS "unknown_requests!"
     , COALESCE(sum(events) FILTER (WHERE usage_source = 'estimated'), 0)::bigint AS "estimated_requests!"
     , sum(input_tokens)::bigint AS "input_tokens!"
     , sum(cache_read_tokens)::bigint AS "cache_read_tokens!"
     , sum(output_tokens)::bigint AS "output_tokens!"
     , sum(reasoning_tokens)::bigint AS "reasoning_tokens!"
     , sum(cost_usd) AS "cost_usd!"
     , sum(saved_cost_usd) AS "saved_cost_usd!"
  FROM metering.usage_rollup
 WHERE event_type = 'ai_request'
   AND charge_to = 'tenant'
   AND day >= $1
   AND day < $2
   AND ($3::uuid IS NULL OR organization_id = $3)
   AND ($10::text IS NULL OR provider = $10)
   AND ($11::text IS NULL OR model = $11)
   AND ($12::uuid IS NULL OR api_key_id = $12)
 GROUP BY 1, 2, 3, 4, 5
 ORDER BY 2, 1, 3, 4, 5
 LIMIT $13
