//! Reads the charges of a billing period for the FOCUS export.

use chrono::NaiveDate;
use sqlx::PgConnection;
use types::id::Organization;
use types::{Id, Usd};

use crate::focus::{Billing, Charge, Charged, ROWS_MAX};
use crate::price::TokenClass;

/// Periods with their charges; one row more than allowed, to see whether there are too many.
pub(crate) async fn charges(
    connection: &mut PgConnection,
    organization: Option<Id<Organization>>,
    period: NaiveDate,
) -> Result<Vec<Charged>, database::Error> {
    let rows = sqlx::query_file!(
        "sql/focus.sql",
        period,
        organization.map(|id| id.uuid()),
        i64::try_from(ROWS_MAX)
            .unwrap_or(i64::MAX)
            .saturating_add(1),
    )
    .fetch_all(connection)
    .await?;
    let charged = rows.into_iter().map(|row| {
        let billing = Billing {
            organization_id: row.organization_id,
            slug: row.slug,
            name: row.name,
            begins: period,
            ends: row.billing_period_end,
            exact: Usd::new(row.total_cost_usd_exact),
            invoiced: (row.status != "active").then(|| Usd::new(row.total_cost_usd)),
            invoice_id: row.invoice_id,
        };
        let charge = row.day.zip(row.quantity).map(|(day, quantity)| Charge {
            day,
            provider: row.provider.unwrap_or_default(),
            model: row.model.unwrap_or_default(),
            price_id: row.price_id,
            service: row.service,
            class: row
                .token_class
                .and_then(|word| TokenClass::parse(&word))
                .unwrap_or(TokenClass::Undivided),
            unit_price_usd: row.unit_price_usd.unwrap_or_default(),
            requests: row.events.unwrap_or_default(),
            quantity,
            cost: Usd::new(row.cost_usd.unwrap_or_default()),
            estimated_cost: Usd::new(row.estimated_cost_usd.unwrap_or_default()),
            failed_cost: Usd::new(row.failed_cost_usd.unwrap_or_default()),
        });
        Charged { billing, charge }
    });
    Ok(charged.collect())
}
