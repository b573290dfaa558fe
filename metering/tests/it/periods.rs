//! Where days, months and years end: against a calendar that is counted day by day, whatever zone a session is in.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use database::testing::TestDatabase;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::{Connection, PgPool};
use types::{Clock, SystemClock};

use crate::node::{self, Node, Settings, caller, usage};

/// Enough that each kind of edge comes up many times.
const CASES: usize = 1_500;

/// Zones of which clocks go forward and back on other days than elsewhere, or by half an hour.
const ZONES: [&str; 4] = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
];

/// A day of the calendar; nothing but counting is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Date {
    year: i32,
    month: u32,
    day: u32,
}

impl Date {
    fn next(self) -> Self {
        if self.day < length(self.year, self.month) {
            let day = self.day + 1;
            return Self { day, ..self };
        }
        let (year, month) = next_month(self.year, self.month);
        Self {
            year,
            month,
            day: 1,
        }
    }

    /// The moment of this day at which the anchor's clock stood.
    fn at(self, anchor: DateTime<Utc>) -> DateTime<Utc> {
        let date = NaiveDate::from_ymd_opt(self.year, self.month, self.day).unwrap();
        date.and_time(anchor.time()).and_utc()
    }
}

fn length(year: i32, month: u32) -> u32 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn next_month(year: i32, month: u32) -> (i32, u32) {
    match month {
        12 => (year + 1, 1),
        _ => (year, month + 1),
    }
}

/// A limit's anchor, and how long its periods are.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    day: Date,
    at: DateTime<Utc>,
    period: &'static str,
}

impl Anchor {
    /// The ends of its periods, one after the other: on the anchor's day, or on the last of a month that does not have it.
    fn ends(self) -> impl Iterator<Item = DateTime<Utc>> {
        let mut day = self.day;
        let (mut year, mut month) = (day.year, day.month);
        std::iter::from_fn(move || {
            let end = day.at(self.at);
            if self.period == "daily" {
                day = day.next();
                return Some(end);
            }
            for _ in 0..if self.period == "annual" { 12 } else { 1 } {
                (year, month) = next_month(year, month);
            }
            let of_month = self.day.day.min(length(year, month));
            day = Date {
                year,
                month,
                day: of_month,
            };
            Some(end)
        })
    }

    fn first_end_after(self, moment: DateTime<Utc>) -> DateTime<Utc> {
        self.ends().find(|end| *end > moment).unwrap()
    }
}

/// Mostly the last days of months; 2100 is no leap year.
fn anchors() -> impl Strategy<Value = Anchor> {
    let year = prop_oneof![4 => 2023..2030_i32, 1 => 2098..2101_i32];
    let day = prop_oneof![1 => 1..28_u32, 4 => 28..32_u32];
    let hour = prop_oneof![Just(0_u32), Just(23_u32), 0..24_u32];
    let micro = prop_oneof![Just(0_u32), Just(999_999_u32), 0..1_000_000_u32];
    let period = prop::sample::select(vec!["daily", "monthly", "annual"]);
    (year, 1..13_u32, day, (hour, 0..60_u32, micro), period).prop_map(
        |(year, month, day, (hour, minute, micro), period)| {
            let day = day.min(length(year, month));
            let date = NaiveDate::from_ymd_opt(year, month, day).unwrap();
            let at = date.and_hms_micro_opt(hour, minute, 0, micro).unwrap();
            let (day, at) = (Date { year, month, day }, at.and_utc());
            Anchor { day, at, period }
        },
    )
}

/// An anchor and a moment: one of its ends or a microsecond beside it, or any time from a year before it on.
fn moments() -> impl Strategy<Value = (Anchor, DateTime<Utc>)> {
    let beside = (0..40_usize, -1..2_i64).prop_map(|(number, micros)| (Some(number), micros));
    let any_time = (-400..1_500_i64, 0..86_400_i64)
        .prop_map(|(days, seconds)| (None, (days * 86_400 + seconds) * 1_000_000));
    (anchors(), prop_oneof![beside, any_time]).prop_map(|(anchor, (number, micros))| {
        let from = number.map_or(anchor.at, |number| anchor.ends().nth(number).unwrap());
        (anchor, from + TimeDelta::microseconds(micros))
    })
}

fn draw<S: Strategy>(strategy: &S) -> Vec<S::Value> {
    let mut runner = TestRunner::default();
    let drawn = (0..CASES).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    drawn.collect()
}

