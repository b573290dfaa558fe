//! Every operation refuses whoever has no key, lacks the permission, or asks for another organization's things.
//!
//! Each operation of the OpenAPI document has a row here, and each row an operation: adding an endpoint without saying
//! how it is closed to strangers fails this test.

use std::collections::{BTreeMap, BTreeSet};

use api::testing::{Operation, operations};
use http::Method;
use serde_json::{Value, json};
use types::{Permission, Permissions};

use crate::harness::{Answer, Gateway, Stack, Tenant, ask};

/// How to call an operation, and how it could touch another organization.
struct Row {
    id: &'static str,
    /// A body that would do, for operations that take one.
    body: fn() -> Value,
    reach: Reach,
}

/// What of another organization an operation could reach for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// A thing by its id, in the path.
    Thing,
    /// An organization named in the query.
    Query,
    /// An organization named in the body.
    Body,
    /// Nothing can be named; a list that shows one's own only.
    OwnOnly,
    /// No tenant may call it at all.
    OperatorOnly,
}

const ROWS: &[Row] = &[
    Row {
        id: "create_api_key",
        body: || json!({ "name": "x" }),
        reach: Reach::Body,
    },
    Row {
        id: "list_api_keys",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "rotate_api_key",
        body: || Value::Null,
        reach: Reach::Thing,
    },
    Row {
        id: "revoke_api_key",
        body: || Value::Null,
        reach: Reach::Thing,
    },
    Row {
        id: "create_organization",
        body: || json!({ "name": "x", "slug": "x" }),
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "list_organizations",
        body: || Value::Null,
        reach: Reach::OwnOnly,
    },
    Row {
        id: "create_department",
        body: || json!({ "name": "x" }),
        reach: Reach::Body,
    },
    Row {
        id: "list_departments",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "list_quotas",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "find_quota",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "put_quota",
        body: || json!({ "limit": 1, "period": "monthly" }),
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "list_routes",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "find_route",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "put_route",
        body: || json!({ "deployments": [{ "target": "demo/demo" }] }),
        reach: Reach::Query,
    },
    Row {
        id: "delete_route",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "list_prices",
        body: || Value::Null,
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "list_unpriced",
        body: || Value::Null,
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "reprice_events",
        body: || json!({ "from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z" }),
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "list_markups",
        body: || Value::Null,
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "put_markup",
        body: || {
            json!({
                "organization_id": "00000000-0000-0000-0000-000000000001",
                "name": "x", "kind": "percent", "rate": "1", "first_period": "2026-01-01",
            })
        },
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "list_invoices",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "find_invoice",
        body: || Value::Null,
        reach: Reach::Thing,
    },
    Row {
        id: "close_month",
        body: || json!({ "month": "2026-01-01", "dry_run": true }),
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "pay_invoice",
        body: || json!({ "reference": "x" }),
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "credit_invoice",
        body: || json!({ "reference": "x", "amount_usd": "1", "reason": "x" }),
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "put_price",
        body: || {
            json!({
                "provider": "p", "model": "m", "source": "x",
                "usd": { "input": "1", "output": "2" },
            })
        },
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "list_budgets",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "find_budget",
        body: || Value::Null,
        reach: Reach::Thing,
    },
    Row {
        id: "create_budget",
        body: || {
            let scope = json!({ "type": "tag", "tag": "team=search" });
            json!({ "name": "x", "scope": scope, "resource_type": "usd", "limit": "1", "period": "monthly" })
        },
        reach: Reach::Body,
    },
    Row {
        id: "put_budget",
        body: || json!({ "name": "x", "limit": "1", "period": "monthly" }),
        reach: Reach::Thing,
    },
    Row {
        id: "delete_budget",
        body: || Value::Null,
        reach: Reach::Thing,
    },
    Row {
        id: "report_cache",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "purge_cache",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "give_cache_feedback",
        body: || json!({ "entry_id": "018f0000-0000-7000-8000-000000000000" }),
        reach: Reach::Body,
    },
    Row {
        id: "report_usage",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "report_costs",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "export_focus",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "forecast_costs",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "reconcile_bill",
        body: || Value::Null,
        reach: Reach::OperatorOnly,
    },
    Row {
        id: "create_prompt_template",
        body: || json!({ "slug": "x", "name": "x", "template_text": "x" }),
        reach: Reach::Body,
    },
    Row {
        id: "list_prompt_templates",
        body: || Value::Null,
        reach: Reach::Query,
    },
    Row {
        id: "find_prompt_template",
        body: || Value::Null,
        reach: Reach::Thing,
    },
    Row {
        id: "update_prompt_template",
        body: || json!({ "name": "x", "template_text": "x" }),
        reach: Reach::Thing,
    },
    Row {
        id: "delete_prompt_template",
        body: || Value::Null,
        reach: Reach::Thing,
    },
    Row {
        id: "list_prompt_template_versions",
        body: || Value::Null,
        reach: Reach::Thing,
    },
    Row {
        id: "find_prompt_template_version",
        body: || Value::Null,
        reach: Reach::Thing,
    },
    Row {
        id: "activate_prompt_template_version",
        body: || Value::Null,
        reach: Reach::Thing,
    },
    Row {
        id: "render_prompt_template",
        body: || json!({ "variables": {} }),
        reach: Reach::Thing,
    },
];

/// Calls operations of one gateway.
struct Caller<'a> {
    gateway: &'a Gateway,
    theirs: &'a Tenant,
}

