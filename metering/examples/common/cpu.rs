//! User and system time, from the kernel's own count in ticks of 10 ms.

use std::time::Duration;

/// The length of a tick.
const TICK_MS: u64 = 10;

/// The time of this process, and of all its descendants, where there are any: those are the database's.
pub(crate) fn times() -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let mut processes = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        // Processes come and go meanwhile.
        let stat = fs_err::read_to_string(format!("/proc/{name}/stat"));
        if let (Ok(id), Ok(stat)) = (name.parse::<u32>(), stat) {
            processes.push((id, Times::parse(&stat)?));
        }
    }
    let mut own = Duration::ZERO;
    let mut family = vec![std::process::id()];
    let mut database = Duration::ZERO;
    while let Some(member) = family.pop() {
        let children = processes.iter().filter(|(_, times)| times.parent == member);
        family.extend(children.map(|(id, _)| *id));
        let times = processes.iter().find(|(id, _)| *id == member);
        match times {
            Some((id, times)) if *id == std::process::id() => own = times.itself,
            Some((_, times)) => database += times.itself + times.ended_children,
            None => {}
        }
    }
    Ok((own, database))
}

/// What `/proc/PID/stat` says.
struct Times {
    parent: u32,
    itself: Duration,
    ended_children: Duration,
}

impl Times {
    /// Counted from the state, which follows the name in parentheses: the parent is the second field, the times begin at the
    /// twelfth.
    fn parse(stat: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let (_, fields) = stat.rsplit_once(") ").ok_or("no process name")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let field = |at: usize| -> Result<u64, Box<dyn std::error::Error>> {
            Ok(fields.get(at).ok_or("too few fields")?.trim().parse()?)
        };
        let ticks = |a, b| -> Result<Duration, Box<dyn std::error::Error>> {
            Ok(Duration::from_millis((field(a)? + field(b)?) * TICK_MS))
        };
        Ok(Self {
            parent: field(1)?.try_into()?,
            itself: ticks(11, 12)?,
            ended_children: ticks(13, 14)?,
        })
    }
}
