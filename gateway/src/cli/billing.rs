//! The command line of prices and billing.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::{Format, MonthArgs};

/// Prices.
#[derive(Debug, Subcommand)]
pub(crate) enum PricesCommand {
    /// List the operator's prices.
    List {
        /// One provider's, by its name in price lists.
        #[arg(long)]
        provider: Option<String>,
        /// One model's, as the provider calls it.
        #[arg(long)]
        model: Option<String>,
        /// Those of price lists, too.
        #[arg(long)]
        with_lists: bool,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Put a price for the time from its `from` on; what is booked keeps its price.
    Put {
        /// A file with the price as `PUT /api/v1/prices` takes it (JSON), or - for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// List what was used without a price, and is booked at no cost.
    Unpriced {
        /// The month, such as 2026-11; without it the current one, by UTC.
        #[arg(long, value_name = "YYYY-MM")]
        month: Option<String>,
    },
}

/// Billing.
#[derive(Debug, Subcommand)]
pub(crate) enum BillingCommand {
    /// Close a month: compare its books, round once, and issue each organization's invoice.
    Close {
        /// The month, such as 2026-10.
        #[arg(long, value_name = "YYYY-MM")]
        month: String,
        /// One organization's slug or id; without it all of them.
        #[arg(long)]
        organization: Option<String>,
        /// Only show what would be issued.
        #[arg(long)]
        dry_run: bool,
        /// A node that is not waited for, because it never comes back. Repeatable.
        #[arg(long = "without-node", value_name = "ID")]
        without_nodes: Vec<uuid::Uuid>,
    },
    /// List invoices, latest first; without a month, the latest two hundred.
    Invoices(MonthArgs),
    /// Show an invoice with its lines.
    Show {
        /// Its number.
        number: String,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Say that an invoice is paid.
    Pay {
        /// Its number.
        number: String,
        /// How it was paid, in your own words.
        #[arg(long)]
        reference: String,
    },
    /// Give back a part of an invoice, in the first open month.
    Credit {
        /// Its number.
        number: String,
        #[command(flatten)]
        credit: CreditArgs,
    },
    /// Book the difference to the prices of now as corrections; shows it only, unless told to book.
    Reprice {
        #[command(flatten)]
        of: MonthArgs,
        /// One provider's events, by its name in the configuration.
        #[arg(long)]
        provider: Option<String>,
        /// One model's, as the provider calls it.
        #[arg(long)]
        model: Option<String>,
        /// Book it.
        #[arg(long)]
        book: bool,
    },
}

/// A credit note.
#[derive(Debug, Args)]
pub(crate) struct CreditArgs {
    /// The credit note's own number; the same one is booked once.
    #[arg(long)]
    pub(crate) reference: String,
    /// US dollars, such as 12.34.
    #[arg(long, value_name = "USD")]
    pub(crate) amount: String,
    /// Why.
    #[arg(long)]
    pub(crate) reason: String,
}
