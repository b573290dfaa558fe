//! The first minute: no configuration, no network, one command, and one line to paste.

use std::fs;
use std::path::Path;
use std::process::Command;

use database::embedded::assets::POSTGRES;
use database::testing::{assets, binaries};
use nix::sys::signal::Signal;
use toml::Table;

use crate::harness::{Gateway, Installation, eventually};

#[tokio::test]
async fn without_any_configuration_there_is_one_line_to_try_and_nothing_stays_behind() {
    let installation = Installation::new(Table::new());
    seed_assets(&installation.data_dir());

    let gateway = start(&installation).await;
    let printed = installation.printed();
    let key = key_in(&printed);
    assert_eq!(key, installation.read("demo-key"));
    let lines: Vec<_> = printed
        .lines()
        .filter(|line| line.contains("curl "))
        .collect();
    assert_eq!(lines.len(), 1, "{printed}");
    let answer = Command::new("sh").args(["-c", lines[0]]).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str();
    assert!(text.is_some_and(|text| !text.is_empty()), "{answer}");
    assert_ne!(servers_of(&installation.data_dir()), 0);
    stop(gateway, &installation).await;

    let gateway = start(&installation).await;
    assert_eq!(key_in(&installation.printed()), key, "another key");
    let models = gateway.client().get("/v1/models", Some(&key)).await;
    models.expect(200);
    stop(gateway, &installation).await;
}

/// Puts what this machine has fetched before into the new data folder.
fn seed_assets(data_dir: &Path) {
    binaries().unwrap();
    let place = assets().unwrap().find(POSTGRES).unwrap().unwrap();
    fs::create_dir(data_dir).unwrap();
    std::os::unix::fs::symlink(place.parent().unwrap(), data_dir.join("assets")).unwrap();
}

async fn start(installation: &Installation) -> Gateway {
    let mut command = installation.command(&["--listen", "127.0.0.1:0"]);
    // A machine that runs tests is busy.
    command.env("FLOWPILOT__DATABASE__HOT__ACQUIRE_TIMEOUT_MS", "30000");
    installation.run(command).await
}

/// Ends it like Ctrl-C, and asserts that its database ended too.
async fn stop(mut gateway: Gateway, installation: &Installation) {
    gateway.signal(Signal::SIGINT);
    assert_eq!(gateway.ended().await.code(), Some(0));
    let data_dir = installation.data_dir();
    eventually("no server is left", async || servers_of(&data_dir) == 0).await;
}

fn key_in(printed: &str) -> String {
    let (_, rest) = printed.split_once("demo key").unwrap();
    rest.lines().next().unwrap().trim().to_owned()
}

/// How many processes work on this data folder, by their command lines.
fn servers_of(data_dir: &Path) -> usize {
    let listed = Command::new("ps")
        .args(["-Aww", "-o", "args="])
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let folder = data_dir.join("postgres");
    let folder = folder.to_str().unwrap();
    listed.lines().filter(|line| line.contains(folder)).count()
}
