//! One record in a file: `[u32 length][u32 crc32c of the payload][payload]`, little-endian.
//!
//! A length of zero is never written, so that a file's tail of zeros, as a power failure can leave it, is no record.

/// Length and checksum, in bytes.
pub(crate) const HEADER_BYTES: usize = 8;

/// The largest payload: several texts at their limit and many labels still fit. A longer length is damage.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes whose checksums are computed at most to find the next frame after damage: a second's work or so. Texts hold no
/// zero bytes and so no lengths; only damage that looks like thousands of long frames gets there.
const CHECKED_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024;

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A whole record.
    Whole {
        payload: &'a [u8],
        /// Of the frame with its header.
        bytes: usize,
    },
    /// The beginning of one; so many bytes are needed in all.
    Partial { needed: usize },
    /// None of ours.
    Damaged,
}

/// Begins a frame at the end of a buffer; the payload is to be appended, then [`finish`] called.
pub(crate) fn begin(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    start
}

/// Fills in length and checksum. `None` where the payload is empty or too large.
pub(crate) fn finish(buffer: &mut [u8], start: usize) -> Option<()> {
    let (header, payload) = buffer
        .get_mut(start..)?
        .split_first_chunk_mut::<HEADER_BYTES>()?;
    if payload.is_empty() || payload.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let (length, checksum) = header.split_first_chunk_mut::<4>()?;
    *length = u32::try_from(payload.len()).ok()?.to_le_bytes();
    checksum.copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    Some(())
}

/// What follows some damage: the bytes before the next whole frame, and those from it on. `None` where none follows.
///
/// Where the damaged frame's own length still leads to a whole one, that is it; otherwise it is looked for byte by byte.
pub(crate) fn next_whole(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut checked = 0;
    let claimed = claimed(bytes).into_iter();
    claimed.chain(1..bytes.len()).find_map(|offset| {
        let (lost, rest) = bytes.split_at_checked(offset)?;
        checked += self::claimed(rest).filter(|length| *length <= rest.len())?;
        let is_whole = checked <= CHECKED_BYTES_MAX && matches!(read(rest), Frame::Whole { .. });
        is_whole.then_some((lost, rest))
    })
}

/// How long the frame says it is, if a frame could be.
fn claimed(bytes: &[u8]) -> Option<usize> {
    let length = usize::try_from(u32::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    (1..=PAYLOAD_BYTES_MAX)
        .contains(&length)
        .then_some(HEADER_BYTES + length)
}

/// Reads the frame that the bytes begin with.
pub(crate) fn read(bytes: &[u8]) -> Frame<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Frame::Partial {
            needed: HEADER_BYTES,
        };
    };
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *header;
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if length == 0 || length > PAYLOAD_BYTES_MAX {
        return Frame::Damaged;
    }
    let bytes = HEADER_BYTES + length;
    match rest.get(..length) {
        None => Frame::Partial { needed: bytes },
        Some(payload) if crc32c::crc32c(payload) == u32::from_le_bytes([c0, c1, c2, c3]) => {
            Frame::Whole { payload, bytes }
        }
        Some(_) => Frame::Damaged,
    }
}
