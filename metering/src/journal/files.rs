//! The journal's folder: segments named by their position, the lock, the node's identity and the watermark.
//!
//! A position is a byte offset in the endless journal; a segment file is named by the position of its first byte.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use thiserror::Error;
use types::id::Node;
use types::{Clock, Id};

use super::room;
use crate::failpoint;

/// Ends the name of a segment.
const SEGMENT_EXTENSION: &str = "journal";
/// For the owner alone: the segments hold prompts.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Why the folder cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the journal in {0} is in use by another process")]
    Locked(PathBuf),
    /// The file system says no.
    #[error("the journal's folder cannot be read or written")]
    Io(#[from] std::io::Error),
    /// A record of a later version, or one that makes no sense although its checksum holds.
    #[error("the journal in {0} holds a record this program cannot read")]
    Unreadable(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The node's identity is no uuid.
    #[error("{0} does not hold a uuid")]
    NodeId(PathBuf),
    /// The recovered settlements could not be written.
    #[error("the journal in {0} cannot be written")]
    Write(PathBuf, #[source] super::Error),
}

/// How far the journal has been carried into the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// Everything before it is settled and booked: reading begins here.
    pub(crate) settled: u64,
    /// Everything before it was read, and booked as far as it was settled.
    pub(crate) read: u64,
}

impl Watermark {
    /// The watermark once everything before the reader's position is booked, as far as it is settled.
    ///
    /// What earlier lives read does not count as settled in this one: it is being read again.
    pub(crate) fn advanced(self, position: u64, oldest_open: Option<u64>) -> Self {
        Self {
            settled: oldest_open.unwrap_or(position).min(position),
            read: position.max(self.read),
        }
    }
}

/// The folder, locked.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    // Held open: the lock ends with it.
    _lock: fs::File,
}

