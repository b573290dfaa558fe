//! Departments: one organization's own, by name.

use http::StatusCode;
use serde_json::json;

use crate::app::App;

#[tokio::test]
async fn departments_of_two_organizations_do_not_meet() {
    let app = App::new().await;
    let (_, other) = app.other_tenant("other").await;
    let create = async |key: &str, body: serde_json::Value| {
        app.post("/api/v1/departments", &body).key(key).send().await
    };

    let claims = create(app.demo_key(), json!({ "name": "Claims" })).await;
    assert_eq!(claims.status, StatusCode::CREATED);
    let same = create(&other, json!({ "name": "Claims" })).await;
    assert_eq!(
        same.status,
        StatusCode::CREATED,
        "names are each organization's own"
    );
    let twice = create(&other, json!({ "name": "Claims" })).await;
    twice.is_problem(409, "already_exists");
    let parent = json!({ "name": "Motor", "parent_id": claims.text("id") });
    let adopted = create(&other, parent.clone()).await;
    adopted.is_problem(422, "invalid_fields");
    assert_eq!(
        create(app.demo_key(), parent).await.status,
        StatusCode::CREATED
    );

    let page = app.get("/api/v1/departments").key(app.demo_key());
    let page = page.send().await;
    let rows = page.body["data"].as_array().unwrap().iter();
    let names: Vec<_> = rows.map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Claims", "Motor"]);
}
