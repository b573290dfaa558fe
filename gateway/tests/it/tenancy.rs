//! Organizations never meet: not in the cache, not in the rows, not by ids; and a key that is revoked is gone everywhere.

use std::time::Duration;

use http::Method;
use sqlx::Row;

use crate::harness::{Stack, Tenant, ask, within};

/// The promise: a revoked key is dead everywhere within two seconds.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test]
async fn two_organizations_with_the_same_prompt_never_meet() {
    let stack = Stack::start().await;
    let (one, two) = (stack.tenant("one").await, stack.tenant("two").await);
    let client = stack.gateway.client();

    let body = ask("default", "the same words");
    for (count, tenant) in (1..).zip([&one, &two]) {
        let answer = client.chat(&tenant.key, &body).await.expect(200);
        assert_eq!(answer.header("x-flowpilot-cache"), "miss");
        stack.ledger.cached(count).await;
    }
    for tenant in [&one, &two] {
        let answer = client.chat(&tenant.key, &body).await.expect(200);
        assert_eq!(answer.header("x-flowpilot-cache"), "exact");
    }
    assert_eq!(stack.calls().len(), 2);

    stack.ledger.booked(4).await;
    for (tenant, other) in [(&one, &two), (&two, &one)] {
        let seen = organizations_seen_by(&stack, tenant).await;
        assert_eq!(seen.join(" "), tenant.organization);
        let path = format!("/api/v1/api-keys/{}", other.key_id);
        let answer = client.send(Method::DELETE, &path, Some(&tenant.key), None);
        answer.await.expect(404);
        client.get("/v1/models", Some(&other.key)).await.expect(200);
    }
}

/// The organizations of all rows that a tenant's transaction sees, with the rights of the application.
async fn organizations_seen_by(stack: &Stack, tenant: &Tenant) -> Vec<String> {
    let mut transaction = stack.ledger.0.begin().await.unwrap();
    sqlx::query("SELECT set_config('role', 'flowpilot_app', true), set_config('app.current_organization_id', $1, true)")
        .bind(&tenant.organization)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let rows = sqlx::query(
        "SELECT DISTINCT organization_id::text AS organization
           FROM (SELECT organization_id FROM ai_requests
                 UNION ALL SELECT organization_id FROM usage_events
                 UNION ALL SELECT organization_id FROM billing_usage
                 UNION ALL SELECT organization_id FROM semantic_cache
                 UNION ALL SELECT organization_id FROM api_keys) AS everything",
    );
    let rows = rows.fetch_all(&mut *transaction).await.unwrap();
    rows.iter().map(|row| row.get("organization")).collect()
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_every_gateway_within_two_seconds() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let (_kept, other) = stack.another().await;
    let client = stack.gateway.client();
    let both = async || {
        let here = client.get("/v1/models", Some(&tenant.key)).await;
        let there = other.client().get("/v1/models", Some(&tenant.key)).await;
        (here.status, there.status)
    };
    assert_eq!(both().await, (200, 200));

    let path = format!("/api/v1/api-keys/{}", tenant.key_id);
    let revoked = client.send(Method::DELETE, &path, Some(&tenant.key), None);
    revoked.await.expect(204);

    let refused = async || both().await == (401, 401);
    within(REVOKED_WITHIN, "the key is refused by both", refused).await;
}
