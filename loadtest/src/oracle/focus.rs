//! A cost export in FOCUS 1.2, read as finance reads it: each row by its column names, each number exactly.
//!
//! A row must make sense by itself before anything is summed: one day of usage, in dollars, whose quantity × unit price is its cost.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use super::csv;
use super::price::{Usd, decimal};

/// What FOCUS says four times when nothing is discounted or amortised.
const COSTS: [&str; 4] = ["BilledCost", "EffectiveCost", "ListCost", "ContractedCost"];

/// A row: what one organization is charged for one class of a model's tokens on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The sub-account.
    pub organization: Uuid,
    /// The day of use, in UTC.
    pub day: NaiveDate,
    /// Whoever served the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// `input`, `cache_read`, `output` and so on: classes do not overlap.
    pub class: String,
    /// Tokens.
    pub quantity: u64,
    /// What they cost.
    pub cost: Usd,
    /// The part of it whose usage is estimated or unknown.
    pub vague_cost: Usd,
}

/// Reads an export of usage that is not invoiced yet, so that it has no row but those of usage.
pub fn parse(text: &str) -> anyhow::Result<Vec<Charge>> {
    let mut lines = csv::parse(text)?.into_iter();
    let header = lines.next().context("the export is empty")?;
    let charges = lines.map(|cells| {
        let row = Row(header.iter().map(String::as_str).zip(cells).collect());
        row.charge().with_context(|| format!("in {:?}", row.0))
    });
    charges.collect()
}

/// Cells by their columns' names.
struct Row<'h>(BTreeMap<&'h str, String>);

impl Row<'_> {
    fn charge(&self) -> anyhow::Result<Charge> {
        self.is("ChargeCategory", "Usage")?;
        self.is("ChargeClass", "")?;
        self.is("BillingCurrency", "USD")?;
        self.is("PricingUnit", "Tokens")?;
        self.is("ConsumedUnit", "Tokens")?;
        let cost = self.cost()?;
        let vague_cost = self.amount("x_EstimatedCostUsd")?;
        ensure!(vague_cost <= cost, "more is estimated than charged");
        Ok(Charge {
            organization: self.text("SubAccountId")?.parse()?,
            day: self.day()?,
            provider: self.text("x_Provider")?.to_owned(),
            model: self.text("x_Model")?.to_owned(),
            class: self.text("x_TokenType")?.to_owned(),
            quantity: whole(&self.amount("ConsumedQuantity")?)?,
            cost,
            vague_cost,
        })
    }

    /// The same in all four columns, and the product of what it is made of.
    fn cost(&self) -> anyhow::Result<Usd> {
        let [billed, others @ ..] = COSTS.map(|column| self.amount(column));
        let billed = billed?;
        for other in others {
            ensure!(other? == billed, "the costs are not the same");
        }
        let product = self.amount("PricingQuantity")? * self.amount("ListUnitPrice")?;
        ensure!(
            product == billed,
            "quantity × unit price is {product}, and the cost {billed}"
        );
        let consumed = self.amount("ConsumedQuantity")?;
        ensure!(
            consumed == self.amount("PricingQuantity")?,
            "another quantity is priced than was consumed"
        );
        Ok(billed)
    }

    /// The day that the charge is for, which is a day of its billing period.
    fn day(&self) -> anyhow::Result<NaiveDate> {
        let begins = self.time("ChargePeriodStart")?;
        let ends = self.time("ChargePeriodEnd")?;
        let is_a_day = begins.time() == NaiveTime::MIN && ends - begins == TimeDelta::days(1);
        ensure!(is_a_day, "the charge is for no single day");
        let period = self.time("BillingPeriodStart")?..self.time("BillingPeriodEnd")?;
        ensure!(
            period.contains(&begins),
            "the charge is of another billing period"
        );
        Ok(begins.date_naive())
    }

    fn is(&self, column: &str, expected: &str) -> anyhow::Result<()> {
        let text = self.text(column)?;
        ensure!(text == expected, "{column} is {text:?}");
        Ok(())
    }

    fn amount(&self, column: &str) -> anyhow::Result<Usd> {
        decimal(self.text(column)?).with_context(|| format!("{column} is no amount"))
    }

    fn time(&self, column: &str) -> anyhow::Result<DateTime<Utc>> {
        let time = self.text(column)?.parse();
        time.with_context(|| format!("{column} is no time"))
    }

    fn text(&self, column: &str) -> anyhow::Result<&str> {
        let cell = self.0.get(column);
        cell.map(String::as_str)
            .with_context(|| format!("there is no column {column}"))
    }
}

fn whole(amount: &Usd) -> anyhow::Result<u64> {
    ensure!(amount.is_integer(), "a part of a token");
    u64::try_from(amount.to_integer()).context("a quantity below nothing or beyond all bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "SubAccountId,ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart,BillingPeriodEnd,\
        ChargeCategory,ChargeClass,BillingCurrency,PricingUnit,ConsumedUnit,PricingQuantity,ConsumedQuantity,ListUnitPrice,\
        BilledCost,EffectiveCost,ListCost,ContractedCost,x_EstimatedCostUsd,x_Provider,x_Model,x_TokenType\r\n";
    const ROW: &str = "00000000-0000-0000-0000-000000000001,2026-11-30T00:00:00Z,2026-12-01T00:00:00Z,\
        2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,Usage,,USD,Tokens,Tokens,30.0,30.0,0.00000015,\
        0.0000045,0.0000045,0.0000045,0.0000045,0.0000015,mock,m,input\r\n";

    fn read(row: &str) -> anyhow::Result<Vec<Charge>> {
        parse(&format!("{HEADER}{row}"))
    }

    #[test]
    fn a_row_is_read_exactly() {
        let charge = Charge {
            organization: Uuid::from_u128(1),
            day: "2026-11-30".parse().unwrap(),
            provider: "mock".to_owned(),
            model: "m".to_owned(),
            class: "input".to_owned(),
            quantity: 30,
            cost: decimal("0.0000045").unwrap(),
            vague_cost: decimal("0.0000015").unwrap(),
        };
        assert_eq!(read(ROW).unwrap(), [charge]);
    }

    #[test]
    fn a_row_that_does_not_make_sense_is_refused() {
        for (written, instead, complaint) in [
            ("0.00000015", "0.00000016", "quantity × unit price"),
            ("30.0,30.0", "30.0,31.0", "another quantity is priced"),
            ("30.0,30.0", "30.5,30.5", "quantity × unit price"),
            ("0.0000045,0.0000015", "0.0000046,0.0000015", "not the same"),
            ("0.0000015,mock", "0.0000046,mock", "more is estimated"),
            ("2026-11-30T", "2026-11-29T", "no single day"),
            ("2026-11-01T00", "2026-11-30T01", "another billing period"),
            ("Usage", "Adjustment", "ChargeCategory"),
            ("USD", "EUR", "BillingCurrency"),
        ] {
            let row = ROW.replace(written, instead);
            assert_ne!(row, ROW, "{written}");
            let error = format!("{:#}", read(&row).unwrap_err());
            assert!(error.contains(complaint), "{error}");
        }
    }
}
