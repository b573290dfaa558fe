//! A gateway that is killed takes its database server with it, however the server was launched.
//!
//! This test is a program without a harness, because it plays three parts: the test; the gateway
//! that is killed (`hold FOLDER LAUNCHER`); and the binary with the hidden sub-command, whose
//! arguments a harness would not let through.

use std::env;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread::{park, sleep};
use std::time::{Duration, Instant};

use database::embedded::{Launcher, Server, ServerOptions, launch};
use database::testing::{binaries, scratch_folder};

/// The file of a held server's folder that says that it runs.
const HELD: &str = "held";

fn main() -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [command, rest @ ..] if command == launch::SUBCOMMAND => {
            return Ok(launch::main(rest.iter().cloned()));
        }
        [command, folder, launcher] if command == "hold" => hold(folder.into(), launcher)?,
        // Whatever a test runner says.
        _ => {
            for launcher in ["watched", "own binary"] {
                a_killed_gateway_leaves_no_server(launcher.as_ref())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn a_killed_gateway_leaves_no_server(launcher: &OsStr) -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = scratch_folder()?;
    // The second gateway comes while the first one's server is still shutting down.
    for _ in 0..2 {
        let mut gateway = Command::new(env::current_exe()?)
            .args(["hold".as_ref(), folder.as_os_str(), launcher])
            .spawn()?;
        eventually("the server runs", || folder.join(HELD).exists());
        fs_err::remove_file(folder.join(HELD))?;
        gateway.kill()?;
        gateway.wait()?;
    }

    // The server removes its lock file as the last step of an orderly shutdown.
    let lock_file = folder.join("data/postmaster.pid");
    eventually("the server shuts down", || !lock_file.exists());
    Ok(fs_err::remove_dir_all(folder)?)
}

/// Runs a server until this process is killed.
fn hold(folder: PathBuf, launcher: &OsStr) -> Result<(), Box<dyn Error + Send + Sync>> {
    let launcher = if launcher == "watched" {
        Launcher::Watched
    } else {
        Launcher::OwnBinary(env::current_exe()?)
    };
    let held = folder.join(HELD);
    let options = ServerOptions::new(folder, binaries()?, launcher);
    let runtime = tokio::runtime::Runtime::new()?;
    let _server = runtime.block_on(Server::start(options))?;
    fs_err::write(held, "")?;
    loop {
        park();
    }
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_mins(1), "never: {what}");
        sleep(Duration::from_millis(10));
    }
}
