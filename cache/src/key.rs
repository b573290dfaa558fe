//! What makes two calls the same: a SHA-256 over everything that can change the answer.
//!
//! The organization is hashed with the call, so that no two organizations can ever share a key, whatever
//! they ask. Left out is what only changes how the answer is delivered, booked or labelled: the
//! module `canonical` has the list and the reasons. Two hashes come from one pass: the *fingerprint* covers
//! everything but the last text of the user, the *key* covers that too.

mod canonical;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use types::Id;
use types::call::Call;
use types::id::Organization;

use self::canonical::Canonical;

/// Small pieces of JSON are gathered before they are hashed; longer texts pass the buffer by. Bytes.
const BUFFER_BYTES: usize = 1024;

/// The identity of a call inside one organization. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    organization: Id<Organization>,
    model: Arc<str>,
    hash: Hash,
    fingerprint: Hash,
    reusable: bool,
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Key {
    /// The key of a call that `organization` makes and that `model` will answer.
    ///
    /// `model` is the name after aliases are resolved and independent of the provider, so that an answer is
    /// found again when an alias changes its name but not when it changes its target.
    pub fn of(call: &Call, organization: Id<Organization>, model: &str) -> Self {
        let canonical = Canonical::of(call, organization, model);
        let mut prefix = BufWriter::with_capacity(BUFFER_BYTES, Hasher::default());
        // Nothing here can fail: the hasher takes every byte and all map keys are strings. Were that ever
        // to change, a key that covers too little must not be used.
        let whole = serde_json::to_writer(&mut prefix, &canonical).is_ok();
        let prefix = prefix.into_inner().unwrap_or_default();

        let mut full = prefix.clone();
        full.0.update(canonical.last_user_text().as_bytes());
        Self {
            organization,
            model: model.into(),
            hash: full.finish(),
            fingerprint: prefix.finish(),
            reusable: whole && canonical::is_reusable(call),
        }
    }

    /// The organization it belongs to.
    pub const fn organization(&self) -> Id<Organization> {
        self.organization
    }

    /// The model, as it was given.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The hash of everything: `semantic_cache.prompt_hash`.
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// The hash of everything but the last text of the user: `semantic_cache.fingerprint`.
    pub const fn fingerprint(&self) -> Hash {
        self.fingerprint
    }

    /// The hash of the call with another last text of the user; never that of a whole call.
    pub(crate) fn with_text(&self, text: &str) -> Hash {
        let mut hasher = Hasher::default();
        hasher.0.update(b"normalized\0");
        hasher.0.update(self.fingerprint.0);
        hasher.0.update(text.as_bytes());
        hasher.finish()
    }

    /// Whether an answer to the call may be given to the same call again.
    ///
    /// It may not where the call depends on state that the provider keeps, or asks for something that
    /// [`types::reply::Answer`] cannot hold.
    pub const fn is_reusable(&self) -> bool {
        self.reusable
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}/{}/{})", self.organization, self.model, self.hash)
    }
}

impl Hash {
    /// Reads what the columns hold.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The first 64 bits, which are enough to say that a key is *not* known.
    pub(crate) fn short(self) -> u64 {
        let mut first = [0; 8];
        first
            .iter_mut()
            .zip(self.0)
            .for_each(|(to, from)| *to = from);
        u64::from_be_bytes(first)
    }
}

/// 64 lower-case hexadecimal digits, as the columns hold them.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        // 32 bytes are 64 digits, and digits are text.
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes what is written to it.
#[derive(Debug, Default, Clone)]
struct Hasher(Sha256);

impl Hasher {
    fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
