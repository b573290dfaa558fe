//! What a person sees after the start: where it is, with which key, and one line to try.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use config::Config;

use crate::output;

/// Says where the gateway is and how to try it.
pub(crate) fn print(address: SocketAddr, config: &Config, demo_key: Option<&str>) {
    let base = format!("http://{}", reachable(address));
    let default = config
        .models
        .aliases
        .get("default")
        .map(ToString::to_string)
        .unwrap_or_default();
    output::line(format_args!(
        "FlowPilot Gateway {} is ready.",
        env!("CARGO_PKG_VERSION")
    ));
    output::line(format_args!("  base URL   {base}/v1"));
    output::line(format_args!("  model      default ({default})"));
    output::line(format_args!("  API        {base}/api/docs"));
    output::line(format_args!(
        "  data       {}",
        config.server.data_dir.display()
    ));
    for warning in &config.warnings {
        output::line(format_args!("  note       {warning}"));
    }
    if let Some(key) = demo_key {
        output::line(format_args!("  demo key   {key}"));
        output::line("Try it:");
        output::line(try_it(&base, key));
    }
}

/// One line that works as pasted.
fn try_it(base: &str, key: &str) -> String {
    format!(
        "curl {base}/v1/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{{\"model\":\"default\",\"messages\":[{{\"role\":\"user\",\"content\":\"Say hello in one sentence.\"}}]}}'"
    )
}

/// An address that says "everywhere" is reached here at the loopback one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_try_is_one_line_and_its_body_is_json() {
        let line = try_it("http://127.0.0.1:8080", "fp_key");
        let body = line
            .split("-d '")
            .nth(1)
            .and_then(|rest| rest.strip_suffix('\''))
            .unwrap();
        assert!(!line.contains('\n'));
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }

    #[test]
    fn everywhere_is_reached_at_the_loopback_address() {
        assert_eq!(
            reachable("0.0.0.0:80".parse().unwrap()).to_string(),
            "127.0.0.1:80"
        );
        assert_eq!(
            reachable("[::]:80".parse().unwrap()).to_string(),
            "[::1]:80"
        );
    }
}
