//! `flowpilot billing …`: months are closed, and what was booked is put right.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{Duration, NaiveTime};
use config::Config;
use metering::PriceBook;
use metering::billing::{self, Closing, Credit, Invoice, InvoiceLine, Page};
use metering::reprice::{self, Repriced, Repricing};
use types::{Id, SystemClock};

use super::report::{scope, span};
use super::{load, with_database};
use crate::cli::billing::{BillingCommand, CreditArgs};
use crate::cli::{Common, Format, MonthArgs};
use crate::output;
use crate::state::State;
use crate::table::Table;

/// The most invoices of one list.
const LIST_MAX: u16 = 200;

/// Does what was asked.
pub(super) fn run(common: &Common, command: BillingCommand) -> anyhow::Result<ExitCode> {
    let config = load(common)?;
    with_database(common, async |state| match command {
        BillingCommand::Close {
            month,
            organization,
            dry_run,
            without_nodes,
        } => {
            let of = MonthArgs {
                month: Some(month),
                organization,
            };
            let (month, _) = span(of.month.as_deref())?;
            let closing = Closing {
                month,
                grace: grace(&config)?,
                without_nodes,
                dry_run,
                by: None,
            };
            close(state, &config, &of, &closing).await
        }
        BillingCommand::Invoices(of) => invoices(state, &of).await,
        BillingCommand::Show { number, format } => {
            let invoice = billing::find(&state.database, None, &number).await?;
            show(&invoice, format)?;
            Ok(ExitCode::SUCCESS)
        }
        BillingCommand::Pay { number, reference } => {
            let paid = billing::pay(&state.database, &SystemClock, &number, &reference).await?;
            output::line(format_args!("{} is paid", paid.number));
            Ok(ExitCode::SUCCESS)
        }
        BillingCommand::Credit { number, credit } => {
            give_back(state, &config, &number, credit).await
        }
        BillingCommand::Reprice {
            of,
            provider,
            model,
            book,
        } => {
            let repricing = repricing(state, &config, &of).await?;
            let repricing = Repricing {
                provider,
                model,
                dry_run: !book,
                ..repricing
            };
            let prices = PriceBook::read(&state.database, &config.prices).await?;
            let repriced = reprice::reprice(&state.database, &prices, &repricing).await?;
            tell(&repriced, book);
            Ok(ExitCode::SUCCESS)
        }
    })
}

/// How long a month stays open after its end.
pub(crate) fn grace(config: &Config) -> anyhow::Result<Duration> {
    Duration::from_std(config.metering.close_grace).context("[metering] close_grace_hours")
}

