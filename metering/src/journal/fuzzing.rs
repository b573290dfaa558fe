//! Reads any bytes as a journal's file is read at a start; compiled for tests and for the fuzzer alone.

use super::frame::{self, Frame};
use super::record::Record;

/// What the bytes hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Records that can be read.
    pub records: usize,
    /// Whole frames whose checksum holds, and which are no records of this version.
    pub unreadable: usize,
    /// Bytes of no frame.
    pub lost_bytes: usize,
}

/// Reads all of it. Each byte is accounted for, and what is read is written again as the same.
pub fn read(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    let mut whole_bytes = 0;
    let mut rest = bytes;
    while !rest.is_empty() {
        if let Frame::Whole {
            payload,
            bytes: length,
        } = frame::read(rest)
        {
            found.take(payload);
            whole_bytes += length;
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        let (lost, next) = frame::next_whole(rest).unwrap_or((rest, &[]));
        assert!(
            !lost.is_empty(),
            "no progress with {} bytes left",
            rest.len()
        );
        found.lost_bytes += lost.len();
        rest = next;
    }
    assert_eq!(whole_bytes + found.lost_bytes, bytes.len());
    found
}

impl Found {
    fn take(&mut self, payload: &[u8]) {
        let Ok(record) = Record::decode(payload) else {
            self.unreadable += 1;
            return;
        };
        let mut again = Vec::new();
        let encoded = record.encode(&mut again).map(|()| Record::decode(&again));
        assert!(
            matches!(&encoded, Ok(Ok(same)) if *same == record),
            "{record:?} is read as {encoded:?}"
        );
        self.records += 1;
    }
}
