//! A journal's volume, and what goes wrong with it: no room, or a sync that fails.
//!
//! It is a small file system of its own in memory where this process may mount one, and is filled for real. Elsewhere the
//! gateway's fail points answer every write as a full disk would. A failing sync is always the fail points' doing.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// The size of the volume; journals of a run take a few tens of kilobytes.
const VOLUME: &str = "size=4m,mode=755";
const BLOCK: [u8; 4096] = [0; 4096];

/// The volume of one gateway's journal.
#[derive(Debug)]
pub struct Disk {
    place: PathBuf,
    is_mounted: bool,
}

impl Disk {
    /// A volume at this place, which is made.
    pub fn new(place: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", VOLUME, "tmpfs"]);
        let is_mounted = run(mount, &place);
        let disk = Self { place, is_mounted };
        fs::create_dir_all(disk.journal())?;
        Ok(disk)
    }

    /// The journal's folder.
    pub fn journal(&self) -> PathBuf {
        self.place.join("journal")
    }

    /// Whether the volume is one of its own, so that it is filled for real.
    pub const fn is_real(&self) -> bool {
        self.is_mounted
    }

    /// Leaves no room.
    pub fn fill(&self) -> anyhow::Result<()> {
        if !self.is_mounted {
            return self.mark("full");
        }
        let mut filler = File::create(self.filler())?;
        loop {
            match filler.write_all(&BLOCK) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("the volume cannot be filled"),
            }
        }
    }

    /// Gives the room back.
    pub fn free(&self) -> anyhow::Result<()> {
        if self.is_mounted {
            remove(&self.filler())
        } else {
            remove(&self.journal().join("full"))
        }
    }

    /// Lets every sync fail.
    pub fn break_down(&self) -> anyhow::Result<()> {
        self.mark("broken")
    }

    /// Lets them succeed again.
    pub fn mend(&self) -> anyhow::Result<()> {
        remove(&self.journal().join("broken"))
    }

    /// Records that were parked as unbookable, or lost to damage; there must be none.
    pub fn casualties(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut casualties = Vec::new();
        for entry in fs::read_dir(self.journal())? {
            let path = entry?.path();
            let is_parked = path.file_name().is_some_and(|name| name == "dead-letters");
            if is_parked || path.extension().is_some_and(|end| end == "corrupt") {
                casualties.push(path);
            }
        }
        Ok(casualties)
    }

    /// Copies the journal to where it stays when the volume goes.
    pub fn save(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(self.journal())? {
            let entry = entry?;
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn filler(&self) -> PathBuf {
        self.place.join("filler")
    }

    /// On a volume without room a marker of no length may still be made.
    fn mark(&self, name: &str) -> anyhow::Result<()> {
        let path = self.journal().join(name);
        File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        ensure!(path.exists(), "the marker {name} is not there");
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            // Lazily: a gateway that failed to stop may still have files open there.
            let mut unmount = Command::new("umount");
            unmount.arg("-l");
            run(unmount, &self.place);
        }
    }
}

/// Whether a command about a place succeeds; where it may not be run, that is no error.
fn run(mut command: Command, place: &Path) -> bool {
    let command = command.arg(place);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