async fn close(
    state: &State,
    config: &Config,
    of: &MonthArgs,
    closing: &Closing,
) -> anyhow::Result<ExitCode> {
    let prices = PriceBook::read(&state.database, &config.prices).await?;
    let (database, clock) = (&state.database, &SystemClock);
    let closed = match scope(state, of).await?.organization() {
        Some(organization) => {
            let invoice = billing::close(database, &prices, clock, (organization, closing));
            vec![(organization, Ok(invoice.await?))]
        }
        None => billing::close_all(database, &prices, clock, closing).await?,
    };
    let mut table = Table::new([
        "organization",
        "invoice",
        "exact USD",
        "carried in",
        "total USD",
        "carried on",
    ]);
    let mut failed = 0_usize;
    for (organization, closed) in &closed {
        let Ok(invoice) = closed else {
            failed += 1;
            continue;
        };
        let number = if closing.dry_run {
            "(dry run)"
        } else {
            &invoice.number
        };
        table.row([
            organization.to_string(),
            number.to_owned(),
            invoice.exact_usd.to_string(),
            invoice.carry_in_usd.to_string(),
            invoice.total_usd.to_string(),
            invoice.carry_out_usd.to_string(),
        ]);
    }
    table.print(Format::Table);
    for (organization, closed) in closed {
        if let Err(error) = closed {
            output::complain(format_args!("{organization} stays open: {error}"));
        }
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn invoices(state: &State, of: &MonthArgs) -> anyhow::Result<ExitCode> {
    let month = match of.month {
        Some(_) => Some(span(of.month.as_deref())?.0),
        None => None,
    };
    let page = Page {
        organization: scope(state, of).await?.organization(),
        month,
        before: None,
        rows_max: LIST_MAX,
    };
    let mut table = Table::new([
        "number",
        "organization",
        "month",
        "status",
        "total USD",
        "paid by",
    ]);
    for invoice in billing::list(&state.database, page).await? {
        table.row([
            invoice.number,
            invoice.organization_id.to_string(),
            invoice.period_start.format("%Y-%m").to_string(),
            invoice.status.to_owned(),
            invoice.total_usd.to_string(),
            invoice.payment_reference.unwrap_or_default(),
        ]);
    }
    table.print(Format::Table);
    Ok(ExitCode::SUCCESS)
}

fn show(invoice: &Invoice, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        output::line(serde_json::to_string_pretty(invoice)?);
        return Ok(());
    }
    if format == Format::Table {
        output::line(format_args!(
            "{}  {}  {} to {}  {}",
            invoice.number,
            invoice.organization_id,
            invoice.period_start,
            invoice.period_end,
            invoice.status
        ));
    }
    let mut table = Table::new([
        "kind",
        "what",
        "class",
        "quantity",
        "USD per million",
        "exact USD",
        "USD",
    ]);
    for line in invoice.charges.iter().chain(&invoice.departments) {
        table.row([
            line.kind.clone(),
            what(line),
            line.token_class.clone().unwrap_or_default(),
            line.quantity
                .map(|quantity| quantity.to_string())
                .unwrap_or_default(),
            line.unit_price_usd
                .map(|price| price.to_string())
                .unwrap_or_default(),
            line.exact_usd.to_string(),
            line.amount_usd.to_string(),
        ]);
    }
    table.print(format);
    if format == Format::Table {
        output::line(format_args!("total {} USD", invoice.total_usd));
    }
    Ok(())
}

fn what(line: &InvoiceLine) -> String {
    if line.kind == "department" {
        return line
            .department_id
            .map_or_else(|| "no department".to_owned(), |id| id.to_string());
    }
    let parts = [&line.provider, &line.model];
    parts
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("/")
}

async fn give_back(
    state: &State,
    config: &Config,
    number: &str,
    credit: CreditArgs,
) -> anyhow::Result<ExitCode> {
    let Ok(amount_usd) = credit.amount.parse() else {
        bail!("--amount {} is no amount; write it as 12.34", credit.amount);
    };
    let credit = Credit {
        reference: credit.reference,
        amount_usd,
        reason: credit.reason,
    };
    let prices = PriceBook::read(&state.database, &config.prices).await?;
    let is_new = billing::credit(&state.database, &prices, number, &credit).await?;
    output::line(if is_new {
        "booked"
    } else {
        "it was booked before"
    });
    Ok(ExitCode::SUCCESS)
}

async fn repricing(state: &State, config: &Config, of: &MonthArgs) -> anyhow::Result<Repricing> {
    let (from, until) = span(of.month.as_deref())?;
    let midnight = |day: chrono::NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let organization = scope(state, of).await?.organization();
    Ok(Repricing {
        from: midnight(from),
        until: midnight(until),
        organization: organization.map(|id| Id::from_uuid(id.uuid())),
        provider: None,
        model: None,
        dry_run: true,
        price_providers: price_providers(config),
    })
}

/// The providers whose name in price lists is another than theirs.
pub(crate) fn price_providers(config: &Config) -> BTreeMap<String, String> {
    let providers = config.providers.iter();
    let renamed = providers.filter(|(name, section)| **name != section.price_provider);
    renamed
        .map(|(name, section)| (name.clone(), section.price_provider.clone()))
        .collect()
}

fn tell(repriced: &Repriced, book: bool) {
    let mut table = Table::new([
        "organization",
        "month",
        "provider",
        "model",
        "events",
        "before USD",
        "after USD",
        "difference",
    ]);
    for one in &repriced.differences {
        table.row([
            one.organization_id.to_string(),
            one.month.format("%Y-%m").to_string(),
            one.provider.clone(),
            one.model.clone(),
            one.events.to_string(),
            one.before_usd.to_string(),
            one.after_usd.to_string(),
            (one.after_usd - one.before_usd).to_string(),
        ]);
    }
    table.print(Format::Table);
    output::line(format_args!(
        "{} events, {} differ, {} have no price",
        repriced.events, repriced.differing, repriced.without_price
    ));
    output::line(if book {
        format!("{} corrections booked", repriced.booked)
    } else {
        "nothing booked; --book does it".to_owned()
    });
}
