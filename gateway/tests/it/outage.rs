//! The database goes away and comes back: those who are known are served, and everything is booked in the end.

use crate::harness::{Installation, Relay, Stack, Tokens, ask, eventually, provider, settings_of};
use database::testing::TestDatabase;

#[tokio::test]
async fn known_callers_are_served_while_the_database_is_away_and_booked_when_it_is_back() {
    let database = TestDatabase::new().await;
    let provider = provider().await;
    let relay = Relay::start(database.url().expose()).await;
    let url = relay.url(database.url().expose());
    // A stranger is answered as soon as the database has been waited for.
    let settings = settings_of(&url, &provider, "database.hot.acquire_timeout_ms = 500");
    let installation = Installation::new(settings);
    let stack = Stack::over(installation, provider, database).await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    eventually(
        "the caller is known, and that no quota limits it",
        async || {
            let body = ask("default", "before");
            client.chat(&tenant.key, &body).await.status == 200
        },
    )
    .await;
    stack.ledger.booked(1).await;

    relay.cut();
    for number in 0..5 {
        let text = format!("meanwhile {number}");
        client
            .chat(&tenant.key, &ask("default", &text))
            .await
            .expect(200);
    }
    let stranger = client.chat("nobody made this", &ask("default", "x")).await;
    assert_eq!(stranger.status, 503, "{stranger:?}");
    assert_eq!(stranger.json()["error"]["code"], "gateway_unavailable");
    assert_eq!(stack.ledger.requests().await.len(), 1);

    relay.mend();
    let rows = stack.ledger.booked(6).await;
    let calls = stack.calls();
    let booked: Vec<_> = rows.iter().map(|row| row.tokens).collect();
    assert_eq!(booked, calls.iter().map(Tokens::from).collect::<Vec<_>>());
    assert_eq!(stack.ledger.balanced().await.calls, 6);
    eventually("a stranger is told so again", async || {
        client
            .chat("nobody made this", &ask("default", "x"))
            .await
            .status
            == 401
    })
    .await;
}
