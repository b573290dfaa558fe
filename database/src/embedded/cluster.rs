//! The server's folder: data, socket, passwords and log, and how they come to be.
//!
//! The folder belongs to us; `data` and the socket's folder belong to the server's user. The data
//! folder appears by one rename when it is complete, so that a kill in between leaves no half of it.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs_err::File;

use super::door::{Door, SUPERUSER};
use super::files::{private_file, private_folder};
use super::identity::Identity;
use super::launch::bare_command;
use super::{Durability, Error, ServerOptions};

/// How much of the log an error shows.
const LOG_TAIL_BYTES: i64 = 2_000;

/// The folder with what is in it.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) options: ServerOptions,
    pub(super) identity: Identity,
    pub(super) door: Door,
}

impl Cluster {
    /// Opens the folder, and makes what is missing in it. The caller holds the folder's lock.
    pub(super) fn open(options: ServerOptions) -> Result<Self, Error> {
        let identity = Identity::choose()?;
        let cluster = Self {
            door: Door::open(&options.folder, identity)?,
            options,
            identity,
        };
        cluster.check_version()?;
        if !cluster.data().is_dir() {
            cluster.initialize()?;
        }
        Ok(cluster)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.options.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.options.folder.join("server.log")
    }

    /// What the server is started with.
    pub(super) fn arguments(&self) -> Vec<String> {
        let ServerOptions {
            connections_max,
            shared_buffers_mb,
            durability,
            ..
        } = self.options;
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            format!(
                "unix_socket_directories={}",
                self.door.socket_folder.display()
            ),
            "unix_socket_permissions=0700".to_owned(),
            format!("max_connections={connections_max}"),
            format!("shared_buffers={shared_buffers_mb}MB"),
            // Vector indexes are built in this much memory.
            "maintenance_work_mem=128MB".to_owned(),
            // Statements are short; compiling them costs more than it saves.
            "jit=off".to_owned(),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
            // Errors go to the client. A statement or a row in the log would be a prompt in the log.
            "log_min_messages=log".to_owned(),
            "log_min_error_statement=panic".to_owned(),
            "log_error_verbosity=terse".to_owned(),
            "log_checkpoints=off".to_owned(),
        ];
        if durability == Durability::Throwaway {
            let off = [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
            ];
            settings.extend(off.map(str::to_owned));
        }
        let mut arguments = vec!["-D".to_owned(), self.data().display().to_string()];
        for setting in settings {
            arguments.extend(["-c".to_owned(), setting]);
        }
        arguments
    }

    /// A log that starts afresh; the one before is kept beside it.
    pub(super) fn open_log(&self) -> Result<std::fs::File, Error> {
        if self.log().exists() {
            fs_err::rename(self.log(), self.options.folder.join("server.log.1"))?;
        }
        Ok(private_file(&self.log())?.into_file())
    }

    /// The end of the log, for an error.
    pub(super) fn log_tail(&self) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(self.log())?;
            let bytes = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
            file.seek(SeekFrom::End(-bytes.min(LOG_TAIL_BYTES)))?;
            let mut tail = Vec::new();
            file.read_to_end(&mut tail)?;
            Ok(String::from_utf8_lossy(&tail).trim().to_owned())
        };
        read().unwrap_or_else(|error| error.to_string())
    }

    fn check_version(&self) -> Result<(), Error> {
        let server = self.options.binaries.major_version()?;
        let data = match fs_err::read_to_string(self.data().join("PG_VERSION")) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if data == server {
            return Ok(());
        }
        Err(Error::Version {
            folder: self.options.folder.clone(),
            data,
            server,
        })
    }

    fn initialize(&self) -> Result<(), Error> {
        let partial = self.options.folder.join("data.partial");
        if partial.exists() {
            fs_err::remove_dir_all(&partial)?;
        }
        private_folder(&partial, self.identity)?;
        let password_file = self.options.folder.join("initdb-password");
        private_file(&password_file)?.write_all(self.door.superuser_password.as_bytes())?;
        self.identity.own(&password_file)?;

        let result = self.initdb(&partial, &password_file);
        fs_err::remove_file(&password_file)?;
        result?;
        fs_err::rename(&partial, self.data())?;
        File::open(&self.options.folder)?.sync_all()?;
        Ok(())
    }

    fn initdb(&self, data: &Path, password_file: &Path) -> Result<(), Error> {
        let mut command = bare_command(&self.options.binaries.program("initdb"));
        command
            .arg("-D")
            .arg(data)
            .arg(format!("--username={SUPERUSER}"))
            .arg(format!("--pwfile={}", password_file.display()))
            .args(["--auth=scram-sha-256", "--encoding=UTF8"]);
        // The built-in locale sorts the same on every machine; it came with PostgreSQL 17.
        let version = self.options.binaries.major_version()?;
        if version.parse::<u32>().is_ok_and(|version| version >= 17) {
            command.args(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
        }
        command.arg("--locale=C.UTF-8");
        if self.options.durability == Durability::Throwaway {
            command.arg("--no-sync");
        }
        self.identity.apply(&mut command);
        let output = command.output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(Error::Initdb {
            output: String::from_utf8_lossy(&said).trim().to_owned(),
        })
    }
}
