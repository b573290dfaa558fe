//! The management API of one test, in process, with the keys to call it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use config::section::Auth;
use database::testing::TestDatabase;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tenants::Tenants;
use tenants::bootstrap::{self, Demo, IfLost, Made, Wanted};
use tenants::keys::Keys;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use types::{Clock, SystemClock};

/// How long a test waits for a condition that must come true: machines that run tests are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How often a condition is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// The management API with its operator and demo organization.
pub(crate) struct App {
    pub(crate) database: TestDatabase,
    pub(crate) made: Made,
    pub(crate) openapi: utoipa::openapi::OpenApi,
    router: Router,
    stop: CancellationToken,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A request in the making.
pub(crate) struct Call<'a> {
    app: &'a App,
    request: http::request::Builder,
    body: Body,
}

pub(crate) fn auth() -> Auth {
    Auth {
        keys_in_memory_max: 1000,
        unknown_key_cache_ttl: Duration::from_mins(1),
        refresh_interval: Duration::from_secs(1),
        keys_stale_max: Duration::from_mins(15),
    }
}

impl App {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::new().await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let wanted = Wanted {
            operator_key: None,
            demo: Some(Demo { key: None }),
            if_lost: IfLost::Rotate,
        };
        let made = bootstrap::run(database.database(), clock.as_ref(), &wanted).await;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let auth = auth();
        let keys = Keys::start(
            &auth,
            database.database().clone(),
            clock.clone(),
            &tasks,
            stop.clone(),
        );
        let keys = keys.await.unwrap();
        let tenants = Tenants {
            database: database.database().clone(),
            clock: clock.clone(),
        };
        let api = api::Api::new(Arc::new(keys), clock).mount(tenants::api::operations(tenants));
        Self {
            made: made.unwrap(),
            database,
            openapi: api.openapi().clone(),
            router: api.into_router(),
            stop,
        }
    }

    pub(crate) fn operator_key(&self) -> &str {
        self.made.operator_key.as_ref().unwrap().expose()
    }

    pub(crate) fn demo_key(&self) -> &str {
        self.made.demo_key.as_ref().unwrap().expose()
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            app: self,
            request: Request::builder().method(method).uri(path),
            body: Body::empty(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Call<'_> {
        self.call(Method::POST, path).json(body)
    }

    /// A second organization with a key that may do everything a tenant may.
    pub(crate) async fn other_tenant(&self, slug: &str) -> (String, String) {
        let body = serde_json::json!({ "name": slug, "slug": slug });
        let organization = self.post("/api/v1/organizations", &body);
        let organization = organization.key(self.operator_key()).send().await;
        let id = organization.text("id");
        let scopes: Vec<_> = types::Permissions::all_of_a_tenant().iter().collect();
        let body = serde_json::json!({ "name": "all", "scopes": scopes, "organization_id": id });
        let key = self.post("/api/v1/api-keys", &body);
        let key = key.key(self.operator_key()).send().await;
        (id, key.text("secret"))
    }

    /// A key of the demo organization with these scopes.
    pub(crate) async fn demo_key_with(&self, scopes: &[&str]) -> Answer {
        let body = serde_json::json!({ "name": "limited", "scopes": scopes });
        let answer = self.post("/api/v1/api-keys", &body).key(self.demo_key());
        let answer = answer.send().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer
    }

    /// Waits until the key is answered with this status.
    pub(crate) async fn wait_until_answered(&self, key: &str, status: StatusCode) {
        let wait = async {
            while self
                .get("/api/v1/organizations")
                .key(key)
                .send()
                .await
                .status
                != status
            {
                tokio::time::sleep(POLL).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "never answered with {status}");
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Call<'_> {
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = Body::from(body.to_string());
        self.header("content-type", "application/json")
    }

    pub(crate) fn text(mut self, body: &str) -> Self {
        self.body = Body::from(body.to_owned());
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let request = self.request.body(self.body).unwrap();
        let response = self.app.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> String {
        let text = self.body[field].as_str();
        text.unwrap_or_else(|| panic!("no {field} in {self:?}"))
            .to_owned()
    }

    /// Asserts a problem with this status and code.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["code"], code, "{self:?}");
        assert_eq!(self.body["status"], status);
        let id = self.headers["x-request-id"].to_str().unwrap();
        assert_eq!(self.body["request_id"], id);
    }
}
