//! The endpoints of quotas and usage, in process.

use std::sync::Arc;

use api::{Api, Authenticate, Refusal};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use database::testing::TestDatabase;
use futures_util::future::BoxFuture;
use metering::api::Finance;
use serde_json::{Value, json};
use tower::ServiceExt;
use types::id::Organization;
use types::{Caller, Id, Permissions, Principal, SystemClock};

use crate::node::{self, Node, Settings, caller, usage, usd};

/// Takes "tenant" and "operator" for keys.
#[derive(Debug)]
struct Doorman(Id<Organization>);

impl Authenticate for Doorman {
    fn authenticate<'a>(&'a self, presented: &'a str) -> BoxFuture<'a, Result<Caller, Refusal>> {
        let tenant = Caller {
            permissions: Permissions::all_of_a_tenant(),
            ..caller(self.0)
        };
        let operator = Caller {
            principal: Principal::Operator {
                id: Id::new(&SystemClock),
                user: Id::new(&SystemClock),
            },
            permissions: Permissions::all(),
            ..tenant
        };
        let caller = match presented {
            "tenant" => Ok(tenant),
            "operator" => Ok(operator),
            _ => Err(Refusal::Unknown),
        };
        Box::pin(std::future::ready(caller))
    }
}

struct App {
    router: Router,
    node: Node,
}

impl App {
    fn new(
        database: &TestDatabase,
        organization: Id<Organization>,
        journal: &std::path::Path,
    ) -> Self {
        let node = Node::start(database, journal, Settings::default());
        let api = Api::new(Arc::new(Doorman(organization)), Arc::new(SystemClock));
        let operations = metering::api::operations(Finance {
            database: node.database.clone(),
            operator_name: "FlowPilot".into(),
            clock: Arc::new(SystemClock),
            prices: node.metering.price_book(),
            close_grace: chrono::Duration::zero(),
            price_providers: Arc::default(),
        });
        Self {
            router: api.mount(operations).into_router(),
            node,
        }
    }

    fn send(
        &self,
        request: axum::http::request::Builder,
        body: &Value,
    ) -> (StatusCode, HeaderMap, String) {
        let request = request
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let router = self.router.clone();
        self.node.run(async move {
            let response = router.oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            (head.status, head.headers, body)
        })
    }

    fn get(&self, key: &str, path: &str) -> (StatusCode, HeaderMap, String) {
        self.send(request(Method::GET, key, path), &Value::Null)
    }
}

fn request(method: Method, key: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {key}"))
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn a_quota_is_set_by_the_operator_alone_and_changed_only_as_it_was_read() {
    let database = TestDatabase::new().await;
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let app = App::new(&database, organization, journal.path());
    let path = "/api/v1/quotas/ai_tokens";
    let setting = json!({"limit": 1000, "period": "monthly"});

    let (status, ..) = app.send(request(Method::PUT, "tenant", path), &setting);
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, ..) = app.get("tenant", path);
    assert_eq!(status, StatusCode::NOT_FOUND);

    let (status, headers, body) = app.send(request(Method::PUT, "operator", path), &setting);
    assert_eq!(status, StatusCode::OK, "{body}");
    let quota = json_of(&body);
    assert_eq!(
        (&quota["limit"], &quota["used"], &quota["remaining"]),
        (&json!(1000), &json!(0), &json!(1000))
    );
    assert!(
        quota["reset_at"]
            .as_str()
            .unwrap()
            .ends_with("-01T00:00:00Z")
    );

    let raised = json!({"limit": 2000, "period": "monthly"});
    let (status, ..) = app.send(request(Method::PUT, "operator", path), &raised);
    assert_eq!(status, StatusCode::PRECONDITION_REQUIRED);
    let etag = headers["etag"].to_str().unwrap();
    let change = || request(Method::PUT, "operator", path).header("if-match", etag);
    let (status, ..) = app.send(change(), &raised);
    assert_eq!(status, StatusCode::OK);
    let (status, ..) = app.send(change(), &raised);
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);

    let (_, _, body) = app.get("tenant", "/api/v1/quotas");
    assert_eq!(json_of(&body)["data"][0]["limit"], 2000);
    app.node.stop();
}

