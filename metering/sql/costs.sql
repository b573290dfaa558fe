-- Cost of a span of days by token class and price: $1 from, $2 until (not included), $3 one organization or all, $4 the dimensions,
-- $5 to $11 one value only of a dimension, $12 the most rows, $13 rows before the first.
-- Reads the roll-up of charges alone, and only what organizations pay for.
WITH sums AS (
    SELECT CASE WHEN 'organization' = ANY ($4::text[]) THEN charges.organization_id END AS organization_id
         , CASE WHEN 'parent' = ANY ($4) THEN COALESCE(subsidiaries.parent_id, charges.organization_id) END AS parent_id
         , CASE WHEN 'month' = ANY ($4) THEN date_trunc('month', day)::date WHEN 'day' = ANY ($4) THEN day END AS period
         , CASE WHEN 'provider' = ANY ($4) THEN provider END AS provider
         , CASE WHEN 'model' = ANY ($4) THEN model END AS model
         , CASE WHEN 'price' = ANY ($4) THEN price_id END AS price_id
         , CASE WHEN 'service' = ANY ($4) THEN service END AS service
         , CASE WHEN 'usage_source' = ANY ($4) THEN usage_source END AS usage_source
         , CASE WHEN 'outcome' = ANY ($4) THEN outcome END AS outcome
         , CASE WHEN 'token_class' = ANY ($4) THEN token_class END AS token_class
         , CASE WHEN 'price' = ANY ($4) THEN unit_price_usd END AS unit_price_usd
         , sum(quantity)::bigint AS quantity
         , sum(cost_usd) AS cost_usd
      FROM metering.charge_rollup AS charges
      LEFT JOIN organizations AS subsidiaries
        ON 'parent' = ANY ($4)
       AND subsidiaries.id = charges.organization_id
     WHERE charge_to = 'tenant'
       AND day >= $1
       AND day < $2
       AND ($3::uuid IS NULL OR charges.organization_id = $3)
       AND ($5::text IS NULL OR provider = $5)
       AND ($6::text IS NULL OR model = $6)
       AND ($7::uuid IS NULL OR price_id = $7)
       AND ($8::text IS NULL OR service = $8)
       AND ($9::text IS NULL OR usage_source = $9)
       AND ($10::text IS NULL OR outcome = $10)
       AND ($11::text IS NULL OR token_class = $11)
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
     ORDER BY 3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11
     LIMIT $12
    OFFSET $13
)
SELECT sums.organization_id AS "organization_id?"
     , organizations.slug AS "organization?"
     , sums.parent_id AS "parent_id?"
     , parents.slug AS "parent?"
     , period AS "period?"
     , provider AS "provider?"
     , model AS "model?"
     , price_id AS "price_id?"
     , service AS "service?"
     , usage_source AS "usage_source?"
     , outcome AS "outcome?"
     , token_class AS "token_class?"
     , unit_price_usd AS "unit_price_usd?"
     , CASE WHEN 'token_class' = ANY ($4) THEN quantity END AS "quantity?"
     -- Sums of columns that are never null, over groups that are never empty.
     , cost_usd AS "cost_usd!"
  FROM sums
  LEFT JOIN organizations ON organizations.id = sums.organization_id
  LEFT JOIN organizations AS parents ON parents.id = sums.parent_id
 ORDER BY 5, 1, 3, 6, 7, 8, 9, 10, 11, 12, 13
