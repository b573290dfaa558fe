//! Checks a package file and unpacks it so that another user can run what is in it.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_err::File;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::Error;
use crate::embedded::files::create_open_folder;

/// Folders and programs: the server runs as another user, whatever our umask is.
const MODE_OPEN: u32 = 0o755;

/// Other files.
const MODE_READABLE: u32 = 0o644;

/// The SHA-256 of a file, in lower-case hexadecimal.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut HashWriter(&mut hasher))?;
    Ok(hex::encode(hasher.finalize()))
}

/// Unpacks a package into a new folder, without what only compilers need.
pub(super) fn unpack(package: &Path, folder: &Path) -> Result<(), Error> {
    create_open_folder(folder)?;
    let mut archive = ZipArchive::new(File::open(package)?)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        // A name that leaves the folder has no enclosed form; a pinned file has none of those.
        let Some(name) = entry.enclosed_name() else {
            continue;
        };
        if is_for_compilers(&name) {
            continue;
        }
        let path = folder.join(&name);
        if entry.is_dir() {
            create_open_folder(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            create_open_folder(parent)?;
        }
        let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        let mode = if executable { MODE_OPEN } else { MODE_READABLE };
        let mut file = File::create(&path)?;
        io::copy(&mut entry, &mut file)?;
        fs_err::set_permissions(&path, Permissions::from_mode(mode))?;
        file.sync_all()?;
    }
    Ok(())
}

fn is_for_compilers(name: &Path) -> bool {
    let archive = name.extension().is_some_and(|extension| extension == "a");
    archive || name.iter().any(|part| part == "include")
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
