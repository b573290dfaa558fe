//! The text of a key: `fp_<public>_<secret>_<checksum>`, and the hash it is known by.
//!
//! The public part names the key to people and is stored in the clear. The secret part has 190
//! random bits, so one SHA-256 is enough to store it safely: there is nothing to guess faster.
//! The checksum catches typing mistakes, cut copies and made-up keys without asking the database.
//! Imported keys may be any text; they are known by their hash alone.

use std::fmt;

use rand::distr::{Alphanumeric, SampleString};
use rand::{CryptoRng, Rng};
use sha2::{Digest, Sha256};

/// What every key made here begins with; secret scanners can look for it.
pub const PREFIX: &str = "fp_";

/// Letters and digits of the public part: the width of `api_keys.key_prefix` allows it.
pub const PUBLIC_LENGTH: usize = 8;

/// Letters and digits of the secret part: 32 × 5.95 = 190 bits, more than the 128 needed.
pub const SECRET_LENGTH: usize = 32;

/// Digits of the checksum: 62^6 is the first power that holds 32 bits.
const CHECKSUM_LENGTH: usize = 6;

/// The longest text that is looked at, in bytes; imported keys may have that many.
pub const KEY_BYTES_MAX: usize = 1024;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The SHA-256 of a key's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash([u8; 32]);

/// A key's text. It prints as `***`; whoever shows it says [`KeyText::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

/// A key that was just made: the only moment its text is known.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The text, to be shown once.
    pub text: KeyText,
    /// What identifies it to people: `api_keys.key_prefix`.
    pub prefix: String,
    /// What is stored: `api_keys.key_hash`.
    pub hash: KeyHash,
}

/// Why a text cannot be imported as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// An HTTP header cannot carry it, or it is too easy to guess.
    #[error(
        "an imported key has 16 to 1024 visible ASCII characters, and spaces only between them"
    )]
    Unusable,
    /// It looks like one of ours but its checksum says that it was mistyped.
    #[error("the key begins with fp_ but its checksum is wrong")]
    Checksum,
}

/// The fewest characters of an imported key: below, it could be guessed.
const IMPORTED_LENGTH_MIN: usize = 16;

impl NewKey {
    /// Makes a key from a secure source of randomness.
    pub fn generate<R: Rng + CryptoRng>(random: &mut R) -> Self {
        let public = Alphanumeric.sample_string(random, PUBLIC_LENGTH);
        let secret = Alphanumeric.sample_string(random, SECRET_LENGTH);
        let body = format!("{PREFIX}{public}_{secret}");
        let text = format!("{body}_{}", checksum(&body));
        Self {
            hash: KeyHash::of(&text),
            text: KeyText(text),
            prefix: public,
        }
    }

    /// Takes over a key that was made elsewhere.
    pub fn import(text: &str) -> Result<Self, ImportError> {
        let visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let fits = (IMPORTED_LENGTH_MIN..=KEY_BYTES_MAX).contains(&text.len());
        if !visible || !fits || text.trim() != text {
            return Err(ImportError::Unusable);
        }
        if is_mistyped(text) {
            return Err(ImportError::Checksum);
        }
        let hash = KeyHash::of(text);
        let prefix = public_part(text).map_or_else(
            || hash.to_string().chars().take(PUBLIC_LENGTH).collect(),
            str::to_owned,
        );
        Ok(Self {
            text: KeyText(text.to_owned()),
            prefix,
            hash,
        })
    }
}

/// Whether the text claims to be one of our keys but cannot be: refused without a look-up.
pub fn is_mistyped(text: &str) -> bool {
    text.starts_with(PREFIX) && public_part(text).is_none()
}

/// The public part of a key whose checksum is right.
fn public_part(text: &str) -> Option<&str> {
    let (body, given) = text.rsplit_once('_')?;
    let (public, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
    let shaped = public.len() == PUBLIC_LENGTH
        && secret.len() == SECRET_LENGTH
        && given.as_bytes() == digits(crc32c::crc32c(body.as_bytes()));
    shaped.then_some(public)
}

fn checksum(body: &str) -> String {
    let digits = digits(crc32c::crc32c(body.as_bytes()));
    digits.into_iter().map(char::from).collect()
}

/// A number in base 62, with leading zeros.
fn digits(mut number: u32) -> [u8; CHECKSUM_LENGTH] {
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        let value = usize::try_from(number % 62).unwrap_or(0);
        *digit = BASE62.get(value).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits
}

impl KeyText {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl KeyHash {
    /// The hash of a key's text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits, as in `api_keys.key_hash`.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

/// 64 hexadecimal digits, as in `api_keys.key_hash`.
impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        // 32 bytes are 64 digits, and digits are text.
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Not the hash: a log line needs none.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_any_character_changed_is_refused_without_a_look_up() {
        let key = NewKey::generate(&mut rand::rng());
        let text = key.text.expose();
        assert!(!is_mistyped(text));
        assert_eq!(public_part(text), Some(key.prefix.as_str()));

        for place in PREFIX.len()..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[place] = if changed[place] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(is_mistyped(&changed), "{changed}");
        }
        assert!(is_mistyped(&text[..text.len() - 1]));
    }

    #[test]
    fn an_imported_key_may_be_any_text_that_a_header_can_carry() {
        let key = NewKey::import("team alpha: correct horse battery").unwrap();
        assert_eq!(key.hash, KeyHash::of("team alpha: correct horse battery"));
        assert_eq!(key.prefix, key.hash.to_string()[..8]);

        assert_eq!(NewKey::import("short").unwrap_err(), ImportError::Unusable);
        let bad = "fp_abcdefgh_this_is_no_key_of_ours";
        assert_eq!(NewKey::import(bad).unwrap_err(), ImportError::Checksum);
        let long = "x".repeat(KEY_BYTES_MAX + 1);
        assert_eq!(NewKey::import(&long).unwrap_err(), ImportError::Unusable);
    }

    #[test]
    fn a_hash_reads_back_from_its_column() {
        let hash = KeyHash::of("key");
        assert_eq!(KeyHash::from_hex(&hash.to_string()), Some(hash));
    }
}
