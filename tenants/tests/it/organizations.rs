//! Organizations: the operator makes them and sees all; a tenant sees its own.

use http::StatusCode;
use serde_json::json;

use crate::app::App;

#[tokio::test]
async fn the_operator_sees_all_organizations_and_a_tenant_its_own() {
    let app = App::new().await;
    let (id, key) = app.other_tenant("other").await;

    let all = app.get("/api/v1/organizations").key(app.operator_key());
    let all = all.send().await;
    let own = app.get("/api/v1/organizations").key(&key).send().await;

    let slugs = all.body["data"].as_array().unwrap().iter();
    let mut slugs: Vec<_> = slugs.map(|row| row["slug"].as_str().unwrap()).collect();
    slugs.sort_unstable();
    assert_eq!(slugs, ["demo", "other", "platform"]);
    assert_eq!(own.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(own.body["data"][0]["id"], id);
}

#[tokio::test]
async fn a_taken_slug_an_odd_one_and_an_unknown_parent_are_told_apart() {
    let app = App::new().await;
    let create = async |body: serde_json::Value| {
        let call = app.post("/api/v1/organizations", &body);
        call.key(app.operator_key()).send().await
    };

    let taken = create(json!({ "name": "Demo", "slug": "demo" })).await;
    taken.is_problem(409, "already_exists");
    let odd = create(json!({ "name": "Odd", "slug": "No Spaces" })).await;
    odd.is_problem(422, "invalid_fields");
    assert_eq!(odd.body["errors"][0]["field"], "slug");
    let parent = app.made.owner.to_string();
    let orphan = create(json!({ "name": "Orphan", "slug": "orphan", "parent_id": parent })).await;
    orphan.is_problem(422, "invalid_fields");
    assert_eq!(orphan.body["errors"][0]["field"], "parent_id");
}

#[tokio::test]
async fn organizations_nest_five_levels_deep_and_no_deeper() {
    let app = App::new().await;
    let mut parent = app.made.demo.unwrap().to_string();
    for level in 2..=6 {
        let slug = format!("level-{level}");
        let body = json!({ "name": slug, "slug": slug, "parent_id": parent });
        let call = app.post("/api/v1/organizations", &body);
        let answer = call.key(app.operator_key()).send().await;
        if level == 6 {
            answer.is_problem(422, "invalid_fields");
        } else {
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
            parent = answer.text("id");
        }
    }
}
