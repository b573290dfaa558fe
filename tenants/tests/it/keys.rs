//! Keys in memory: known, unknown, expired, deactivated, and followed through the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use database::Database;
use database::testing::TestDatabase;
use tenants::Tenants;
use tenants::api_keys::Draft;
use tenants::bootstrap::{self, Demo, IfLost, Wanted};
use tenants::keys::{Keys, Refusal};
use tenants::{command, scopes};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::{Clock, Permission, TestClock};

use crate::app;

/// Keys in memory and what they are read from, at a time of its own.
struct World {
    database: TestDatabase,
    clock: Arc<TestClock>,
    tenants: Tenants,
    keys: Keys,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let product = database.database().clone();
        Self::over(database, product).await
    }

    /// Keys that are read through `product`.
    async fn over(database: TestDatabase, product: Database) -> Self {
        let clock = Arc::new(TestClock::at("2026-11-22T10:00:00Z"));
        let wanted = Wanted {
            operator_key: None,
            demo: Some(Demo { key: None }),
            if_lost: IfLost::Rotate,
        };
        let made = bootstrap::run(database.database(), clock.as_ref(), &wanted);
        made.await.unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let auth = app::auth();
        let keys = Keys::start(&auth, product, clock.clone(), &tasks, stop.clone());
        let keys = keys.await.unwrap();
        let tenants = Tenants {
            database: database.database().clone(),
            clock: clock.clone(),
        };
        Self {
            database,
            clock,
            tenants,
            keys,
            tasks,
            stop,
        }
    }

    fn draft(expires_in: Option<Duration>, world: &TestClock) -> Draft {
        Draft {
            name: "test".to_owned(),
            permissions: scopes::default(),
            expires_at: expires_in.map(|wait| world.now() + wait),
        }
    }

    /// A key of the demo organization.
    async fn key(&self, expires_in: Option<Duration>) -> String {
        let draft = Self::draft(expires_in, &self.clock);
        let made = command::create_key(&self.tenants, "demo", &draft).await;
        made.unwrap().1.text.expose().to_owned()
    }

    /// Waits until the key is known, or not, without asking the database.
    async fn wait_until(&self, key: &str, expected: Option<Result<(), Refusal>>) {
        let wait = async {
            while self.keys.find_in_memory(key).map(|r| r.map(drop)) != expected {
                tokio::time::sleep(app::POLL).await;
            }
        };
        let waited = tokio::time::timeout(app::PATIENCE, wait).await;
        let now = self.keys.find_in_memory(key);
        assert!(waited.is_ok(), "is {now:?} instead of {expected:?}");
    }

    async fn execute(&self, sql: &'static str) {
        let done = sqlx::query(sql).execute(&self.database.admin()).await;
        assert!(done.unwrap().rows_affected() > 0, "{sql}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn a_new_key_reaches_memory_by_itself_and_works_before_that() {
    let world = World::new().await;
    let key = world.key(None).await;

    let caller = world.keys.find(&key).await.unwrap();
    assert!(caller.may(Permission::AiInvoke) && !caller.may(Permission::ApiKeysWrite));
    world.wait_until(&key, Some(Ok(()))).await;
}

#[tokio::test]
async fn a_key_asked_for_before_it_was_imported_is_not_unknown_for_long() {
    let world = World::new().await;
    let text = "correct horse battery staple";
    assert_eq!(world.keys.find(text).await, Err(Refusal::Unknown));

    let draft = World::draft(None, &world.clock);
    let import = command::import_key(&world.tenants, "demo", &draft, text);
    let imported = import.await.unwrap();

    assert_eq!(imported.prefix.len(), 8);
    world.wait_until(text, Some(Ok(()))).await;
    let again = command::import_key(&world.tenants, "demo", &draft, text).await;
    assert!(again.is_err());
    command::revoke_key(&world.tenants, "demo", &imported.prefix)
        .await
        .unwrap();
    world.wait_until(text, None).await;
    assert_eq!(world.keys.find(text).await, Err(Refusal::Unknown));
}

#[tokio::test]
async fn an_expired_key_is_refused_from_memory() {
    let world = World::new().await;
    let key = world.key(Some(Duration::from_mins(1))).await;
    world.wait_until(&key, Some(Ok(()))).await;

    world.clock.advance(Duration::from_mins(1));

    let refused = Some(Err(Refusal::Expired));
    assert_eq!(
        world.keys.find_in_memory(&key).map(|r| r.map(drop)),
        refused
    );
}

#[tokio::test]
async fn the_keys_of_a_deactivated_organization_are_dead_until_it_is_active_again() {
    let world = World::new().await;
    let key = world.key(None).await;
    world.wait_until(&key, Some(Ok(()))).await;

    world
        .execute("UPDATE organizations SET is_active = false WHERE slug = 'demo'")
        .await;
    world.wait_until(&key, None).await;
    assert_eq!(world.keys.find(&key).await, Err(Refusal::Unknown));

    world
        .execute("UPDATE organizations SET is_active = true WHERE slug = 'demo'")
        .await;
    world.wait_until(&key, Some(Ok(()))).await;
}

#[tokio::test]
async fn a_revocation_that_commits_late_is_not_missed() {
    let world = World::new().await;
    let (slow, quick) = (world.key(None).await, world.key(None).await);
    world.wait_until(&slow, Some(Ok(()))).await;
    world.wait_until(&quick, Some(Ok(()))).await;

    // The slow one writes its change first, and commits after the quick one was seen.
    let revoke = "UPDATE api_keys SET is_active = false WHERE key_prefix = $1";
    let mut transaction = world.database.admin().begin().await.unwrap();
    sqlx::query(revoke)
        .bind(&slow[3..11])
        .execute(&mut *transaction)
        .await
        .unwrap();
    sqlx::query(revoke)
        .bind(&quick[3..11])
        .execute(&world.database.admin())
        .await
        .unwrap();
    world.wait_until(&quick, None).await;
    assert!(world.keys.find_in_memory(&slow).is_some());
    transaction.commit().await.unwrap();

    world.wait_until(&slow, None).await;
}

#[tokio::test]
async fn thousands_of_changes_at_once_all_reach_memory() {
    let world = World::new().await;
    let key = world.key(None).await;
    world.wait_until(&key, Some(Ok(()))).await;

    // The revocation is the last of more changes than one batch holds.
    world
        .execute(
            "INSERT INTO tenants.key_changes (organization_id, key_hash)
             SELECT gen_random_uuid(), encode(sha256(number::text::bytea), 'hex')
             FROM generate_series(1, 2500) AS number",
        )
        .await;
    command::revoke_key(&world.tenants, "demo", &key[3..11])
        .await
        .unwrap();

    world.wait_until(&key, None).await;
}

#[tokio::test]
async fn a_revocation_is_noticed_without_any_notification() {
    let database = TestDatabase::new().await;
    let mut options = database.options();
    // LISTEN needs the direct connection; here nobody answers there.
    options.direct_url = Some("postgres://nobody@127.0.0.1:1/none".parse().unwrap());
    let product = Database::connect(&options).await.unwrap();
    let world = World::over(database, product).await;
    let key = world.key(None).await;
    world.wait_until(&key, Some(Ok(()))).await;

    command::revoke_key(&world.tenants, "demo", &key[3..11])
        .await
        .unwrap();
    let revoked = Instant::now();
    world.wait_until(&key, None).await;

    assert!(revoked.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn everything_is_read_anew_when_notifications_may_have_been_lost() {
    let world = World::new().await;
    let key = world.key(None).await;
    world.wait_until(&key, Some(Ok(()))).await;

    // A change that no trigger saw, as after a restore.
    let mut silent = world.database.admin().acquire().await.unwrap();
    for statement in [
        "SET session_replication_role = replica",
        "UPDATE api_keys SET is_active = false",
        "RESET session_replication_role",
    ] {
        sqlx::query(statement).execute(&mut *silent).await.unwrap();
    }
    let wait = async {
        let broken = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE query LIKE 'LISTEN%' AND datname = current_database()";
        while sqlx::query(broken)
            .execute(&mut *silent)
            .await
            .unwrap()
            .rows_affected()
            == 0
        {
            tokio::time::sleep(app::POLL).await;
        }
    };
    tokio::time::timeout(app::PATIENCE, wait).await.unwrap();

    world.wait_until(&key, None).await;
}

#[tokio::test]
async fn known_keys_work_while_the_database_is_away_and_others_are_unavailable() {
    let world = World::new().await;
    let key = world.key(None).await;
    world.wait_until(&key, Some(Ok(()))).await;

    world.database.database().close().await;

    assert!(world.keys.find(&key).await.is_ok());
    let other = world.keys.find("a key that was never seen").await;
    assert_eq!(other, Err(Refusal::Unavailable));
    // Not for ever: someone may have revoked it meanwhile.
    world
        .clock
        .advance(app::auth().keys_stale_max + Duration::from_secs(2));
    assert_eq!(world.keys.find(&key).await, Err(Refusal::Unavailable));
}

#[tokio::test]
async fn the_last_use_is_written_down_when_the_gateway_stops() {
    let world = World::new().await;
    let key = world.key(None).await;
    for _ in 0..100 {
        world.keys.find(&key).await.unwrap();
    }

    world.stop.cancel();
    world.tasks.close();
    world.tasks.wait().await;

    let list = command::list_keys(&world.tenants, "demo").await.unwrap();
    let row = list.iter().find(|row| row.prefix == key[3..11]).unwrap();
    assert_eq!(row.last_used_at, Some(world.clock.now()));
}
