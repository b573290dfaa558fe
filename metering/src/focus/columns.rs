//! The columns of the export: FOCUS 1.2's in the order of their names, then our own.

use crate::sheet::{Column, Kind};

const fn text(name: &'static str) -> Column {
    Column::new(name, Kind::Text)
}

const fn number(name: &'static str) -> Column {
    Column::new(name, Kind::Decimal)
}

const fn time(name: &'static str) -> Column {
    Column::new(name, Kind::Time)
}

/// Every column; a row has a cell for each, in this order.
pub(super) const COLUMNS: [Column; 49] = [
    number("BilledCost"),
    text("BillingAccountId"),
    text("BillingAccountName"),
    text("BillingCurrency"),
    time("BillingPeriodEnd"),
    time("BillingPeriodStart"),
    text("ChargeCategory"),
    text("ChargeClass"),
    text("ChargeDescription"),
    text("ChargeFrequency"),
    time("ChargePeriodEnd"),
    time("ChargePeriodStart"),
    text("CommitmentDiscountStatus"),
    number("ConsumedQuantity"),
    text("ConsumedUnit"),
    number("ContractedCost"),
    number("ContractedUnitPrice"),
    number("EffectiveCost"),
    text("InvoiceId"),
    text("InvoiceIssuerName"),
    number("ListCost"),
    number("ListUnitPrice"),
    text("PricingCategory"),
    text("PricingCurrency"),
    number("PricingCurrencyContractedUnitPrice"),
    number("PricingCurrencyEffectiveCost"),
    number("PricingCurrencyListUnitPrice"),
    number("PricingQuantity"),
    text("PricingUnit"),
    text("ProviderName"),
    text("PublisherName"),
    text("ServiceCategory"),
    text("ServiceName"),
    text("ServiceSubcategory"),
    text("SkuId"),
    text("SkuMeter"),
    text("SkuPriceDetails"),
    text("SkuPriceId"),
    text("SubAccountId"),
    text("SubAccountName"),
    text("Tags"),
    text("x_Model"),
    text("x_Provider"),
    text("x_Service"),
    text("x_TokenType"),
    number("x_RequestCount"),
    number("x_EstimatedCostUsd"),
    number("x_FailedCostUsd"),
    text("x_SubAccountSlug"),
];
