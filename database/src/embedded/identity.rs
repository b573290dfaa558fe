//! Which user the server runs as: ourselves, or someone without rights when we are root.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, chown, geteuid};

use super::Error;

/// Users a root process gives the server to, in the order they are looked for.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// The user the server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// Whoever we are.
    Ourselves,
    /// Someone else, because we are root.
    Other { uid: Uid, gid: Gid },
}

impl Identity {
    /// Decides by who we are.
    pub(super) fn choose() -> Result<Self, Error> {
        if !geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        USERS
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self::Other {
                uid: user.uid,
                gid: user.gid,
            })
            .ok_or(Error::NoUser)
    }

    /// The uid the server will have.
    pub(super) fn uid(self) -> Uid {
        match self {
            Self::Ourselves => geteuid(),
            Self::Other { uid, .. } => uid,
        }
    }

    /// Gives a file or folder to the server.
    pub(super) fn own(self, path: &Path) -> Result<(), Error> {
        if let Self::Other { uid, gid } = self {
            chown(path, Some(uid), Some(gid)).map_err(std::io::Error::from)?;
        }
        Ok(())
    }

    /// Has a command run as the server's user, without our supplementary groups.
    pub(super) fn apply(self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
    }
}
