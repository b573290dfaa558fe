//! Every operation refuses whoever has no key, lacks the permission, or is another organization.

use api::testing::{Operation, operations};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use types::{Id, Permission, SystemClock};

use crate::app::{Answer, App};

/// Calls an operation; a path parameter is the given id, or one that does not exist.
async fn call(app: &App, operation: &Operation, key: Option<&str>, id: Option<&str>) -> Answer {
    let unknown = Id::<types::id::ApiKey>::new(&SystemClock).to_string();
    let path = operation.path_with(|_| id.unwrap_or(&unknown).to_owned());
    let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
    let mut call = app.call(method, &path);
    if operation.takes_body {
        call = call.json(&json!({}));
    }
    if let Some(key) = key {
        call = call.key(key);
    }
    call.send().await
}

#[tokio::test]
async fn every_operation_names_its_permission_and_refuses_callers_without_it() {
    let app = App::new().await;
    let read = app.demo_key_with(&["usage:read"]).await.text("secret");
    let operations = operations(&app.openapi);
    assert_eq!(operations.len(), 8);

    for operation in &operations {
        let permission = operation.permission.as_deref().unwrap();
        assert!(permission.parse::<Permission>().is_ok(), "{operation:?}");
        assert!(!operation.summary.is_empty(), "{operation:?}");
        assert!(operation.id.contains('_'), "{operation:?}");
        for status in ["401", "403", "500", "503"] {
            assert!(
                operation.statuses.iter().any(|s| s == status),
                "{operation:?}"
            );
        }

        let nobody = call(&app, operation, None, None).await;
        nobody.is_problem(401, "key_missing");
        let unknown = call(&app, operation, Some("a key that nobody made"), None).await;
        unknown.is_problem(401, "key_unknown");
        let unpermitted = call(&app, operation, Some(&read), None).await;
        unpermitted.is_problem(403, "permission_denied");
    }
}

#[tokio::test]
async fn another_organizations_key_looks_as_if_it_did_not_exist() {
    let app = App::new().await;
    let theirs = app.demo_key_with(&["ai:invoke"]).await.text("id");
    let (_, mine) = app.other_tenant("other").await;

    for operation in operations(&app.openapi) {
        if !operation.path_parameters.is_empty() {
            let answer = call(&app, &operation, Some(&mine), Some(&theirs)).await;
            answer.is_problem(404, "not_found");
        }
    }
    let page = app.get("/api/v1/api-keys").key(&mine).send().await;
    assert_eq!(page.body["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_tenant_cannot_name_another_organization() {
    let app = App::new().await;
    let demo = app.made.demo.unwrap().to_string();
    let (_, mine) = app.other_tenant("other").await;

    let body = json!({ "name": "mine", "organization_id": demo });
    for path in ["/api/v1/api-keys", "/api/v1/departments"] {
        let post = app.post(path, &body).key(&mine).send().await;
        post.is_problem(404, "not_found");
        let path = format!("{path}?organization_id={demo}");
        let get = app.get(&path).key(&mine).send().await;
        get.is_problem(404, "not_found");
    }
}

#[tokio::test]
async fn requests_that_no_operation_can_answer_are_problems_too() {
    let app = App::new().await;
    let key = app.demo_key();

    let answer = app.get("/api/v1/nothing").key(key).send().await;
    answer.is_problem(404, "route_not_found");
    let answer = app.call(Method::PUT, "/api/v1/api-keys").key(key);
    let answer = answer.send().await;
    answer.is_problem(405, "method_not_allowed");
    assert_eq!(
        answer.headers["allow"]
            .to_str()
            .unwrap()
            .matches("POST")
            .count(),
        1
    );

    let plain = app.call(Method::POST, "/api/v1/api-keys").key(key);
    let plain = plain.text("name=x").send().await;
    plain.is_problem(415, "unsupported_media_type");
    let long = json!({ "name": "x".repeat(api::BODY_BYTES_MAX) });
    let long = app.post("/api/v1/api-keys", &long).key(key).send().await;
    long.is_problem(413, "body_too_large");
    let limit = app.get("/api/v1/api-keys?limit=101").key(key).send().await;
    limit.is_problem(400, "invalid_parameter");
    let id = app.call(Method::DELETE, "/api/v1/api-keys/7").key(key);
    id.send().await.is_problem(400, "invalid_parameter");

    let wrong = json!({ "name": "x", "scopes": ["ai:everything"] });
    let wrong = app.post("/api/v1/api-keys", &wrong).key(key).send().await;
    wrong.is_problem(422, "invalid_fields");
    assert_eq!(wrong.body["errors"][0]["field"], "scopes[0]");
}

#[tokio::test]
async fn the_document_and_its_pages_are_there_without_a_key() {
    let app = App::new().await;

    let document = app.get(api::OPENAPI_PATH).send().await;
    assert_eq!(document.status, StatusCode::OK);
    assert_eq!(document.body["openapi"], "3.1.0");
    let scheme = &document.body["components"]["securitySchemes"]["api_key"];
    assert_eq!(scheme["scheme"], "bearer");
    let create = &document.body["paths"]["/api/v1/api-keys"]["post"];
    assert_eq!(create["x-permission"], "api_keys:write");
    let problem = &create["responses"]["422"]["content"]["application/problem+json"];
    assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
    assert_ne!(
        document.body["components"]["schemas"]["Problem"],
        Value::Null
    );

    let text = document.body.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.body.pointer(pointer).is_some(), "{pointer}");
    }

    for page in ["/api/docs/", "/api/docs/errors", "/api/docs/swagger-ui.css"] {
        assert_eq!(app.get(page).send().await.status, StatusCode::OK, "{page}");
    }
}
