//! Reads the journal from its watermark on: the same way after a restart and while it is written.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use fs_err as fs;
use thiserror::Error;

use super::files::Watermark;
use super::frame::{self, Frame, HEADER_BYTES};
use super::log::Log;
use super::record::{DecodeError, Record};

/// Read at once, in bytes; a larger record makes it more.
const READ_BYTES: u64 = 1024 * 1024;

/// Follows the journal.
#[derive(Debug)]
pub(crate) struct Reader {
    log: Arc<Log>,
    watermark: Watermark,
    position: u64,
    file: Option<(u64, fs::File)>,
}

/// A record with where it stands.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) record: Record,
}

/// Why the journal could not be read on. All but the first mean damage that appeared while the process runs.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    /// Nothing was read, and reading may be tried again.
    #[error("the journal cannot be read")]
    Io(#[from] io::Error),
    /// The reader panicked, or the runtime ends.
    #[error("the journal's reader ended")]
    Ended,
    #[error("the journal is damaged at position {0}")]
    Damaged(u64),
    #[error("the journal holds an unreadable record")]
    Record(#[from] DecodeError),
}

impl Reader {
    pub(super) const fn new(log: Arc<Log>, watermark: Watermark) -> Self {
        Self {
            log,
            watermark,
            position: watermark.settled,
            file: None,
        }
    }

    /// Where reading began.
    pub(crate) const fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// Everything before it was read.
    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// The next records, about a megabyte of them; none when everything written was read. Blocks.
    pub(crate) fn read(&mut self) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::new();
        loop {
            let (start, next) = self.log.segment_of(self.position);
            let bytes = self.chunk(start, READ_BYTES)?;
            self.decode(start, bytes, &mut entries)?;
            match next {
                // A finished file that has nothing more: on to the next. It may begin later than this one ends.
                Some(next) if entries.is_empty() => self.position = next,
                _ => return Ok(entries),
            }
        }
    }

    fn decode(
        &mut self,
        start: u64,
        mut bytes: Vec<u8>,
        entries: &mut Vec<Entry>,
    ) -> Result<(), ReadError> {
        let mut offset = 0;
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            match frame::read(rest) {
                Frame::Whole {
                    payload,
                    bytes: length,
                } => {
                    entries.push(Entry {
                        position: self.position,
                        record: Record::decode(payload)?,
                    });
                    self.position += length as u64;
                    offset += length;
                }
                Frame::Partial { needed } if offset == 0 => {
                    let more = self.chunk(start, needed.max(HEADER_BYTES) as u64)?;
                    if more.len() <= bytes.len() {
                        return Err(ReadError::Damaged(self.position));
                    }
                    bytes = more;
                }
                Frame::Partial { .. } => break,
                Frame::Damaged => return Err(ReadError::Damaged(self.position)),
            }
        }
        Ok(())
    }

    /// Bytes from the position on, of one file, of what is known to be written.
    fn chunk(&mut self, start: u64, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        let available = self.log.written().saturating_sub(self.position);
        let length = usize::try_from(available.min(bytes_max)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        let offset = self.position - start;
        let file = self.file(start)?;
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn file(&mut self, start: u64) -> Result<&std::fs::File, io::Error> {
        if self.file.as_ref().is_none_or(|(open, _)| *open != start) {
            self.file = Some((start, self.log.folder.open_segment(start)?));
        }
        match &self.file {
            Some((_, file)) => Ok(file.file()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
