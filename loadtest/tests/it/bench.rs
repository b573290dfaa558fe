//! The load generator, on the mock itself.

use loadtest::provider::{Options, Server};
use serde_json::Value;
use tokio::process::Command;

use crate::mock::start;

async fn bench(server: &Server, scenario: &str) -> (bool, Value) {
    let url = server.base_url();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args([
        "bench",
        "--scenario",
        scenario,
        "--target",
        &url,
        "--key",
        "any",
    ]);
    command.args(["--provider-url", &url, "--connections", "4"]);
    command.args(["--requests", "40", "--warmup", "8", "--rounds", "2"]);
    let output = command.output().await.expect("a run");
    let last = output
        .stdout
        .split(|byte| *byte == b'\n')
        .rfind(|line| !line.is_empty());
    let json = serde_json::from_slice(last.expect("a line")).expect("JSON");
    (output.status.success(), json)
}

#[tokio::test]
async fn every_request_is_counted_and_right() {
    let server = start().await;
    let (holds, report) = bench(&server, "stream").await;
    assert!(holds, "{report}");
    assert_eq!(
        (&report["requests"], &report["errors"]),
        (&40.into(), &0.into())
    );
    assert_eq!(report["provider_calls"], 40);
    assert_eq!(server.books().len(), 48, "with those before measuring");
    assert!(report["p50_us"].as_u64() >= report["ttfb_p50_us"].as_u64());
}

#[tokio::test]
async fn hits_that_reach_the_provider_fail_the_run() {
    let server = start().await;
    let (holds, report) = bench(&server, "hit").await;
    assert_eq!((holds, &report["errors"]), (false, &0.into()));
}

#[tokio::test]
async fn a_target_that_refuses_fails_the_run() {
    let options = Options {
        require_key: Some("another".to_owned()),
        ..Options::default()
    };
    let server = Server::start(&options).await.unwrap();
    let (holds, report) = bench(&server, "miss").await;
    assert!(!holds);
    assert!(
        report["error"].as_str().unwrap().contains("401"),
        "{report}"
    );
}