#[tokio::test]
async fn what_was_used_without_a_limit_does_not_count_against_the_first_one() {
    let database = TestDatabase::new().await;
    let organization = database.seed_organization("one").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let app = App::new(&database, organization, journal.path());
    let path = "/api/v1/quotas/ai_tokens";
    let put = |period: &str, etag: &str| {
        let setting = json!({"limit": 1000, "period": period});
        let put = request(Method::PUT, "operator", path).header("if-match", etag);
        app.send(put, &setting)
    };
    let unlimited = json!({"limit": 0, "period": "unlimited"});
    app.send(request(Method::PUT, "operator", path), &unlimited);
    sqlx::query("UPDATE usage_quotas SET quota_used = 5000")
        .execute(&database.admin())
        .await
        .unwrap();

    let tag = || {
        let (_, headers, _) = app.get("tenant", path);
        headers["etag"].to_str().unwrap().to_owned()
    };
    let (status, _, body) = put("monthly", &tag());
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(json_of(&body)["remaining"], 1000);

    sqlx::query("UPDATE usage_quotas SET quota_used = 400")
        .execute(&database.admin())
        .await
        .unwrap();
    let (_, _, body) = put("annual", &tag());
    assert_eq!(json_of(&body)["used"], 400);
    app.node.stop();
}

#[tokio::test]
async fn usage_is_reported_by_model_in_exact_decimals_and_as_csv() {
    let database = TestDatabase::new().await;
    let organization = database.seed_organization("one").await.organization;
    let other = database.seed_organization("other").await.organization;
    let journal = tempfile::tempdir().unwrap();
    let app = App::new(&database, organization, journal.path());
    app.node.complete(caller(organization), usage(3, 1));
    app.node.complete(caller(other), usage(1_000, 1_000));
    let metering = app.node.metering.clone();
    app.node
        .run(async move { node::hit(&metering, caller(organization), usd("0.25")).await });
    let path = "/api/v1/usage?group_by=month,model";
    node::eventually("everything is booked", || async {
        json_of(&app.get("tenant", path).2)["data"][0]["requests"] == 2
    })
    .await;

    let (_, _, body) = app.get("tenant", path);
    let report = json_of(&body);
    let row = &report["data"][0];
    assert_eq!(report["data"].as_array().unwrap().len(), 1);
    assert_eq!(row["model"], "m");
    assert_eq!(
        (&row["hits"], &row["input_tokens"], &row["output_tokens"]),
        (&json!(1), &json!(3), &json!(1))
    );
    let (cost, saved) = (
        row["cost_usd"].as_str().unwrap(),
        row["saved_cost_usd"].as_str().unwrap(),
    );
    assert_eq!((usd(cost), usd(saved)), (usd("0.00001375"), usd("0.25")));

    let csv = request(Method::GET, "tenant", path).header("accept", "text/csv");
    let (_, headers, body) = app.send(csv, &Value::Null);
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/csv")
    );
    assert!(
        body.ends_with(",2,1,0,0,0,3,0,1,0,0.00001375,0.25,0,0,0\r\n"),
        "{body}"
    );

    let all = "/api/v1/usage?all_organizations=true&group_by=organization";
    assert_eq!(app.get("tenant", all).0, StatusCode::FORBIDDEN);
    node::eventually("the operator sees both organizations", || async {
        json_of(&app.get("operator", all).2)["data"]
            .as_array()
            .unwrap()
            .len()
            == 2
    })
    .await;
    let theirs = format!("/api/v1/usage?organization_id={other}");
    assert_eq!(app.get("tenant", &theirs).0, StatusCode::NOT_FOUND);
    app.node.stop();
}
