//! `flowpilot-chaos`: the same program with fail points, for chaos runs alone; see `metering::failpoint`.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::main()
}
