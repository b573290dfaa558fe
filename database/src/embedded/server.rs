//! A handle on the embedded server; it belongs to no runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use tokio::sync::oneshot;

use super::supervisor::{self, Addresses, Stop};
use super::{Error, ServerOptions};
use crate::{Options, Url};

/// A running embedded server. Dropping it stops the server without waiting for its end.
#[derive(Debug)]
pub struct Server {
    stops: Sender<Stop>,
    process_id: Arc<AtomicI32>,
    addresses: Addresses,
}

impl Server {
    /// Starts the server, on the first start after making its folder.
    ///
    /// A server that dies is started again. When this process ends, the server ends.
    pub async fn start(options: ServerOptions) -> Result<Self, Error> {
        let (stops, requests) = mpsc::channel();
        let (started, result) = oneshot::channel();
        let process_id = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&process_id);
        thread::Builder::new()
            .name("database-server".to_owned())
            .spawn(move || supervisor::run(options, &seen, started, &requests))?;
        let addresses = result.await.map_err(|_| Error::Unwatched)??;
        Ok(Self {
            stops,
            process_id,
            addresses,
        })
    }

    /// The address to serve with: a login role that can become the application and worker roles.
    pub fn app_url(&self) -> &Url {
        &self.addresses.app
    }

    /// The superuser's address on the same database: for migrations.
    pub fn admin_url(&self) -> &Url {
        &self.addresses.admin
    }

    /// The options for [`crate::Database::connect`] and the migrations.
    pub fn options(&self) -> Options {
        Options {
            owner_url: Some(self.addresses.admin.clone()),
            ..Options::new(self.addresses.app.clone())
        }
    }

    /// The server's process; none while it is being started again.
    pub fn process_id(&self) -> Option<i32> {
        Some(self.process_id.load(Ordering::Acquire)).filter(|id| *id != 0)
    }

    /// Stops the server and waits for its end. Open transactions are rolled back.
    pub async fn stop(self) -> Result<(), Error> {
        let (request, stopped) = oneshot::channel();
        self.stops.send(request).map_err(|_| Error::Unwatched)?;
        stopped.await.map_err(|_| Error::Unwatched)
    }
}
