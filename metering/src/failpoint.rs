//! Named points at which a chaos run kills the process or makes its disk fail.
//!
//! Without the feature `failpoints` they are empty functions; the program that serves has none of it.
//! With it, `arm` takes a list such as `exchange.intended@17;journal.synced@400`: the process is killed when it passes the point
//! for the 17th time. The journal's folder fails as long as it has a file of that name: `full`, every write finds no room;
//! `broken`, every sync fails.

use std::io;
use std::path::Path;

/// Passes a point, where the process may be killed.
#[inline]
pub fn pass(point: &'static str) {
    #[cfg(feature = "failpoints")]
    armed::pass(point);
    let _ = point;
}

/// Passes a point where a file of the journal is about to be written.
#[inline]
pub(crate) fn write(file: &Path) -> io::Result<()> {
    fails_by(file, "full", io::ErrorKind::StorageFull)
}

/// Passes a point where a file of the journal is about to be synced.
#[inline]
pub(crate) fn sync(file: &Path) -> io::Result<()> {
    fails_by(file, "broken", io::ErrorKind::Other)
}

#[inline]
fn fails_by(file: &Path, marker: &str, kind: io::ErrorKind) -> io::Result<()> {
    let is_compiled = cfg!(any(test, feature = "failpoints"));
    if is_compiled && file.with_file_name(marker).exists() {
        return Err(kind.into());
    }
    Ok(())
}

#[cfg(feature = "failpoints")]
pub use armed::arm;

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use nix::sys::signal::{Signal, raise};

    static POINTS: OnceLock<Vec<Point>> = OnceLock::new();

    struct Point {
        name: String,
        passed: AtomicU64,
        fatal: u64,
    }

    /// Takes the list of a run; what cannot be read is an error, so that no run is gentler than it says.
    pub fn arm(list: &str) -> Result<(), String> {
        let points = list.split(';').filter(|point| !point.is_empty());
        let points: Option<Vec<_>> = points.map(Point::parse).collect();
        let points = points.ok_or_else(|| format!("{list} is no list of fail points"))?;
        let armed = POINTS.set(points);
        armed.map_err(|_| "fail points were armed before".to_owned())
    }

    impl Point {
        fn parse(text: &str) -> Option<Self> {
            let (name, fatal) = text.split_once('@')?;
            Some(Self {
                name: name.to_owned(),
                passed: AtomicU64::new(0),
                fatal: fatal.parse().ok()?,
            })
        }
    }

    pub(super) fn pass(name: &str) {
        let points = POINTS.get().map(Vec::as_slice).unwrap_or_default();
        for point in points.iter().filter(|point| point.name == name) {
            if point.passed.fetch_add(1, Ordering::Relaxed) + 1 == point.fatal {
                // It cannot fail, and what follows is not reached: the signal is not to be caught.
                let _ = raise(Signal::SIGKILL);
            }
        }
    }
}
