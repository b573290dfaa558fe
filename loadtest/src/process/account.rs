//! What the operating system says about processes: time on the processors, memory, who listens where.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// Clock ticks per second in `/proc/PID/stat`: fixed by Linux's interface to user space on all common architectures.
const TICKS_PER_SECOND: u64 = 100;
const MICROSECONDS_PER_TICK: u64 = 1_000_000 / TICKS_PER_SECOND;
/// `TCP_LISTEN` in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// Microseconds of processor time that these processes used so far, in user and system mode, all threads.
pub fn cpu_us(processes: &[u32]) -> anyhow::Result<u64> {
    let ticks = processes.iter().map(|id| ticks(*id));
    let ticks = ticks.sum::<anyhow::Result<u64>>()?;
    Ok(ticks * MICROSECONDS_PER_TICK)
}

/// Kibibytes of memory that these processes hold; what they share is counted in each.
pub fn rss_kib(processes: &[u32]) -> anyhow::Result<u64> {
    processes.iter().map(|id| resident(*id)).sum()
}

/// A process and its children.
pub fn family(parent: u32) -> anyhow::Result<Vec<u32>> {
    let mut family = vec![parent];
    for id in all()? {
        // Processes come and go while we look.
        if stat(id).is_ok_and(|fields| field(&fields, PARENT).ok() == Some(parent.into())) {
            family.push(id);
        }
    }
    Ok(family)
}

/// The process that listens on this TCP port.
pub fn listener(port: u16) -> anyhow::Result<u32> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .flat_map(|table| inodes(&fs::read_to_string(table).unwrap_or_default(), port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    all()?
        .into_iter()
        .find(|id| holds(*id, &sockets))
        .with_context(|| format!("no process seen that listens on port {port}; give its --pid"))
}

// Fields of `/proc/PID/stat` counted from the state, which follows the name in parentheses (proc(5), 3 and on).
const PARENT: usize = 1;
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

fn ticks(id: u32) -> anyhow::Result<u64> {
    let fields = stat(id)?;
    Ok(field(&fields, USER_TIME)? + field(&fields, SYSTEM_TIME)?)
}

fn stat(id: u32) -> anyhow::Result<String> {
    let path = format!("/proc/{id}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("process {id} is gone"))?;
    let (_, fields) = stat
        .rsplit_once(") ")
        .context("a line of /proc is malformed")?;
    Ok(fields.to_owned())
}

fn field(fields: &str, at: usize) -> anyhow::Result<u64> {
    let field = fields.split_ascii_whitespace().nth(at);
    field
        .context("a line of /proc is too short")?
        .parse()
        .context("not a number in /proc")
}

fn resident(id: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))
        .with_context(|| format!("process {id} is gone"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next());
    kib.context("no VmRSS in /proc")?
        .parse()
        .context("VmRSS is not a number")
}

fn all() -> anyhow::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").context("cannot read /proc")?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

fn holds(id: u32, sockets: &[String]) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{id}/fd")) else {
        return false;
    };
    let is_ours = |link: &Path| sockets.iter().any(|socket| link == Path::new(socket));
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|link| is_ours(&link))
}

/// Sockets of a table that listen on this port: `sl local_address rem_address st … inode`.
fn inodes(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let rows = table.lines().skip(1);
    let inodes = rows.filter_map(|row| {
        let fields: Vec<&str> = row.split_ascii_whitespace().collect();
        let here = fields.get(1)?.ends_with(&suffix) && fields.get(3) == Some(&LISTENING);
        fields
            .get(9)
            .filter(|_| here)
            .map(|inode| (*inode).to_owned())
    });
    inodes.collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn this_process_is_found_by_its_port_and_uses_memory_and_time() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = std::process::id();
        assert_eq!(listener(socket.local_addr().unwrap().port()).unwrap(), own);
        assert!(rss_kib(&[own]).unwrap() > 0);
        assert!(cpu_us(&[own]).is_ok());
        assert!(family(own).unwrap().contains(&own));
    }
}
