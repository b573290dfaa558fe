//! Keys through the API: made once, shown once, rotated, revoked.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::{App, PATIENCE, POLL};

#[tokio::test]
async fn a_revoked_key_is_refused_within_two_seconds() {
    let app = App::new().await;
    let made = app.demo_key_with(&["organizations:read"]).await;
    let (id, key) = (made.text("id"), made.text("secret"));
    app.wait_until_answered(&key, StatusCode::OK).await;

    let path = format!("/api/v1/api-keys/{id}");
    let revoke = app.call(Method::DELETE, &path).key(app.demo_key());
    assert_eq!(revoke.send().await.status, StatusCode::NO_CONTENT);
    let revoked = Instant::now();
    app.wait_until_answered(&key, StatusCode::UNAUTHORIZED)
        .await;
    assert!(revoked.elapsed() < Duration::from_secs(2));

    let again = app.call(Method::DELETE, &path).key(app.demo_key());
    assert_eq!(again.send().await.status, StatusCode::NO_CONTENT);
    let rotate = app.call(Method::POST, &format!("{path}/rotate"));
    let rotate = rotate.key(app.demo_key()).send().await;
    rotate.is_problem(409, "conflict");
}

#[tokio::test]
async fn the_same_request_sent_twice_makes_one_key_and_shows_its_secret_once() {
    let app = App::new().await;
    let body = json!({ "name": "once", "scopes": ["ai:invoke"] });
    let send = async |body: &serde_json::Value| {
        let call = app.post("/api/v1/api-keys", body).key(app.demo_key());
        call.header("idempotency-key", "first").send().await
    };

    let first = send(&body).await;
    let second = send(&body).await;
    let other = send(&json!({ "name": "another" })).await;

    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(second.status, StatusCode::CREATED);
    assert_eq!(second.headers["idempotency-replayed"], "true");
    assert_eq!(first.text("id"), second.text("id"));
    assert!(first.text("secret").starts_with("fp_"));
    assert_eq!(second.body["secret"], serde_json::Value::Null);
    assert_eq!(second.body["secret_withheld"], true);
    other.is_problem(422, "idempotency_mismatch");

    let (kept,): (String,) =
        sqlx::query_as("SELECT string_agg(body, '') FROM api.idempotency_keys")
            .fetch_one(&app.database.admin())
            .await
            .unwrap();
    assert!(!kept.contains(&first.text("secret")));
}

