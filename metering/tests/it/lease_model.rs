//! Every sequence of leases taken, spent, given back, lost and begun anew keeps the one rule: used + reserved ≤ limit.
//!
//! The functions of the database are driven as nodes drive them, and compared with a model that adds and subtracts; a quota
//! and a budget in dollars go through the same sequences.

use database::testing::TestDatabase;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rust_decimal::Decimal;
use sqlx::{PgConnection, Row};
use types::Id;
use types::id::Organization;
use uuid::Uuid;

/// Units of the limit.
const LIMIT: i64 = 10_000;
/// How many nodes spend it.
const NODES: usize = 3;
/// Sequences that are tried.
const CASES: u32 = 24;

/// What can happen.
#[derive(Debug, Clone)]
enum Step {
    /// A node asks for more, and needs so much of it; it gives back what it holds.
    Take { node: usize, needed: i64 },
    /// A node's attempt ends: part of what it holds was used, in percent.
    Settle { node: usize, percent: i64 },
    /// A node gives back what it holds.
    Return { node: usize },
    /// A node dies; what it held stays reserved until its next life has booked and closed it.
    Crash { node: usize },
    /// The next life of a node has booked everything.
    Recover { node: usize },
    /// The period ends.
    Roll,
    /// The limit is changed, to so many percent.
    Change { percent: i64 },
}

/// A node's memory.
#[derive(Debug, Default, Clone)]
struct Node {
    lease: Option<Uuid>,
    life: Uuid,
    /// Granted and neither spent nor given back.
    held: i64,
    /// The period of the lease, by the test's count.
    period: u32,
}

/// The test's own books.
struct World<'a> {
    connection: &'a mut PgConnection,
    organization: Uuid,
    budget: Option<Uuid>,
    nodes: Vec<Node>,
    limit: i64,
    used: i64,
    period: u32,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..NODES;
    let step = prop_oneof![
        4 => (node.clone(), 1..4_000_i64).prop_map(|(node, needed)| Step::Take { node, needed }),
        4 => (node.clone(), 0..=100_i64).prop_map(|(node, percent)| Step::Settle { node, percent }),
        2 => node.clone().prop_map(|node| Step::Return { node }),
        1 => node.clone().prop_map(|node| Step::Crash { node }),
        1 => node.prop_map(|node| Step::Recover { node }),
        1 => Just(Step::Roll),
        1 => (50..150_i64).prop_map(|percent| Step::Change { percent }),
    ];
    vec(step, 1..40)
}

#[tokio::test]
async fn no_sequence_of_nodes_crashes_and_periods_overspends_a_limit() {
    let database = TestDatabase::new().await;
    let admin = database.admin();
    let organization = database.seed_organization("one").await.organization;
    let runtime = tokio::runtime::Handle::current();
    let tried = tokio::task::spawn_blocking(move || {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: CASES,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        runner.run(&(steps(), any::<bool>()), |(steps, is_budget)| {
            runtime.block_on(async {
                let mut transaction = admin.begin().await.unwrap();
                let mut world = World::new(&mut transaction, organization, is_budget).await;
                for step in steps {
                    world.take_step(&step).await;
                    world.check(&step).await;
                }
                // Never committed: the next sequence begins from nothing.
                transaction.rollback().await.unwrap();
            });
            Ok(())
        })
    });
    tried.await.unwrap().unwrap();
}

impl<'a> World<'a> {
    async fn new(
        connection: &'a mut PgConnection,
        organization: Id<Organization>,
        is_budget: bool,
    ) -> Self {
        let budget = is_budget.then(Uuid::now_v7);
        let mut world = Self {
            connection,
            organization: organization.uuid(),
            budget,
            nodes: vec![Node::default(); NODES],
            limit: LIMIT,
            used: 0,
            period: 0,
        };
        for node in &mut world.nodes {
            node.life = Uuid::now_v7();
        }
        let quota = "INSERT INTO usage_quotas (organization_id, resource_type, quota_limit, quota_period, reset_at)
                     VALUES ($1, 'ai_tokens', $2, 'monthly', now() + interval '1 day')";
        let money = "INSERT INTO metering.budgets
                            (organization_id, id, name, scope_type, resource_type, limit_amount, budget_period, reset_at)
                     VALUES ($1, $3, 'b', 'organization', 'usd', $2 / 1000000000.0, 'daily', now() + interval '1 day')";
        let make = sqlx::query(if is_budget { money } else { quota })
            .bind(world.organization)
            .bind(LIMIT);
        let make = if is_budget { make.bind(budget) } else { make };
        make.execute(&mut *world.connection).await.unwrap();
        world
    }

