//! Turns the numbers of a file into the types of a section: durations, and limits where 0 means none.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A `_ms` key.
pub(crate) fn milliseconds<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    u64::deserialize(source).map(Duration::from_millis)
}

/// A `_s` key.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    u64::deserialize(source).map(Duration::from_secs)
}

/// A `_hours` key.
pub(crate) fn hours<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    u32::deserialize(source).map(|hours| Duration::from_hours(hours.into()))
}

/// A count where 0 means that there is no limit.
pub(crate) fn limit<'de, D: Deserializer<'de>>(source: D) -> Result<Option<NonZeroU32>, D::Error> {
    u32::deserialize(source).map(NonZeroU32::new)
}

/// A `_ms` key where 0 means that nothing is said.
pub(crate) fn timeout<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Duration>, D::Error> {
    let time = milliseconds(source)?;
    Ok((!time.is_zero()).then_some(time))
}

/// A path, or nothing where the text is empty.
pub(crate) fn path<'de, D: Deserializer<'de>>(source: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(source)?;
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

/// An address, or nothing where the text is empty.
pub(crate) fn address<'de, D>(source: D) -> Result<Option<SocketAddr>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(source)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(D::Error::custom)
}

/// A base URL without the slash at its end, so that a path can be appended.
pub(crate) fn base_url<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    let text = String::deserialize(source)?;
    Ok(text.trim_end_matches('/').to_owned())
}
