//! Where load may go: this machine, and nowhere else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use http::Uri;

/// An HTTP server on loopback: `http://127.0.0.1:8080`, with or without a path under which it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// What its paths begin with; without a slash at the end.
    pub prefix: String,
}

impl Target {
    /// The root of the server at this address, if it is on loopback.
    pub fn at(address: SocketAddr) -> anyhow::Result<Self> {
        ensure!(
            address.ip().is_loopback(),
            "{address} is not on loopback; load is for this machine only"
        );
        Ok(Self {
            address,
            prefix: String::new(),
        })
    }

    /// The path of a resource there.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The URL of a resource there.
    pub fn path_url(&self, path: &str) -> String {
        format!("{}{path}", self.url())
    }

    /// The URL of its root.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.prefix)
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let uri: Uri = text.parse().context("not a URL")?;
        ensure!(uri.scheme_str() == Some("http"), "only http:// is spoken");
        let host = uri.host().context("the URL has no host")?;
        let ip = match host.trim_matches(['[', ']']) {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => match host.parse() {
                Ok(ip) => ip,
                Err(_) => bail!("{host} is a name; only loopback addresses and localhost are used"),
            },
        };
        let mut target = Self::at(SocketAddr::new(ip, uri.port_u16().unwrap_or(80)))?;
        uri.path()
            .trim_end_matches('/')
            .clone_into(&mut target.prefix);
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_a_target() {
        for url in [
            "http://127.0.0.1:1/v1/",
            "http://localhost:1/v1",
            "http://[::1]:1/v1",
        ] {
            let target: Target = url.parse().unwrap();
            assert_eq!(target.path("/models"), "/v1/models");
        }
        for url in [
            "http://10.0.0.1:80",
            "https://127.0.0.1",
            "http://example.com",
            "127.0.0.1:80",
        ] {
            assert!(url.parse::<Target>().is_err(), "{url}");
        }
    }
}
