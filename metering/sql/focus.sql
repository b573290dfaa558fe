-- What organizations are billed for in a period, by day, model, token class and price: $1 first day of the period, $2 one organization
-- or all, $3 the most rows. One statement, so that the charges and the period's totals are of one moment.
WITH charges AS (
    SELECT organization_id, day, provider, model, price_id, service, token_class, unit_price_usd
         , sum(events)::bigint AS events
         , sum(quantity)::bigint AS quantity
         , sum(cost_usd) AS cost_usd
         , COALESCE(sum(cost_usd) FILTER (WHERE usage_source IN ('estimated', 'unknown')), 0) AS estimated_cost_usd
         , COALESCE(sum(cost_usd) FILTER (WHERE outcome = 'failed'), 0) AS failed_cost_usd
      FROM metering.charge_rollup
     WHERE billed_period = $1
       AND ($2::uuid IS NULL OR organization_id = $2)
     GROUP BY organization_id, day, provider, model, price_id, service, token_class, unit_price_usd
    HAVING sum(quantity) <> 0
)
SELECT billing.organization_id
     , organizations.slug
     , organizations.name
     , billing.billing_period_end
     , billing.total_cost_usd_exact
     , billing.total_cost_usd
     , billing.status
     , billing.invoice_id
     -- A period may have no charge at all.
     , day AS "day?"
     , provider AS "provider?"
     , model AS "model?"
     , price_id AS "price_id?"
     , service AS "service?"
     , token_class AS "token_class?"
     , unit_price_usd AS "unit_price_usd?"
     , events AS "events?"
     , quantity AS "quantity?"
     , cost_usd AS "cost_usd?"
     , estimated_cost_usd AS "estimated_cost_usd?"
     , failed_cost_usd AS "failed_cost_usd?"
  FROM billing_usage AS billing
  JOIN organizations ON organizations.id = billing.organization_id
  LEFT JOIN charges ON charges.organization_id = billing.organization_id
 WHERE billing.billing_period_start = $1
   AND ($2::uuid IS NULL OR billing.organization_id = $2)
 ORDER BY organizations.slug, day, provider, model, token_class, unit_price_usd, service, price_id
 LIMIT $3
