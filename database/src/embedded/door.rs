//! How a server is reached: its socket and its passwords, all in its folder.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Error;
use super::files::{password, private_folder};
use super::identity::Identity;
use super::orphan::LockFile;
use crate::{Options, Url};

/// PostgreSQL's name for the socket, with the slash before it.
const SOCKET_NAME: &str = "/.s.PGSQL.5432";

/// The kernel's limit is 104 bytes on some systems and 108 on others; this leaves room for both.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// The superuser, used for migrations only.
pub(super) const SUPERUSER: &str = "postgres";

/// The login role the gateway serves with, and its database.
pub(super) const LOGIN: &str = "flowpilot";

/// The socket and the passwords of one server.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) socket_folder: PathBuf,
    pub(super) superuser_password: String,
    pub(super) login_password: String,
}

/// The way to a server that another of our processes runs on this folder; none if none does.
///
/// For commands that are run beside a serving gateway.
pub fn attach(folder: &Path) -> Result<Option<Options>, Error> {
    let Ok(lock) = fs_err::File::open(folder.join("lock")) else {
        return Ok(None);
    };
    if !matches!(lock.into_file().try_lock(), Err(TryLockError::WouldBlock)) {
        return Ok(None);
    }
    let folder = fs_err::canonicalize(folder)?;
    if !LockFile::read(&folder.join("data")).is_some_and(|server| server.ready) {
        return Ok(None);
    }
    let door = Door::open(&folder, Identity::choose()?)?;
    Ok(Some(Options {
        owner_url: Some(door.admin()?),
        ..Options::new(door.app()?)
    }))
}

impl Door {
    /// Opens it, and makes what is missing of it.
    pub(super) fn open(folder: &Path, identity: Identity) -> Result<Self, Error> {
        Ok(Self {
            socket_folder: socket_folder(folder, identity)?,
            superuser_password: password(&folder.join("superuser-password"))?,
            login_password: password(&folder.join("login-password"))?,
        })
    }

    /// The address to serve with.
    pub(super) fn app(&self) -> Result<Url, Error> {
        self.url(LOGIN, &self.login_password, LOGIN)
    }

    /// The superuser's address on the same database.
    pub(super) fn admin(&self) -> Result<Url, Error> {
        self.url(SUPERUSER, &self.superuser_password, LOGIN)
    }

    /// The superuser's address before that database exists.
    pub(super) fn maintenance(&self) -> Result<Url, Error> {
        self.url(SUPERUSER, &self.superuser_password, "postgres")
    }

    fn url(&self, user: &str, password: &str, database: &str) -> Result<Url, Error> {
        let path = self.socket_folder.to_str().ok_or_else(|| Error::Path {
            path: self.socket_folder.clone(),
        })?;
        let host = percent_encoded(path);
        format!("postgres://{user}:{password}@localhost:5432/{database}?host={host}")
            .parse()
            .map_err(Error::Bootstrap)
    }
}

/// The folder of the socket: ours, or a short one when its path would be too long for a socket.
fn socket_folder(folder: &Path, identity: Identity) -> Result<PathBuf, Error> {
    let mut place = folder.join("run");
    if place.as_os_str().len() + SOCKET_NAME.len() > SOCKET_PATH_BYTES_MAX {
        let hash = Sha256::digest(folder.as_os_str().as_encoded_bytes());
        let name = hex::encode(hash.get(..8).unwrap_or_default());
        place = Path::new("/tmp").join(format!("flowpilot-{name}"));
    }
    private_folder(&place, identity)?;
    Ok(place)
}

/// A path as a value in an address.
fn percent_encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}