async fn period_ends(
    admin: &PgPool,
    zone: &str,
    cases: &[(Anchor, DateTime<Utc>)],
) -> Vec<DateTime<Utc>> {
    let mut connection = admin.acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("SELECT set_config('timezone', $1, true)")
        .bind(zone)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let anchors: Vec<_> = cases.iter().map(|(anchor, _)| anchor.at).collect();
    let periods: Vec<_> = cases.iter().map(|(anchor, _)| anchor.period).collect();
    let moments: Vec<_> = cases.iter().map(|(_, moment)| *moment).collect();
    sqlx::query_scalar(
        "SELECT metering.period_end(anchor, period, moment)
           FROM unnest($1::timestamptz[], $2::text[], $3::timestamptz[])
                WITH ORDINALITY AS cases (anchor, period, moment, number)
          ORDER BY number",
    )
    .bind(anchors)
    .bind(periods)
    .bind(moments)
    .fetch_all(&mut *transaction)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_period_ends_where_a_calendar_counted_day_by_day_ends_it() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let cases = draw(&moments());
    for zone in ZONES {
        let ends = period_ends(&admin, zone, &cases).await;
        assert_eq!(ends.len(), CASES);
        for ((anchor, moment), end) in cases.iter().zip(ends) {
            let expected = anchor.first_end_after(*moment);
            assert_eq!(end, expected, "{anchor:?} after {moment} in {zone}");
        }
    }
}

/// The day and the month of a moment, counted from a day that is known.
fn counted(moment: DateTime<Utc>) -> (String, String) {
    let mut day = Date {
        year: 2023,
        month: 1,
        day: 1,
    };
    let first = day.at(DateTime::UNIX_EPOCH);
    let seconds = (moment - first).num_seconds();
    assert!(seconds >= 0, "{moment}");
    for _ in 0..seconds / 86_400 {
        day = day.next();
    }
    let Date { year, month, day } = day;
    (
        format!("{year}-{month:02}-{day:02}"),
        format!("{year}-{month:02}-01"),
    )
}

/// Around the ends of months and of a leap day, and in the hours that some zones have twice or not at all.
fn edges() -> Vec<DateTime<Utc>> {
    let edges = [
        "2024-03-01T00:00:00Z",
        "2024-02-29T00:00:00Z",
        "2025-03-01T00:00:00Z",
        "2025-12-31T23:00:00Z",
        "2026-01-01T00:00:00Z",
        "2026-03-08T07:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-11-01T00:00:00Z",
        "2026-11-01T06:00:00Z",
    ];
    let beside = [
        TimeDelta::microseconds(-1),
        TimeDelta::zero(),
        TimeDelta::minutes(59),
    ];
    let edges = edges.into_iter().flat_map(|edge| {
        let edge: DateTime<Utc> = edge.parse().unwrap();
        beside.map(|apart| edge + apart)
    });
    edges.filter(|edge| *edge < SystemClock.now()).collect()
}

#[tokio::test]
async fn usage_is_of_the_day_and_month_of_its_admission_in_utc() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let node = Node::start(&database, journal.path(), Settings::default());
    let metering = node.metering.clone();
    let edges = edges();
    let admitted = edges.clone();
    node.run(async move {
        for created_at in admitted {
            let caller = caller(organization);
            let held = node::hold(&metering, caller).await;
            let intent = metering::Intent {
                created_at,
                ..node::intent(&metering, caller)
            };
            let pending = metering.journal().intend(intent, held).await.unwrap();
            let settled = pending.settle(node::settlement(usage(10, 5))).unwrap();
            settled.await.unwrap();
        }
    });
    node.stop();

    let mut expected_days: Vec<_> = edges.iter().map(|edge| counted(*edge)).collect();
    expected_days.sort();
    let days = "SELECT day::text, billed_period::text
                  FROM metering.charge_rollup, generate_series(1, quantity / 5)
                 WHERE token_class = 'output'
                 ORDER BY 1, 2";
    assert_eq!(rows(&admin, days).await, expected_days);
    let metrics = "SELECT metric_date::text, date_trunc('month', metric_date)::date::text
                     FROM daily_metrics, generate_series(1, total_ai_tokens / 15)
                    ORDER BY 1, 2";
    assert_eq!(rows(&admin, metrics).await, expected_days);
    let mut expected_months: Vec<_> = expected_days.into_iter().map(|(_, month)| month).collect();
    expected_months.sort();
    let months = "SELECT billing_period_start::text, billing_period_start::text
                    FROM billing_usage, generate_series(1, total_ai_tokens / 15)
                   ORDER BY 1";
    let months = rows(&admin, months).await.into_iter();
    assert_eq!(
        months.map(|(month, _)| month).collect::<Vec<_>>(),
        expected_months
    );
}

async fn rows(admin: &PgPool, sql: &'static str) -> Vec<(String, String)> {
    sqlx::query_as(sql).fetch_all(admin).await.unwrap()
}
