//! A template is its organization's alone; the platform's are everybody's to use and the operator's to write.

use super::*;

#[tokio::test]
async fn organizations_use_the_same_slug_for_different_templates_and_see_their_own() {
    let stage = stage("").await;
    let stack = &stage.stack;
    let (one, two) = (stack.tenant("one").await, stack.tenant("two").await);
    let client = stack.gateway.client();
    made(client, &one, "t", "of one").await.expect(201);
    made(client, &two, "t", "of two").await.expect(201);
    made(client, &two, "only-two", "secret").await.expect(201);

    for (tenant, text) in [(&one, "of one"), (&two, "of two")] {
        let body = json!({ "model": SCRIPTED, "prompt": { "slug": "t" } });
        client.post(CHAT, &tenant.key, &body).await.expect(200);
        let asked = stage.openai.asked();
        assert_eq!(asked.last().unwrap()["messages"][0]["content"], text);
    }
    let body = json!({ "model": SCRIPTED, "prompt": { "slug": "only-two" } });
    client.post(CHAT, &one.key, &body).await.expect(404);
    let listed = client.get(TEMPLATES, Some(&one.key)).await.expect(200);
    assert_eq!(listed.json()["data"].as_array().unwrap().len(), 1);
    let theirs = format!("{TEMPLATES}/t?organization_id={}", two.organization);
    client.get(&theirs, Some(&one.key)).await.expect(404);
    client.get(&theirs, Some(&stack.operator)).await.expect(200);
}

/// A new version.
fn taken_over() -> Value {
    json!({ "name": "x", "template_text": "taken over" })
}

#[tokio::test]
async fn a_template_of_the_platform_is_used_by_all_hidden_by_ones_own_and_written_by_the_operator()
{
    let stage = stage("").await;
    let stack = &stage.stack;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let body = json!({ "slug": "shared", "name": "Shared", "template_text": "platform's", "system": true });
    client.post(TEMPLATES, &tenant.key, &body).await.expect(403);
    let system = client.post(TEMPLATES, &stack.operator, &body).await;
    assert_eq!(system.expect(201).json()["is_system_template"], true);

    let said = async || {
        let body = json!({ "model": SCRIPTED, "prompt": { "slug": "shared" } });
        client.post(CHAT, &tenant.key, &body).await.expect(200);
        let asked = stage.openai.asked();
        asked.last().unwrap()["messages"][0]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let says = async |text: &str| within(NOTICED_WITHIN, text, async || said().await == text).await;
    says("platform's").await;
    let path = format!("{TEMPLATES}/shared");
    conditional(
        client,
        (Method::PUT, &path),
        (&tenant.key, "*"),
        Some(&taken_over()),
    )
    .await
    .expect(403);
    conditional(client, (Method::DELETE, &path), (&tenant.key, "*"), None)
        .await
        .expect(403);
    let systems = &format!("{path}?system=true");
    client.get(systems, Some(&tenant.key)).await.expect(403);
    conditional(
        client,
        (Method::PUT, systems),
        (&stack.operator, "*"),
        Some(&taken_over()),
    )
    .await
    .expect(200);
    says("taken over").await;

    made(client, &tenant, "shared", "own").await.expect(201);
    says("own").await;
    conditional(client, (Method::DELETE, &path), (&tenant.key, "*"), None)
        .await
        .expect(204);
    says("taken over").await;
    conditional(
        client,
        (Method::DELETE, systems),
        (&stack.operator, "*"),
        None,
    )
    .await
    .expect(204);
    let left =
        "SELECT count(*) FROM gateway.prompt_template_versions WHERE organization_id IS NULL";
    let left = sqlx::query_scalar::<_, i64>(left).fetch_one(&stack.ledger.0);
    assert_eq!(left.await.unwrap(), 0, "its versions are still there");
}

#[tokio::test]
async fn the_database_itself_keeps_organizations_from_each_others_and_the_platforms_templates() {
    let stack = Stack::start().await;
    let (one, two) = (stack.tenant("one").await, stack.tenant("two").await);
    let client = stack.gateway.client();
    made(client, &two, "theirs", "x").await.expect(201);
    let system = json!({ "slug": "s", "name": "S", "template_text": "x", "system": true });
    client
        .post(TEMPLATES, &stack.operator, &system)
        .await
        .expect(201);

    let tables = ["prompt_templates", "gateway.prompt_template_versions"];
    for (table, statement) in tables.iter().flat_map(|table| {
        let theirs = format!("SELECT 1 FROM {table} WHERE organization_id IS NOT NULL");
        [(table, theirs)]
    }) {
        assert_eq!(
            affected(&stack, &one, &statement).await.unwrap(),
            0,
            "{table}"
        );
    }
    let change = "UPDATE prompt_templates SET name = 'taken'";
    assert_eq!(affected(&stack, &one, change).await.unwrap(), 0);
    assert_eq!(
        affected(&stack, &one, "DELETE FROM prompt_templates")
            .await
            .unwrap(),
        0
    );
    for owner in ["NULL".to_owned(), format!("'{}'", two.organization)] {
        let insert = format!(
            "INSERT INTO prompt_templates (organization_id, name, slug, template_text, is_system_template)
             VALUES ({owner}, 'x', 'forged', 'x', {owner} IS NULL)"
        );
        affected(&stack, &one, &insert).await.unwrap_err();
        let insert = format!(
            "INSERT INTO gateway.prompt_template_versions (template_id, version, organization_id, template_text)
             SELECT id, 9, {owner}, 'x' FROM prompt_templates WHERE slug = 's'"
        );
        affected(&stack, &one, &insert).await.unwrap_err();
    }
    let rewrite = "UPDATE gateway.prompt_template_versions SET template_text = 'x'";
    affected(&stack, &two, rewrite).await.unwrap_err();
}

/// The rows that a statement of a tenant's transaction touches.
async fn affected(stack: &Stack, tenant: &Tenant, statement: &str) -> Result<u64, sqlx::Error> {
    let mut transaction = stack.ledger.0.begin().await.unwrap();
    sqlx::query("SELECT set_config('role', 'flowpilot_app', true), set_config('app.current_organization_id', $1, true)")
        .bind(&tenant.organization)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let done = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(&mut *transaction)
        .await?;
    Ok(done.rows_affected())
}
