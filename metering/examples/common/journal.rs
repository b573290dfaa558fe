//! A journal of one's own.

use std::path::Path;
use std::sync::Arc;

use metering::Journal;
use metering::journal::{Durability, Options};
use types::SystemClock;

/// Opens one in this folder, which does not lack room.
pub(crate) async fn open(
    folder: &Path,
    durability: Durability,
) -> Result<Journal, Box<dyn std::error::Error>> {
    let options = Options {
        folder: folder.to_owned(),
        durability,
        segment_bytes_max: 64 << 20,
        journal_bytes_max: 10 << 30,
    };
    let opening =
        tokio::task::spawn_blocking(move || Journal::open(&options, Arc::new(SystemClock)));
    Ok(opening.await??)
}