#[tokio::test]
async fn twins_sent_at_the_same_time_make_one_thing() {
    let app = App::new().await;
    let body = json!({ "name": "Claims" });
    let send = async || {
        let call = app.post("/api/v1/departments", &body).key(app.demo_key());
        call.header("idempotency-key", "twins").send().await
    };

    let answers = [(); 8].map(|()| send());
    for answer in futures_util::future::join_all(answers).await {
        let status = answer.status.as_u16();
        assert!(status == 201 || status == 409, "{answer:?}");
        assert_ne!(answer.body["code"], "already_exists");
    }

    let page = app.get("/api/v1/departments").key(app.demo_key());
    let page = page.send().await;
    assert_eq!(page.body["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_day_later_the_same_idempotency_key_names_another_request() {
    let app = App::new().await;
    let admin = app.database.admin();
    let create = async |name: &str| {
        let body = json!({ "name": name });
        let call = app.post("/api/v1/departments", &body).key(app.demo_key());
        call.header("idempotency-key", "daily").send().await.status
    };
    let a_day_passes = async || {
        let shift = "UPDATE api.idempotency_keys SET created_at = created_at - interval '24 hours'
                                                   , expires_at = expires_at - interval '24 hours'";
        sqlx::query(shift).execute(&admin).await.unwrap();
    };

    assert_eq!(create("Claims").await, StatusCode::CREATED);
    a_day_passes().await;
    assert_eq!(create("Motor").await, StatusCode::CREATED);
    a_day_passes().await;

    let stop = CancellationToken::new();
    let database = app.database.database().clone();
    let sweep = api::idempotency::sweep_always(database, stop.clone());
    let empty = async {
        let count = "SELECT count(*) FROM api.idempotency_keys";
        while sqlx::query_scalar::<_, i64>(count)
            .fetch_one(&admin)
            .await
            .unwrap()
            > 0
        {
            tokio::time::sleep(POLL).await;
        }
    };
    let wait = async {
        let swept = tokio::time::timeout(PATIENCE, empty).await;
        stop.cancel();
        swept
    };
    let ((), swept) = tokio::join!(sweep, wait);
    swept.unwrap();
}

#[tokio::test]
async fn while_a_request_runs_its_twin_is_told_to_wait() {
    let app = App::new().await;
    let demo = app.made.demo.unwrap();
    let admin = app.database.admin();
    let (principal,): (uuid::Uuid,) = sqlx::query_as("SELECT id FROM api_keys")
        .fetch_one(&admin)
        .await
        .unwrap();
    // What a request holds while it runs.
    let mut running = admin.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("idempotency {demo} {principal} slow"))
        .execute(&mut *running)
        .await
        .unwrap();

    let body = json!({ "name": "Claims" });
    let send = async || {
        let call = app.post("/api/v1/departments", &body).key(app.demo_key());
        call.header("idempotency-key", "slow").send().await
    };
    let refused = send().await;
    running.rollback().await.unwrap();

    refused.is_problem(409, "request_in_flight");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(send().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn rotating_gives_a_new_secret_and_kills_the_old_one() {
    let app = App::new().await;
    let made = app.demo_key_with(&["organizations:read"]).await;
    let (id, old) = (made.text("id"), made.text("secret"));
    app.wait_until_answered(&old, StatusCode::OK).await;

    let rotate = app.call(Method::POST, &format!("/api/v1/api-keys/{id}/rotate"));
    let rotated = rotate.key(app.demo_key()).send().await;

    assert_eq!(rotated.text("id"), id);
    app.wait_until_answered(&rotated.text("secret"), StatusCode::OK)
        .await;
    app.wait_until_answered(&old, StatusCode::UNAUTHORIZED)
        .await;
}

#[tokio::test]
async fn nobody_gives_a_key_more_than_they_hold() {
    let app = App::new().await;
    let writer = app.demo_key_with(&["api_keys:write"]).await.text("secret");
    let strong = app.demo_key_with(&["usage:read"]).await.text("id");

    let body = json!({ "name": "more", "scopes": ["ai:invoke"] });
    let create = app.post("/api/v1/api-keys", &body).key(&writer).send();
    create.await.is_problem(403, "permission_denied");
    let rotate = app.call(Method::POST, &format!("/api/v1/api-keys/{strong}/rotate"));
    let rotate = rotate.key(&writer).send().await;
    rotate.is_problem(403, "permission_denied");
    // The default of a key without scopes is nothing that this one holds.
    let body = json!({ "name": "default" });
    let create = app.post("/api/v1/api-keys", &body).key(&writer).send();
    create.await.is_problem(422, "invalid_fields");
    let body = json!({ "name": "operator", "scopes": ["quotas:write"] });
    let create = app.post("/api/v1/api-keys", &body).key(app.operator_key());
    create.send().await.is_problem(422, "invalid_fields");
}

#[tokio::test]
async fn pages_show_every_key_once() {
    let app = App::new().await;
    for _ in 0..4 {
        app.demo_key_with(&["ai:invoke"]).await;
    }

    let (mut path, mut ids) = ("/api/v1/api-keys?limit=2".to_owned(), Vec::new());
    loop {
        let page = app.get(&path).key(app.demo_key()).send().await;
        let rows = page.body["data"].as_array().unwrap();
        ids.extend(rows.iter().map(|row| row["id"].to_string()));
        assert!(!page.body.to_string().contains("key_hash"));
        match page.body["next"].as_str() {
            Some(next) => path = format!("/api/v1/api-keys?limit=2&after={next}"),
            None => break,
        }
    }

    assert_eq!(ids.len(), 5);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn every_change_of_a_key_is_in_the_audit_trail_without_its_secret() {
    let app = App::new().await;
    let made = app.demo_key_with(&["ai:invoke"]).await;
    let path = format!("/api/v1/api-keys/{}", made.text("id"));
    let rotate = app.call(Method::POST, &format!("{path}/rotate"));
    let rotated = rotate.key(app.demo_key()).header("user-agent", "test/1");
    let rotated = rotated.send().await;
    let revoke = app.call(Method::DELETE, &path).key(app.demo_key());
    revoke.send().await;

    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT action, row_to_json(audit_logs)::text FROM audit_logs
         WHERE resource_id = $1::uuid ORDER BY created_at",
    )
    .bind(made.text("id"))
    .fetch_all(&app.database.admin())
    .await
    .unwrap();

    let actions: Vec<_> = rows.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(
        actions,
        ["api_key.create", "api_key.rotate", "api_key.revoke"]
    );
    assert!(rows[1].1.contains("test/1"));
    for (_, row) in &rows {
        assert!(!row.contains(&made.text("secret")) && !row.contains(&rotated.text("secret")));
    }
}
