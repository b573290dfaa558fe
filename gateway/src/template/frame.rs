//! How the gateway and a worker talk: one JSON document after the other, each behind its length.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest document, in bytes: the largest variables and sources are far below it, with their escapes.
const FRAME_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// A document with its length in front.
pub(crate) fn encode(document: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; size_of::<u32>()];
    serde_json::to_writer(&mut frame, document)?;
    let length = u32::try_from(frame.len() - size_of::<u32>()).map_err(io::Error::other)?;
    if length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    if let Some((head, _)) = frame.split_first_chunk_mut() {
        *head = length.to_le_bytes();
    }
    Ok(frame)
}

/// The next document; `None` at the end.
pub(crate) fn read<T: DeserializeOwned>(source: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0; size_of::<u32>()];
    match source.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut body = vec![0; checked(head)?];
    source.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

/// Writes a document.
pub(crate) fn write(sink: &mut impl Write, document: &impl Serialize) -> io::Result<()> {
    sink.write_all(&encode(document)?)?;
    sink.flush()
}

/// The next document, of a process that may end at any time.
pub(crate) async fn receive<T: DeserializeOwned>(
    source: &mut (impl AsyncRead + Unpin),
) -> io::Result<T> {
    let mut head = [0; size_of::<u32>()];
    source.read_exact(&mut head).await?;
    let mut body = vec![0; checked(head)?];
    source.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

fn checked(head: [u8; size_of::<u32>()]) -> io::Result<usize> {
    let length = u32::from_le_bytes(head);
    if length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    usize::try_from(length).map_err(io::Error::other)
}
