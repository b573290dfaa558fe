//! What the client says about the cache, in its request headers.
//!
//! `x-flowpilot-cache: off | exact | semantic | refresh` is ours; `Cache-Control` has the meaning of RFC 9111, section 5.2.1.
//! Both can only take away: the caller's permissions and the operator's settings stand above them.

use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_CONTROL;

/// Our own header.
pub const HEADER: &str = "x-flowpilot-cache";

/// What may be done with the cache for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// Whether a stored answer will do.
    pub read: bool,
    /// Whether the answer to a call of the same meaning will do.
    pub semantic: bool,
    /// Whether the answer may be stored.
    pub write: bool,
    /// The oldest answer that will do; absent means any that has not expired.
    pub age_max: Option<Duration>,
}

/// A value of [`HEADER`] that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{HEADER} must be off, exact, semantic or refresh")]
pub struct UnknownControl;

impl Control {
    /// Read and write: what a request without any header means.
    pub const ALL: Self = Self {
        read: true,
        semantic: true,
        write: true,
        age_max: None,
    };

    /// Neither.
    pub const OFF: Self = Self {
        read: false,
        semantic: false,
        write: false,
        age_max: None,
    };

    /// Reads both headers.
    ///
    /// An unknown word in our own header is an error, so that a mistyped `off` is not served from the cache;
    /// unknown directives of `Cache-Control` are ignored, as its definition demands.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, UnknownControl> {
        let mut control = match headers.get(HEADER).map(http::HeaderValue::as_bytes) {
            None => Self::ALL,
            Some(word) if word.eq_ignore_ascii_case(b"exact") => Self {
                semantic: false,
                ..Self::ALL
            },
            Some(word) if word.eq_ignore_ascii_case(b"semantic") => Self::ALL,
            Some(word) if word.eq_ignore_ascii_case(b"off") => Self::OFF,
            Some(word) if word.eq_ignore_ascii_case(b"refresh") => Self {
                read: false,
                ..Self::ALL
            },
            Some(_) => return Err(UnknownControl),
        };
        for value in headers.get_all(CACHE_CONTROL) {
            let directives = value.to_str().unwrap_or_default().split(',');
            directives.for_each(|directive| control.apply(directive.trim()));
        }
        Ok(control)
    }

    fn apply(&mut self, directive: &str) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        if name.eq_ignore_ascii_case("no-cache") {
            self.read = false;
        } else if name.eq_ignore_ascii_case("no-store") {
            self.write = false;
        } else if name.eq_ignore_ascii_case("max-age") {
            // RFC 9111, section 4.2.1: what cannot be read is to be taken as stale.
            let seconds = value.trim_matches('"').parse().unwrap_or(0);
            self.read &= seconds > 0;
            self.age_max = Some(Duration::from_secs(seconds));
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], expected: Result<Control, UnknownControl>) {
        let map = headers.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, http::HeaderValue::from_static(value))
        });
        assert_eq!(
            Control::from_headers(&map.collect()),
            expected,
            "{headers:?}"
        );
    }

    #[test]
    fn headers_say_what_may_be_read_and_written() {
        let fresh = Control {
            read: false,
            ..Control::ALL
        };
        let unstored = Control {
            write: false,
            ..Control::ALL
        };
        let minute = Control {
            age_max: Some(Duration::from_mins(1)),
            ..Control::ALL
        };

        check(&[], Ok(Control::ALL));
        let exact = Control {
            semantic: false,
            ..Control::ALL
        };
        check(&[("x-flowpilot-cache", "exact")], Ok(exact));
        check(&[("x-flowpilot-cache", "semantic")], Ok(Control::ALL));
        check(&[("x-flowpilot-cache", "OFF")], Ok(Control::OFF));
        check(&[("x-flowpilot-cache", "refresh")], Ok(fresh));
        check(&[("x-flowpilot-cache", "of")], Err(UnknownControl));
        check(&[("cache-control", "no-cache")], Ok(fresh));
        check(&[("cache-control", "No-Store, foo=1")], Ok(unstored));
        check(&[("cache-control", "max-age=60")], Ok(minute));
    }

    #[test]
    fn an_age_of_zero_or_one_that_cannot_be_read_reads_nothing() {
        for value in ["max-age=0", "max-age=soon", "max-age"] {
            let map = [(CACHE_CONTROL, http::HeaderValue::from_static(value))];
            let control = Control::from_headers(&map.into_iter().collect());
            assert!(!control.unwrap().read, "{value}");
        }
    }
}
