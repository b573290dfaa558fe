//! The configuration: followed while serving, never made worse by a mistake, and checked before anything runs.

use nix::sys::signal::Signal;

use crate::harness::{OPENAI, Stack, Tenant, ask, eventually, lay_over};

#[tokio::test]
async fn a_change_is_taken_over_and_a_mistake_changes_nothing() {
    let mut stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    assert_eq!(answered_by(&stack, &tenant, "one").await, "gemini");

    let mut settings = stack.installation.settings().clone();
    let change = format!("models.aliases.default = \"{OPENAI}\"");
    lay_over(&mut settings, change.parse().unwrap());
    stack.installation.configure(settings);
    let count = async |line: &str| stack.gateway.log().matches(line).count();
    let taken = "the configuration was taken over";
    eventually("the change is taken over", async || count(taken).await == 1).await;
    assert_eq!(answered_by(&stack, &tenant, "two").await, "mock");

    stack.gateway.signal(Signal::SIGHUP);
    eventually("it is read again when asked", async || {
        count(taken).await == 2
    })
    .await;

    stack.installation.write_config(
        "[models.aliases]\ndefault = \"nobody/nothing\"\n[limits]\nburst = 1\nbrust = 2\n",
    );
    stack.gateway.signal(Signal::SIGHUP);
    eventually("the mistake is told", async || {
        count("configuration not reloaded").await > 0
    })
    .await;
    assert!(stack.gateway.log().contains("brust"));
    assert_eq!(count(taken).await, 2);
    assert_eq!(answered_by(&stack, &tenant, "three").await, "mock");
}

/// The provider that the alias `default` means.
async fn answered_by(stack: &Stack, tenant: &Tenant, text: &str) -> String {
    let body = ask("default", text);
    let answer = stack.gateway.client().chat(&tenant.key, &body).await;
    answer.expect(200).header("x-flowpilot-provider").to_owned()
}

#[tokio::test]
async fn all_mistakes_are_told_at_once_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flowpilot.toml");
    let text = "[server]\nlisten = \"nowhere\"\nlisten_port = 1\n[limits]\nburst = \"x\"\n[models.aliases]\nfast = \"nobody/nothing\"\n";
    std::fs::write(&file, text).unwrap();
    let run = |subcommand: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_flowpilot"));
        command
            .env_clear()
            .args([subcommand, "--config"])
            .arg(&file);
        command
            .arg("--data-dir")
            .arg(folder.path())
            .output()
            .unwrap()
    };

    for subcommand in ["check-config", "serve"] {
        let output = run(subcommand);
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        let paths = [
            "server.listen",
            "server.listen_port",
            "limits.burst",
            "models.aliases.fast",
        ];
        for path in paths {
            assert!(told.contains(path), "{path} is missing in:\n{told}");
        }
    }
    std::fs::write(&file, "").unwrap();
    assert_eq!(run("check-config").status.code(), Some(0));
}
