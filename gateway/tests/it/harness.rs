//! A gateway, its database and its provider, for one test alone; everything ends with the test.

mod gateway;
mod http;
mod ledger;
mod relay;
mod scripted;
mod watchdog;

use std::time::{Duration, Instant};

use database::testing::TestDatabase;
use loadtest::provider::{Options, Server};
use serde_json::{Value, json};
use toml::Table;

pub(crate) use gateway::{Gateway, Installation};
pub(crate) use http::{Answer, CHAT, Client, Stream};
pub(crate) use ledger::{Ledger, Request, Tokens};
pub(crate) use relay::Relay;
pub(crate) use scripted::{Scene, Scripted};

/// How long a test waits for what must come true: machines that run tests are busy.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it looks.
const POLL: Duration = Duration::from_millis(10);

/// Gemini's model, as aliases and prices know it.
pub(crate) const GEMINI: &str = "gemini/gemini-2.5-flash";
/// A model behind an OpenAI-compatible address.
pub(crate) const OPENAI: &str = "mock/gpt-4o-mini";
/// Anthropic's model.
pub(crate) const ANTHROPIC: &str = "anthropic/claude-haiku-4-5";

/// A gateway between a provider and a database.
#[derive(Debug)]
pub(crate) struct Stack {
    /// The running gateway. Ended before what it uses.
    pub(crate) gateway: Gateway,
    /// Where it keeps things.
    pub(crate) installation: Installation,
    /// The operator's key.
    pub(crate) operator: String,
    /// What it asks.
    pub(crate) provider: Server,
    /// What it books.
    pub(crate) ledger: Ledger,
    /// Where it books.
    pub(crate) database: TestDatabase,
}

/// An organization with a key that may do everything a tenant may.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    /// The organization's id.
    pub(crate) organization: String,
    /// The key's text.
    pub(crate) key: String,
    /// The key's id.
    pub(crate) key_id: String,
}

impl Stack {
    /// With a configuration that only says where everything is.
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With further configuration over it.
    pub(crate) async fn with(settings: &str) -> Self {
        let database = TestDatabase::new().await;
        let provider = provider().await;
        let url = database.url().expose().to_owned();
        let installation = Installation::new(settings_of(&url, &provider, settings));
        Self::over(installation, provider, database).await
    }

    /// From parts.
    pub(crate) async fn over(
        installation: Installation,
        provider: Server,
        database: TestDatabase,
    ) -> Self {
        let gateway = installation.start().await;
        Self {
            operator: installation.read("operator-key"),
            ledger: Ledger(database.admin()),
            gateway,
            installation,
            provider,
            database,
        }
    }

    /// A second gateway on the same database, with a data folder of its own.
    pub(crate) async fn another(&self) -> (Installation, Gateway) {
        let installation = Installation::new(self.installation.settings().clone());
        let gateway = installation.start().await;
        (installation, gateway)
    }

    /// Makes an organization and a key.
    pub(crate) async fn tenant(&self, slug: &str) -> Tenant {
        let client = self.gateway.client();
        let body = json!({ "name": slug, "slug": slug });
        let made = client.post("/api/v1/organizations", &self.operator, &body);
        let organization = made.await.expect(201).text("id");
        let scopes: Vec<_> = types::Permissions::all_of_a_tenant().iter().collect();
        let (key, key_id) = self.key(&organization, &json!(scopes)).await;
        Tenant {
            organization,
            key,
            key_id,
        }
    }

    /// Makes a key with these scopes: its text and its id.
    pub(crate) async fn key(&self, organization: &str, scopes: &Value) -> (String, String) {
        let client = self.gateway.client();
        let body = json!({ "name": "test", "scopes": scopes, "organization_id": organization });
        let made = client.post("/api/v1/api-keys", &self.operator, &body);
        let made = made.await.expect(201);
        (made.text("secret"), made.text("id"))
    }

    /// Calls the provider has booked.
    pub(crate) fn calls(&self) -> Vec<loadtest::provider::books::Call> {
        self.provider.books().statement().calls
    }
}

/// A provider of every dialect.
pub(crate) async fn provider() -> Server {
    Server::start(&Options::default()).await.unwrap()
}

/// A gateway's configuration, and more of it laid over.
pub(crate) fn settings_of(database_url: &str, provider: &Server, more: &str) -> Table {
    let mock = provider.base_url();
    let base = format!(
        r#"
[server]
listen = "127.0.0.1:0"

[database]
url = "{database_url}"

# A machine that runs tests is busy: only what a test makes unavailable may be so.
[database.hot]
acquire_timeout_ms = 30000
statement_timeout_ms = 30000
lock_timeout_ms = 30000

[providers.gemini]
base_url = "{mock}"
api_key = "provider-secret-canary"

[providers.anthropic]
base_url = "{mock}"
api_key = "provider-secret-canary"

[providers.mock]
kind = "openai"
base_url = "{mock}/v1"
api_key = "provider-secret-canary"
price_provider = "openai"
models = ["gpt-4o-mini", "text-embedding-3-small"]

[models.aliases]
default = "{GEMINI}"

[metering]
ship_interval_ms = 20
"#
    );
    let mut settings = base.parse().unwrap();
    lay_over(&mut settings, more.parse().unwrap());
    settings
}

/// Lays one table over another, key by key.
pub(crate) fn lay_over(below: &mut Table, above: Table) {
    for (name, value) in above {
        match (below.get_mut(&name), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => lay_over(below, above),
            (_, value) => drop(below.insert(name, value)),
        }
    }
}

/// A chat completion's request.
pub(crate) fn ask(model: &str, text: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": text }] })
}

/// The same, streamed.
pub(crate) fn ask_stream(model: &str, text: &str) -> Value {
    let mut body = ask(model, text);
    body["stream"] = true.into();
    body
}

/// The same, streamed with usage.
pub(crate) fn ask_stream_with_usage(model: &str, text: &str) -> Value {
    let mut body = ask_stream(model, text);
    body["stream_options"] = json!({ "include_usage": true });
    body
}

/// Waits until it is true.
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    within(PATIENCE, what, holds)
}

/// Waits until it is true, which must be soon.
pub(crate) async fn within(patience: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < patience, "it never came true that {what}");
        tokio::time::sleep(POLL).await;
    }
}
