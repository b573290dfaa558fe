//! Tokens of a Google service account: a signed claim is exchanged for a token, which is kept until shortly before its end.
//!
//! Source: Google's "OAuth 2.0 for server to server applications" and RFC 7523.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use config::Secret;
use http::{HeaderValue, Request, StatusCode, header};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::{Client, Patience};
use crate::error::UpstreamError;

/// What the token may be used for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long a token is asked for, in seconds: the longest that is given.
const LIFETIME_SECONDS: i64 = 3600;
/// So long before its end a token is replaced, in seconds: an answer may take minutes, and clocks differ.
const MARGIN_SECONDS: i64 = 300;
/// How long the exchange may take; requests wait for it.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A service account, and the token it has.
pub(crate) struct ServiceAccount {
    email: String,
    key_id: String,
    key: RsaKeyPair,
    token_uri: String,
    token: ArcSwapOption<Token>,
    /// One exchange at a time: the others wait for it.
    exchanging: Mutex<()>,
}

struct Token {
    bearer: HeaderValue,
    /// Seconds since 1970.
    ends_at: i64,
}

/// The file that Google gives for a key of a service account, as far as it is needed.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    #[serde(default)]
    private_key_id: String,
    private_key: String,
    token_uri: String,
}

#[derive(Deserialize)]
struct Exchanged {
    access_token: String,
    expires_in: i64,
}

impl ServiceAccount {
    /// The account of a key file's text. An error never quotes it.
    pub(crate) fn new(key_file: &Secret) -> anyhow::Result<Self> {
        let file: KeyFile = serde_json::from_str(key_file.expose())
            .map_err(|_| anyhow!("the service account is not the JSON of a key file"))?;
        Ok(Self {
            key: read_key(&file.private_key)?,
            email: file.client_email,
            key_id: file.private_key_id,
            token_uri: file.token_uri,
            token: ArcSwapOption::empty(),
            exchanging: Mutex::new(()),
        })
    }

    /// The value of `Authorization`, from memory nearly always.
    ///
    /// Whatever goes wrong happens before the provider has seen the request.
    pub(crate) async fn bearer(
        &self,
        client: &Client,
        now: DateTime<Utc>,
    ) -> Result<HeaderValue, UpstreamError> {
        let now = now.timestamp();
        if let Some(bearer) = self.known(now) {
            return Ok(bearer);
        }
        let _turn = self.exchanging.lock().await;
        if let Some(bearer) = self.known(now) {
            return Ok(bearer);
        }
        let token = self.exchange(client, now).await;
        let token = token.map_err(UpstreamError::Unreachable)?;
        let bearer = token.bearer.clone();
        self.token.store(Some(Arc::new(token)));
        Ok(bearer)
    }

    fn known(&self, now: i64) -> Option<HeaderValue> {
        let token = self.token.load();
        let token = token.as_ref()?;
        (now < token.ends_at - MARGIN_SECONDS).then(|| token.bearer.clone())
    }

    async fn exchange(&self, client: &Client, now: i64) -> anyhow::Result<Token> {
        let claim = self.claim(now)?;
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={claim}"
        );
        let request = Request::post(&self.token_uri)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(body))
            .context("the service account's token_uri")?;
        let patience = Patience {
            is_stream: false,
            deadline: Instant::now() + EXCHANGE_TIMEOUT,
        };
        let response = client.send(request, patience).await?;
        let status = response.status;
        let body = response.body.collect().await?;
        if status != StatusCode::OK {
            // The body may say more, and may quote the claim.
            return Err(anyhow!("the service account's token was refused: {status}"));
        }
        let exchanged: Exchanged = serde_json::from_slice(&body)
            .map_err(|_| anyhow!("the answer to the exchange of a token is none"))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", exchanged.access_token))
            .context("the token is no header")?;
        bearer.set_sensitive(true);
        Ok(Token {
            bearer,
            ends_at: now.saturating_add(exchanged.expires_in),
        })
    }

    /// A signed claim (RFC 7519, with RS256 of RFC 7518).
    fn claim(&self, now: i64) -> anyhow::Result<String> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| anyhow!("the claim cannot be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Reads `-----BEGIN PRIVATE KEY-----` (PKCS #8).
fn read_key(pem: &str) -> anyhow::Result<RsaKeyPair> {
    let lines = pem.lines().map(str::trim);
    let base64: String = lines.filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(base64);
    let der = der.map_err(|_| anyhow!("the service account's private key is no PEM"))?;
    RsaKeyPair::from_pkcs8(&der)
        .map_err(|error| anyhow!("the service account's private key cannot be used: {error}"))
}

impl std::fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccount")
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}