impl Caller<'_> {
    /// Calls an operation, naming the other organization's things wherever something can be named.
    async fn call(&self, operation: &Operation, row: &Row, key: Option<&str>) -> Answer {
        let mut path = operation.path_with(|name| match name {
            "resource_type" => "ai_tokens".to_owned(),
            "version" => "1".to_owned(),
            _ => self.theirs.key_id.clone(),
        });
        let mut body = (row.body)();
        let organization = &self.theirs.organization;
        match row.reach {
            Reach::Query => path = format!("{path}?organization_id={organization}"),
            Reach::Body => body["organization_id"] = organization.as_str().into(),
            Reach::Thing | Reach::OwnOnly | Reach::OperatorOnly => {}
        }
        let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
        let body = operation.takes_body.then_some(&body);
        self.gateway.client().send(method, &path, key, body).await
    }
}

#[tokio::test]
async fn every_operation_is_closed_to_those_it_is_not_for() {
    let stack = Stack::start().await;
    let (mine, theirs) = (stack.tenant("mine").await, stack.tenant("theirs").await);
    let caller = Caller {
        gateway: &stack.gateway,
        theirs: &theirs,
    };
    let keys = keys_without(&stack, &mine).await;
    // A template of theirs is named like their key, which paths are filled with.
    let template = json!({ "slug": theirs.key_id, "name": "x", "template_text": "x" });
    let made = stack
        .gateway
        .client()
        .post("/api/v1/prompt-templates", &theirs.key, &template);
    made.await.expect(201);

    for (operation, row) in with_rows(&documented(&stack.gateway).await) {
        let case = operation.id.as_str();
        let nobody = caller.call(operation, row, None).await;
        is_problem(case, &nobody, 401);
        let unknown = caller.call(operation, row, Some("nobody made this")).await;
        is_problem(case, &unknown, 401);

        let permission: Permission = operation.permission.as_deref().unwrap().parse().unwrap();
        let key = keys.get(&permission).unwrap_or(&mine.key);
        let lacking = caller.call(operation, row, Some(key)).await;
        is_problem(case, &lacking, 403);
        assert_eq!(
            permission.is_operator_only(),
            row.reach == Reach::OperatorOnly,
            "{case}"
        );

        let stranger = caller.call(operation, row, Some(&mine.key)).await;
        match row.reach {
            Reach::Thing | Reach::Query | Reach::Body => is_problem(case, &stranger, 404),
            Reach::OwnOnly => {
                let text = stranger.expect(200).json().to_string();
                assert!(text.contains(&mine.organization), "{case}: {text}");
                assert!(!text.contains(&theirs.organization), "{case}: {text}");
            }
            Reach::OperatorOnly => is_problem(case, &stranger, 403),
        }
    }
    let everyone = "/api/v1/usage?all_organizations=true";
    let everyone = stack.gateway.client().get(everyone, Some(&mine.key)).await;
    is_problem("usage of all", &everyone, 403);
    let own = stack
        .gateway
        .client()
        .get("/api/v1/organizations", Some(&theirs.key));
    assert_eq!(own.await.status, 200, "their key still works");
}

#[tokio::test]
async fn ai_routes_want_a_key_that_may_invoke_models() {
    let stack = Stack::start().await;
    let client = stack.gateway.client();
    let tenant = stack.tenant("mine").await;
    let scopes = json!(["usage:read", "cache:read"]);
    let (lacking, _) = stack.key(&tenant.organization, &scopes).await;
    let routes = [
        (Method::POST, "/v1/chat/completions"),
        (Method::GET, "/v1/models"),
        (Method::GET, "/v1/models/default"),
    ];

    for (method, path) in routes {
        let keys = [(None, 401), (Some("x"), 401), (Some(lacking.as_str()), 403)];
        for (key, status) in keys {
            let body = (method == Method::POST).then(|| ask("default", "hello"));
            let answer = client.send(method.clone(), path, key, body.as_ref()).await;
            assert_eq!(answer.status, status, "{path}: {answer:?}");
            assert!(answer.json()["error"]["code"].is_string(), "{answer:?}");
        }
    }
    assert_eq!(stack.calls(), [], "the provider was asked");
}

/// For each permission a tenant can hold, a key that has all others.
async fn keys_without(stack: &Stack, tenant: &Tenant) -> BTreeMap<Permission, String> {
    let mut keys = BTreeMap::new();
    let all = Permissions::all_of_a_tenant();
    for lacking in all.iter() {
        let others: Vec<_> = all.iter().filter(|one| *one != lacking).collect();
        let (key, _) = stack.key(&tenant.organization, &json!(others)).await;
        keys.insert(lacking, key);
    }
    keys
}

/// The operations of the running gateway.
async fn documented(gateway: &Gateway) -> Vec<Operation> {
    let document = gateway.client().get(api::OPENAPI_PATH, None).await;
    operations(&serde_json::from_slice(&document.expect(200).body).unwrap())
}

/// Each operation with its row.
#[track_caller]
fn with_rows(operations: &[Operation]) -> Vec<(&Operation, &'static Row)> {
    let documented: BTreeSet<_> = operations.iter().map(|one| one.id.as_str()).collect();
    let rows: BTreeSet<_> = ROWS.iter().map(|row| row.id).collect();
    assert_eq!(
        documented, rows,
        "every operation needs a row, every row an operation"
    );
    operations
        .iter()
        .map(|one| (one, ROWS.iter().find(|row| row.id == one.id).unwrap()))
        .collect()
}

#[track_caller]
fn is_problem(case: &str, answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{case}"
    );
    assert_eq!(answer.json()["status"], status, "{case}");
}
