//! Room on the disk: kept for what is owed before it is needed, so that a full disk never loses the end of what has begun.

use std::io;

use fs_err as fs;

use crate::failpoint;

/// Keeps room for a file's first bytes, whatever is written elsewhere. Its length stays what it is.
///
/// A file system that cannot promise anything is taken at its word when it is written to.
pub(super) fn keep(file: &fs::File, bytes: u64) -> Result<(), io::Error> {
    if bytes == 0 {
        return Ok(());
    }
    failpoint::write(file.path())?;
    allocate(file, bytes)
}

#[cfg(target_os = "linux")]
fn allocate(file: &fs::File, bytes: u64) -> Result<(), io::Error> {
    use nix::errno::Errno;
    use nix::fcntl::{FallocateFlags, fallocate};

    let Ok(bytes) = i64::try_from(bytes) else {
        return Ok(());
    };
    match fallocate(file.file(), FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, bytes) {
        Err(error @ (Errno::ENOSPC | Errno::EDQUOT)) => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(_: &fs::File, _: u64) -> Result<(), io::Error> {
    Ok(())
}

/// Gives back what was kept and not used.
pub(super) fn give_back(file: &fs::File) -> Result<(), io::Error> {
    file.set_len(file.metadata()?.len())
}

/// Whether an error says that there is no room: the one that heals by itself.
pub(super) fn is_lacking(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
