//! What a client says about its request beside the body: how the cache is to be used, what the request is for, and which
//! conversation it belongs to.

use http::HeaderMap;
use metering::Attribution;

use crate::attribution;
use crate::error::Error;
use crate::once;
use crate::route::session;

/// Read from the headers, which are the same in every dialect.
#[derive(Debug, Clone)]
pub(crate) struct Directions {
    /// What may be done with the cache.
    pub(crate) cache: cache::Control,
    /// What the request is for.
    pub(crate) attribution: Attribution,
    /// The conversation it belongs to, where the client says so.
    pub(crate) session: Option<u64>,
    /// The client's name for the call, by which it is answered once.
    pub(crate) key: Option<once::Key>,
}

impl Directions {
    /// Reads the headers; what is said in a wrong form is an error rather than overheard.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, Error> {
        let cache = cache::Control::from_headers(headers)
            .map_err(|error| Error::invalid(error.to_string(), None))?;
        Ok(Self {
            cache,
            attribution: attribution::from_headers(headers)?,
            session: session::from_headers(headers),
            key: once::Key::from_headers(headers)?,
        })
    }
}
