//! Files and folders with exactly the rights they need.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};

use super::Error;
use super::identity::Identity;

/// Only the owner may enter it.
const MODE_PRIVATE: u32 = 0o700;

/// Everyone may look into it; only we may change it.
const MODE_OPEN: u32 = 0o755;

/// A folder that only the server's user can enter. One that is there must be exactly that: in a
/// folder that everyone can write to, someone else might have made it.
pub(super) fn private_folder(path: &Path, identity: Identity) -> Result<(), Error> {
    match std::fs::DirBuilder::new().mode(MODE_PRIVATE).create(path) {
        Ok(()) => return identity.own(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    let metadata = fs_err::symlink_metadata(path)?;
    let private = metadata.is_dir()
        && metadata.uid() == identity.uid().as_raw()
        && metadata.permissions().mode() & 0o777 == MODE_PRIVATE;
    if private {
        return Ok(());
    }
    Err(Error::Path {
        path: path.to_owned(),
    })
}

/// A new, empty file that only we can read.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// The password in a file, generated the first time.
pub(super) fn password(path: &Path) -> io::Result<String> {
    match fs_err::read_to_string(path) {
        Ok(password) if !password.is_empty() => return Ok(password),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let password = hex::encode(rand::random::<[u8; 32]>());
    let mut file = private_file(path)?;
    file.write_all(password.as_bytes())?;
    file.sync_all()?;
    Ok(password)
}

/// Makes a folder that every user may look into, and its parents.
pub(super) fn create_open_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_open_folder(parent)?;
    }
    match fs_err::create_dir(path) {
        // Another process was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        result => result?,
    }
    fs_err::set_permissions(path, Permissions::from_mode(MODE_OPEN))
}
