//! The endpoints of quotas, budgets, prices and usage: one file each.

pub mod budgets;
pub mod focus;
pub mod forecast;
pub mod invoices;
pub mod markups;
pub mod prices;
pub mod quotas;
pub mod reconcile;
mod reports;
pub mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use ::api::Operations;
use arc_swap::ArcSwap;
use chrono::Duration;
use database::Database;
use serde::Deserialize;
use types::{Clock, Id, Permission, id};
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::price::PriceBook;

/// What the endpoints work with; cheap to clone.
#[derive(Debug, Clone)]
pub struct Finance {
    /// The database.
    pub database: Database,
    /// Who issues the invoices: `metering.operator_name`.
    pub operator_name: Arc<str>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The one source of prices.
    pub prices: Arc<ArcSwap<PriceBook>>,
    /// How long after its end a month stays open.
    pub close_grace: Duration,
    /// The names that providers of the configuration have in price lists, where that is another one.
    pub price_providers: Arc<BTreeMap<String, String>>,
}

/// Every operation with its permission.
pub fn operations(finance: Finance) -> Operations<Finance> {
    Operations::new(finance)
        .add(Permission::QuotasRead, routes!(quotas::list::list_quotas))
        .add(Permission::QuotasRead, routes!(quotas::find::find_quota))
        .add(Permission::QuotasWrite, routes!(quotas::put::put_quota))
        .add(
            Permission::BudgetsRead,
            routes!(budgets::list::list_budgets),
        )
        .add(Permission::BudgetsRead, routes!(budgets::find::find_budget))
        .add(
            Permission::BudgetsWrite,
            routes!(budgets::create::create_budget),
        )
        .add(Permission::BudgetsWrite, routes!(budgets::put::put_budget))
        .add(
            Permission::BudgetsWrite,
            routes!(budgets::delete::delete_budget),
        )
        .add(Permission::PricesRead, routes!(prices::list::list_prices))
        .add(Permission::PricesWrite, routes!(prices::put::put_price))
        .add(
            Permission::PricesRead,
            routes!(prices::unpriced::list_unpriced),
        )
        .add(
            Permission::PricesWrite,
            routes!(prices::reprice::reprice_events),
        )
        .add(Permission::PricesRead, routes!(markups::list::list_markups))
        .add(Permission::PricesWrite, routes!(markups::put::put_markup))
        .add(
            Permission::InvoicesRead,
            routes!(invoices::list::list_invoices),
        )
        .add(
            Permission::InvoicesRead,
            routes!(invoices::find::find_invoice),
        )
        .add(
            Permission::InvoicesWrite,
            routes!(invoices::close::close_month),
        )
        .add(
            Permission::InvoicesWrite,
            routes!(invoices::pay::pay_invoice),
        )
        .add(
            Permission::InvoicesWrite,
            routes!(invoices::credit::credit_invoice),
        )
        .add(Permission::UsageRead, routes!(usage::report::report_usage))
        .add(Permission::UsageRead, routes!(usage::report::report_costs))
        .add(Permission::UsageRead, routes!(focus::export_focus))
        .add(Permission::UsageRead, routes!(forecast::forecast_costs))
        .add(
            Permission::BillsReconcile,
            routes!(reconcile::reconcile_bill),
        )
}

/// For whom the operator acts.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ActingFor {
    /// For the operator: whose thing it is. Others leave it out; it is their own organization.
    #[param(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<id::Organization>>,
}
