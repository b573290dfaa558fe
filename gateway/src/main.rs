//! `flowpilot`: an AI gateway in one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::main()
}
