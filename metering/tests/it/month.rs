//! Months of usage that tests close: booked by a gateway at moments of last month.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, Utc};
use database::Database;
use database::testing::TestDatabase;
use metering::billing::{self, Closing, Error, Invoice};
use metering::reprice::{self, Repriced, Repricing};
use metering::{Intent, Metering};
use rust_decimal::Decimal;
use sqlx::{PgPool, Row};
use types::id::Organization;
use types::{Clock, Id, SystemClock, Usd};

use crate::node::{self, Node, Settings, caller, usage};

/// The month before this one: its partitions are there, and it is over.
pub(crate) fn last_month() -> NaiveDate {
    let today = SystemClock.now().date_naive();
    today.with_day(1).unwrap() - Months::new(1)
}

pub(crate) fn at(day: NaiveDate) -> DateTime<Utc> {
    day.and_hms_opt(0, 0, 0).unwrap().and_utc()
}

/// A moment at which last month can be closed: nodes that report the time of now are past it.
pub(crate) fn closing(month: NaiveDate) -> Closing {
    Closing {
        month,
        grace: Duration::zero(),
        without_nodes: Vec::new(),
        dry_run: false,
        by: None,
    }
}

pub(crate) struct Books {
    pub(crate) node: Node,
    pub(crate) admin: PgPool,
    database: TestDatabase,
    _journal: tempfile::TempDir,
}

impl Books {
    pub(crate) async fn start() -> Self {
        let database = TestDatabase::new().await;
        let admin = database.admin();
        let journal = tempfile::tempdir().unwrap();
        let node = Node::start(&database, journal.path(), Settings::default());
        Self {
            node,
            admin,
            database,
            _journal: journal,
        }
    }

    pub(crate) async fn organization(&self, slug: &str) -> Id<Organization> {
        let organization = self.database.seed_organization(slug).await.organization;
        // There before the months that are closed here.
        sqlx::query(
            "UPDATE organizations SET created_at = created_at - interval '3 months' WHERE id = $1",
        )
        .bind(organization.uuid())
        .execute(&self.admin)
        .await
        .unwrap();
        organization
    }

    /// Requests admitted at a moment, booked.
    pub(crate) async fn used(
        &self,
        organization: Id<Organization>,
        admitted: DateTime<Utc>,
        times: u64,
    ) {
        self.used_by(organization, None, admitted, times).await;
    }

    pub(crate) async fn used_by(
        &self,
        organization: Id<Organization>,
        department: Option<Id<types::id::Department>>,
        admitted: DateTime<Utc>,
        times: u64,
    ) {
        let before = self
            .count("SELECT count(*) FROM usage_events WHERE event_type = 'ai_request'")
            .await;
        let metering = self.node.metering.clone();
        self.node.run(async move {
            for number in 0..times {
                let caller = types::Caller {
                    department,
                    ..caller(organization)
                };
                let intent = Intent {
                    created_at: admitted,
                    ..node::intent(&metering, caller)
                };
                complete(&metering, intent, 100 + number).await;
            }
        });
        let times = i64::try_from(times).unwrap();
        node::eventually("it is booked", || async {
            let booked = "SELECT count(*) FROM usage_events WHERE event_type = 'ai_request'";
            self.count(booked).await == before + times
        })
        .await;
        self.all_past_now().await;
    }

    /// Waits until the node says that everything until now is booked.
    pub(crate) async fn all_past_now(&self) {
        sqlx::query("UPDATE metering.journal_watermarks SET booked_until = now(), oldest_unsettled_at = NULL")
            .execute(&self.admin)
            .await
            .unwrap();
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&self.admin)
            .await
            .unwrap()
    }

    pub(crate) async fn decimal(&self, sql: &'static str) -> Decimal {
        sqlx::query_scalar(sql)
            .fetch_one(&self.admin)
            .await
            .unwrap()
    }

    pub(crate) fn run<T: Send + 'static, F>(&self, work: impl FnOnce(Database, Metering) -> F) -> T
    where
        F: Future<Output = T> + Send + 'static,
    {
        let work = work(self.node.database.clone(), self.node.metering.clone());
        self.node.run(work)
    }

    pub(crate) fn close(
        &self,
        organization: Id<Organization>,
        closing: Closing,
    ) -> Result<Invoice, Error> {
        self.run(move |database, metering| async move {
            let (prices, clock) = (metering.prices(), SystemClock);
            billing::close(&database, &prices, &clock, (organization, &closing)).await
        })
    }

    pub(crate) fn reprice(&self, dry_run: bool) -> Repriced {
        let month = last_month();
        self.run(move |database, metering| async move {
            let repricing = Repricing {
                from: at(month),
                until: at(month + Months::new(2)),
                organization: None,
                provider: None,
                model: None,
                dry_run,
                price_providers: BTreeMap::new(),
            };
            reprice::reprice(&database, &metering.prices(), &repricing)
                .await
                .unwrap()
        })
    }

    /// Every sum of the events is the same as the events.
    pub(crate) async fn assert_balanced(&self) {
        let sums = [
            "SELECT COALESCE(sum(total_cost_usd_exact), 0) FROM billing_usage",
            "SELECT COALESCE(sum(cost_usd), 0) FROM metering.usage_rollup",
            "SELECT COALESCE(sum(cost_usd), 0) FROM metering.charge_rollup",
            "SELECT COALESCE(sum(total_ai_cost_usd), 0) FROM daily_metrics",
        ];
        let events = self
            .decimal("SELECT COALESCE(sum(cost_usd), 0) FROM usage_events")
            .await;
        for sum in sums {
            assert_eq!(self.decimal(sum).await, events, "{sum}");
        }
    }

    pub(crate) async fn status(
        &self,
        organization: Id<Organization>,
        month: NaiveDate,
    ) -> (String, Usd, Usd) {
        let row = sqlx::query(
            "SELECT status, carry_in_usd, total_cost_usd_exact FROM billing_usage
              WHERE organization_id = $1 AND billing_period_start = $2",
        )
        .bind(organization.uuid())
        .bind(month);
        let row = row.fetch_one(&self.admin).await.unwrap();
        let usd = |column| Usd::new(row.get::<Decimal, _>(column));
        (
            row.get("status"),
            usd("carry_in_usd"),
            usd("total_cost_usd_exact"),
        )
    }
}

pub(crate) async fn complete(metering: &Metering, intent: Intent, input: u64) {
    let held = node::hold(metering, intent.caller).await;
    let pending = metering.journal().intend(intent, held).await.unwrap();
    let settlement = node::settlement(usage(input, 7));
    pending.settle(settlement).unwrap().await.unwrap();
}

/// What so many requests of [`Books::used`] cost: 1.25 dollars for a million input tokens, 10 for a million output tokens.
pub(crate) fn cost_of(times: u64) -> Usd {
    let input: u64 = (0..times).map(|number| 100 + number).sum();
    let pico = i128::from(input) * 1_250_000 + i128::from(times * 7) * 10_000_000;
    Usd::new(Decimal::from_i128_with_scale(pico, 12))
}

pub(crate) fn sum(lines: &[billing::InvoiceLine]) -> Decimal {
    lines.iter().map(|line| line.amount_usd).sum()
}
