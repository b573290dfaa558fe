//! The process that renders: our own program run once more, with a limit of memory that the operating system enforces.
//!
//! It is started twice over: the first run sets the limits and becomes the second, so that they hold from the second's
//! first allocation on. It has no environment, no network of ours and no file but its pipes; when it asks for more
//! memory than it may have it ends, and the gateway starts another. When the gateway ends, its input does, and so does it.

use std::ffi::OsString;
use std::io::{self, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::resource::{Resource, setrlimit};

use super::engine::{self, Job};
use super::frame;

/// The hidden sub-command of our own program that calls [`main`].
pub(crate) const SUBCOMMAND: &str = "__render";

/// The argument of the second run.
const LIMITED: &str = "limited";

/// The command that starts a worker; its input and output are pipes.
pub(crate) fn command(memory_bytes_max: u64) -> io::Result<Command> {
    let mut command = bare(&own_program()?);
    command
        .args([SUBCOMMAND, &memory_bytes_max.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A Ctrl-C in the terminal is for the gateway, which finishes what runs.
        .process_group(0);
    Ok(command)
}

/// This program, even if its file has been replaced since.
fn own_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        Ok(PathBuf::from("/proc/self/exe"))
    } else {
        std::env::current_exe()
    }
}

/// A command without our environment, which may hold provider keys.
fn bare(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir("/");
    command
}

/// The body of the hidden sub-command.
pub(crate) fn main(argument: &OsString) -> ExitCode {
    let ended = if argument == LIMITED {
        serve()
    } else {
        limit(argument)
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is no subscriber here, and the gateway does not listen; a person who tries it out does.
            let _ = writeln!(io::stderr(), "rendering ended: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sets the limits and runs this program again; returns only when that failed.
fn limit(argument: &OsString) -> io::Result<()> {
    let bytes = argument.to_str().and_then(|text| text.parse().ok());
    let bytes: u64 = bytes.ok_or(io::ErrorKind::InvalidInput)?;
    // What is written to: heap, stacks and maps of one's own. Mapped program text does not count.
    setrlimit(Resource::RLIMIT_DATA, bytes, bytes)?;
    // A core would hold a prompt.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    Err(bare(&own_program()?).args([SUBCOMMAND, LIMITED]).exec())
}

/// Says that it is ready, and answers jobs until there are no more.
fn serve() -> io::Result<()> {
    let mut input = BufReader::new(io::stdin().lock());
    let mut output = io::stdout().lock();
    frame::write(&mut output, &())?;
    while let Some(job) = frame::read::<Job<'static>>(&mut input)? {
        frame::write(&mut output, &engine::run(&job))?;
    }
    Ok(())
}