impl Folder {
    /// Makes the folder where it is missing, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(path)?;
        let lock = options().create(true).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
            Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The node's identity, made once.
    pub(crate) fn node(&self, clock: &dyn Clock) -> Result<Id<Node>, OpenError> {
        let path = self.path.join("node-id");
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| OpenError::NodeId(path)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let node = Id::new(clock);
                self.replace_durably("node-id", &format!("{node}\n"))?;
                Ok(node)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The watermark; none where it is missing or unreadable, which only means that more is read again.
    pub(crate) fn watermark(&self) -> Result<Option<Watermark>, std::io::Error> {
        match fs::read_to_string(self.path.join("watermark")) {
            Ok(text) => Ok(Watermark::parse(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the watermark. Not synced: losing it means reading more again; but see [`Folder::sync_watermark`].
    ///
    /// On a full disk it is written over the old one, which needs no room: only when it has moved, segments are removed and
    /// there is room again. Its length never changes, and one that is torn is as good as lost.
    pub(crate) fn set_watermark(&self, watermark: Watermark) -> Result<(), std::io::Error> {
        let text = format!("{:020} {:020}\n", watermark.settled, watermark.read);
        match self.replace("watermark", &text) {
            Err(error) if room::is_lacking(&error) => {
                let mut file = options().open(self.path.join("watermark"))?;
                file.write_all(text.as_bytes())
            }
            replaced => replaced,
        }
    }

    /// Makes the watermark durable, which has to happen before segments are removed on its word.
    pub(crate) fn sync_watermark(&self) -> Result<(), std::io::Error> {
        let watermark = fs::File::open(self.path.join("watermark"))?;
        failpoint::sync(watermark.path())?;
        watermark.sync_all()?;
        self.sync()
    }

    /// The positions of all segments, ascending.
    pub(crate) fn segments(&self) -> Result<Vec<u64>, std::io::Error> {
        let mut starts = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            starts.extend(segment_start(&entry?.path()));
        }
        starts.sort_unstable();
        Ok(starts)
    }

    pub(crate) fn segment_path(&self, start: u64) -> PathBuf {
        self.path.join(format!("{start:020}.{SEGMENT_EXTENSION}"))
    }

    /// Makes a new, empty segment with room for so many bytes, as far as the file system can promise it.
    pub(crate) fn create_segment(
        &self,
        start: u64,
        room_bytes: u64,
    ) -> Result<fs::File, std::io::Error> {
        let file = options().create_new(true).open(self.segment_path(start))?;
        if let Err(error) = room::keep(&file, room_bytes) {
            // Nothing was written to it yet; where removing fails, the next start does it.
            let _ = self.remove_segment(start);
            return Err(error);
        }
        Ok(file)
    }

    /// Makes a segment of what another held behind some damage; replaces one that an earlier attempt left unfinished.
    pub(crate) fn write_segment(&self, start: u64, bytes: &[u8]) -> Result<(), std::io::Error> {
        let name = format!("{start:020}.{SEGMENT_EXTENSION}");
        let path = self.path.join(format!("{name}.new"));
        let mut file = options().create(true).truncate(true).open(&path)?;
        file.write_all(bytes)?;
        failpoint::sync(&path)?;
        file.sync_all()?;
        fs::rename(path, self.path.join(name))?;
        self.sync()
    }

    pub(crate) fn open_segment(&self, start: u64) -> Result<fs::File, std::io::Error> {
        fs::File::open(self.segment_path(start))
    }

    /// Opens a segment of an earlier life, to give back what it does not use.
    pub(crate) fn reopen_segment(&self, start: u64) -> Result<fs::File, std::io::Error> {
        options().open(self.segment_path(start))
    }

    pub(crate) fn remove_segment(&self, start: u64) -> Result<(), std::io::Error> {
        fs::remove_file(self.segment_path(start))
    }

    /// Cuts a segment; what is cut off is kept beside it.
    pub(crate) fn cut_segment(
        &self,
        start: u64,
        length: u64,
        tail: &[u8],
        extension: &str,
    ) -> Result<(), std::io::Error> {
        let path = self.segment_path(start);
        let mut kept = options()
            .create(true)
            .truncate(true)
            .open(path.with_extension(extension))?;
        kept.write_all(tail)?;
        failpoint::sync(kept.path())?;
        kept.sync_all()?;

        let segment = options().open(path)?;
        segment.set_len(length)?;
        segment.sync_all()?;
        self.sync()
    }

    /// Appends to a file of the folder that is not a segment, and syncs it.
    pub(crate) fn append(&self, name: &str, bytes: &[u8]) -> Result<(), std::io::Error> {
        let mut file = options()
            .create(true)
            .append(true)
            .open(self.path.join(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Makes new names in the folder durable.
    pub(crate) fn sync(&self) -> Result<(), std::io::Error> {
        fs::File::open(&self.path)?.sync_all()
    }

    /// Replaces a small file as a whole: a reader finds the old content or the new one.
    fn replace(&self, name: &str, content: &str) -> Result<(), std::io::Error> {
        let new = self.write_new(name, content)?;
        fs::rename(new.path(), self.path.join(name))
    }

    /// The same, safe from a power failure: the content is on disk before the name leads to it.
    fn replace_durably(&self, name: &str, content: &str) -> Result<(), std::io::Error> {
        let new = self.write_new(name, content)?;
        failpoint::sync(new.path())?;
        new.sync_all()?;
        fs::rename(new.path(), self.path.join(name))?;
        self.sync()
    }

    fn write_new(&self, name: &str, content: &str) -> Result<fs::File, std::io::Error> {
        let path = self.path.join(format!("{name}.new"));
        failpoint::write(&path)?;
        let mut file = options().create(true).truncate(true).open(path)?;
        file.write_all(content.as_bytes())?;
        Ok(file)
    }
}

impl Watermark {
    fn parse(text: &str) -> Option<Self> {
        let (settled, read) = text.trim().split_once(' ')?;
        Some(Self {
            settled: settled.parse().ok()?,
            read: read.parse().ok()?,
        })
    }
}

fn options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).mode(FILE_MODE);
    options
}

fn segment_start(path: &Path) -> Option<u64> {
    if path.extension()? != SEGMENT_EXTENSION {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_watermark_never_releases_what_has_not_been_read_again() {
        let known_after_losing_it = Watermark {
            settled: 0,
            read: 2_886,
        };
        let after_the_first_file = known_after_losing_it.advanced(423, None);
        assert_eq!(
            (after_the_first_file.settled, after_the_first_file.read),
            (423, 2_886)
        );
    }

    #[test]
    fn an_open_intent_holds_the_watermark_back() {
        assert_eq!(Watermark::default().advanced(900, Some(300)).settled, 300);
    }
}
