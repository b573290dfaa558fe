//! Where tests keep things: the assets of the machine, and folders that are removed afterwards.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Environment, Sources};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use super::BoxError;
use crate::embedded::assets::Store;
use crate::embedded::{Binaries, end_leftover};

/// What every scratch folder's name begins with.
const PREFIX: &str = "flowpilot-test-";

/// Where Linux keeps files in memory. Each test's database is hundreds of small files that live for seconds, and a disk's
/// file system spends more time on making and deleting them than the tests on their questions.
const MEMORY: &str = "/dev/shm";

/// What has to be free there, in bytes: a whole run needs less than half of it.
const MEMORY_BYTES_MIN: u64 = 4 << 30;

/// A folder this young may be one that another process is about to use.
const SETTLED_AFTER: Duration = Duration::from_mins(2);

/// The assets of this machine: the same folder that the product uses.
pub fn assets() -> Result<Store, BoxError> {
    let sources = Sources {
        environment: Environment::capture(),
        ..Sources::default()
    };
    let config = config::load(&sources)?;
    Ok(Store::within(&config.server.data_dir))
}

/// The programs of the embedded server, fetched if they are not there. Blocks.
pub fn binaries() -> Result<Binaries, BoxError> {
    Ok(Binaries::fetch(&assets()?)?)
}

/// A new folder that another user may look into; it is removed by a later test run.
///
/// Removed are the folders whose server nobody runs any more.
pub fn scratch_folder() -> Result<PathBuf, BoxError> {
    let place = place();
    for entry in fs_err::read_dir(&place)? {
        let folder = entry?.path();
        let name = folder.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(PREFIX)) {
            remove_stale(&folder);
        }
    }
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(place)?;
    Ok(folder.keep())
}

/// In memory where there is room for it, else wherever temporary files go.
fn place() -> PathBuf {
    let memory = Path::new(MEMORY);
    let free = statvfs(memory).map(|of| of.blocks_available().saturating_mul(of.fragment_size()));
    let writable = access(memory, AccessFlags::W_OK).is_ok();
    if writable && free.is_ok_and(|bytes| bytes >= MEMORY_BYTES_MIN) {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// Removes a folder if nobody holds its lock. Failing is no matter: the next run tries again.
fn remove_stale(folder: &Path) {
    let lock = folder.join("lock");
    let touched = std::fs::metadata(&lock).or_else(|_| std::fs::metadata(folder));
    let age = touched.and_then(|metadata| metadata.modified());
    let settled = age.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > SETTLED_AFTER));
    if !settled {
        return;
    }
    let lock = File::open(lock);
    if lock.as_ref().is_ok_and(|lock| lock.try_lock().is_err()) {
        return;
    }
    if end_leftover(folder).is_ok() {
        let _ = std::fs::remove_dir_all(folder);
    }
}
