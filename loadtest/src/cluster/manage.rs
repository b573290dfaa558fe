//! The management API, as an operator uses it before a run: organizations, keys, quotas.

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Connection;
use crate::clock;
use crate::loopback::Target;

/// How long a quota's period lasts from now: longer than any run, so that none ends in it.
const PERIOD_DAYS: i64 = 20;

/// An operator at a gateway.
#[derive(Debug)]
pub struct Operator {
    connection: Connection,
}

/// What a quota says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// So much in a period, and no more.
    Hard(u64),
    /// Only counted.
    Counted,
}

impl Operator {
    /// An operator with this key.
    pub async fn new(target: &Target, key: &str) -> anyhow::Result<Self> {
        Ok(Self {
            connection: Connection::open(target, Some(key)).await?,
        })
    }

    /// Makes an organization.
    pub async fn organization(&mut self, slug: &str) -> anyhow::Result<Uuid> {
        let body = json!({ "name": slug, "slug": slug });
        let made = self
            .send(Method::POST, "/api/v1/organizations", &body)
            .await?;
        text(&made, "id")?.parse().context("no id")
    }

    /// Makes a key that may ask models and use the cache: its secret.
    pub async fn key(&mut self, organization: Uuid, name: &str) -> anyhow::Result<String> {
        let body = json!({ "name": name, "organization_id": organization });
        let made = self.send(Method::POST, "/api/v1/api-keys", &body).await?;
        text(&made, "secret").map(str::to_owned)
    }

    /// Sets a quota.
    pub async fn quota(
        &mut self,
        organization: Uuid,
        resource: &str,
        limit: Limit,
    ) -> anyhow::Result<()> {
        let reset_at = clock::now() + chrono::TimeDelta::days(PERIOD_DAYS);
        let body = match limit {
            Limit::Hard(limit) => {
                json!({ "limit": limit, "period": "monthly", "reset_at": reset_at })
            }
            Limit::Counted => json!({ "limit": 0, "period": "unlimited" }),
        };
        let path = format!("/api/v1/quotas/{resource}?organization_id={organization}");
        self.send(Method::PUT, &path, &body).await.map(drop)
    }

    async fn send(&mut self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = Bytes::from(body.to_string());
        let response = self.connection.send(method, path, body).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        ensure!(
            status.is_success(),
            "{path} answers {status}: {}",
            String::from_utf8_lossy(&answer)
        );
        serde_json::from_slice(&answer).with_context(|| format!("{path} answers no JSON"))
    }
}

fn text<'a>(value: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    value
        .get(name)
        .and_then(Value::as_str)
        .with_context(|| format!("the answer has no {name}"))
}