    const fn resource(&self) -> Option<&'static str> {
        match self.budget {
            Some(_) => None,
            None => Some("ai_tokens"),
        }
    }

    async fn take_step(&mut self, step: &Step) {
        match *step {
            Step::Take { node, needed } => self.take(node, needed).await,
            Step::Settle { node, percent } => self.settle(node, percent).await,
            Step::Return { node } => self.give_back(node).await,
            Step::Crash { node } => {
                self.nodes[node].life = Uuid::now_v7();
                self.nodes[node].held = 0;
                self.nodes[node].lease = None;
            }
            Step::Recover { node } => self.recover(node).await,
            Step::Roll => self.roll().await,
            Step::Change { percent } => self.change(percent).await,
        }
    }

    async fn take(&mut self, node: usize, needed: i64) {
        let Node {
            lease, life, held, ..
        } = self.nodes[node].clone();
        let proposed = lease.unwrap_or_else(Uuid::now_v7);
        let sql = "SELECT lease_id, granted FROM metering.take_lease($1, $2, $3, $4, $5, $6, $7, 3000, $8)";
        let row = sqlx::query(sql)
            .bind(self.organization)
            .bind(self.resource())
            .bind(self.budget)
            .bind(Uuid::from_u128(node as u128 + 1))
            .bind(life)
            .bind(proposed)
            .bind(held)
            .bind(needed)
            .fetch_one(&mut *self.connection)
            .await
            .unwrap();
        let node = &mut self.nodes[node];
        node.lease = Some(row.get("lease_id"));
        node.held = row.get("granted");
        node.period = self.period;
        assert!(
            node.held == 0 || node.held >= needed,
            "{} of {needed}",
            node.held
        );
    }

    async fn settle(&mut self, node: usize, percent: i64) {
        let amount = self.nodes[node].held * percent / 100;
        let (Some(lease), true) = (self.nodes[node].lease, amount > 0) else {
            return;
        };
        let exact = match self.budget {
            Some(_) => Decimal::from_i128_with_scale(amount.into(), 9),
            None => amount.into(),
        };
        sqlx::query("SELECT FROM metering.settle_leases(ARRAY[$1], ARRAY[$2], ARRAY[$3], ARRAY[$4], ARRAY[$5], ARRAY[$6])")
            .bind(self.organization)
            .bind(self.resource())
            .bind(self.budget)
            .bind(lease)
            .bind(amount)
            .bind(exact)
            .execute(&mut *self.connection)
            .await
            .unwrap();
        self.nodes[node].held -= amount;
        if self.nodes[node].period == self.period {
            self.used += amount;
        }
    }

    async fn give_back(&mut self, node: usize) {
        let held = std::mem::take(&mut self.nodes[node].held);
        let Some(lease) = self.nodes[node].lease else {
            return;
        };
        sqlx::query("SELECT metering.return_lease($1, $2, $3, $4, $5)")
            .bind(self.organization)
            .bind(self.resource())
            .bind(self.budget)
            .bind(lease)
            .bind(held)
            .execute(&mut *self.connection)
            .await
            .unwrap();
    }

    async fn recover(&mut self, node: usize) {
        let earlier = "SELECT metering.close_lease(id, 'closed') FROM metering.quota_leases
                        WHERE node_id = $1 AND state = 'open' AND life_id <> $2";
        sqlx::query(earlier)
            .bind(Uuid::from_u128(node as u128 + 1))
            .bind(self.nodes[node].life)
            .execute(&mut *self.connection)
            .await
            .unwrap();
    }

    async fn roll(&mut self) {
        let over = match self.budget {
            Some(_) => "UPDATE metering.budgets SET reset_at = now() - interval '1 second'",
            None => "UPDATE usage_quotas SET reset_at = now() - interval '1 second'",
        };
        sqlx::query(over)
            .execute(&mut *self.connection)
            .await
            .unwrap();
        self.period += 1;
        self.used = 0;
        // Whoever comes next begins the period.
        sqlx::query("SELECT metering.lock_limit($1, $2, $3)")
            .bind(self.organization)
            .bind(self.resource())
            .bind(self.budget)
            .execute(&mut *self.connection)
            .await
            .unwrap();
    }

    async fn change(&mut self, percent: i64) {
        self.limit = LIMIT * percent / 100;
        let change = match self.budget {
            Some(_) => "UPDATE metering.budgets SET limit_amount = $1 / 1000000000.0",
            None => "UPDATE usage_quotas SET quota_limit = $1",
        };
        sqlx::query(change)
            .bind(self.limit)
            .execute(&mut *self.connection)
            .await
            .unwrap();
    }

    /// Used is what the model says, reserved what the open leases hold, and nothing was granted beyond the limit.
    async fn check(&mut self, step: &Step) {
        let row = sqlx::query(
            "SELECT used_units, reserved_units, current_period
                  , (SELECT COALESCE(sum(granted - settled - returned), 0)::bigint FROM metering.quota_leases WHERE state = 'open') AS open
               FROM metering.lock_limit($1, $2, $3)",
        )
        .bind(self.organization)
        .bind(self.resource())
        .bind(self.budget)
        .fetch_one(&mut *self.connection)
        .await
        .unwrap();
        let (used, reserved): (i64, i64) = (row.get("used_units"), row.get("reserved_units"));
        assert_eq!(used, self.used, "after {step:?}");
        assert_eq!(reserved, row.get::<i64, _>("open"), "after {step:?}");
        let alive: i64 = self
            .nodes
            .iter()
            .filter(|node| node.period == self.period)
            .map(|node| node.held)
            .sum();
        assert!(
            reserved >= alive,
            "{alive} are held, {reserved} reserved after {step:?}"
        );
        // A limit that was lowered takes nothing back; but nothing is granted beyond it.
        if let Step::Take { node, .. } = step
            && self.nodes[*node].held > 0
        {
            assert!(
                used + reserved <= self.limit,
                "{used} + {reserved} of {}",
                self.limit
            );
        }
    }
}
