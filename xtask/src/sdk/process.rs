//! A program that runs beside this task, and ends with it.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A gateway finishes its streams and books them first.
const STOP_MAX: Duration = Duration::from_secs(30);
const STOP_POLL: Duration = Duration::from_millis(20);

/// The program.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    // Kept open: a program whose output nobody takes may stop at its next line.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(super) fn start(name: &'static str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let spawned = command.spawn();
        let mut child = spawned.with_context(|| format!("cannot start {name}"))?;
        let out = child.stdout.take().context("it has no output")?;
        Ok(Self {
            name,
            child,
            lines: BufReader::new(out).lines(),
        })
    }

    /// What stands after a mark on a line of its output. It waits for the line, or the end of the program.
    pub(super) fn line_after(&mut self, mark: &str) -> Result<String> {
        for line in self.lines.by_ref() {
            if let Some((_, rest)) = line?.split_once(mark) {
                return Ok(rest.trim().to_owned());
            }
        }
        bail!("{} ended without saying {mark:?}", self.name)
    }

    /// Asks it to stop, and fails when it does not do so in order.
    pub(super) fn stop(mut self) -> Result<()> {
        self.terminate();
        let asked = Instant::now();
        while asked.elapsed() < STOP_MAX {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{} stopped with {status}", self.name),
                None => std::thread::sleep(STOP_POLL),
            }
        }
        bail!("{} did not stop", self.name)
    }

    fn terminate(&self) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
    }
}

impl Drop for Process {
    /// It is still there when the task failed.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
