//! A wire between the gateway and its database that a test can cut.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use url::Url;

/// The wire, on a port of its own.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    connected: watch::Sender<bool>,
    _task: AbortOnDropHandle<()>,
}

/// Where the database really is.
#[derive(Debug, Clone)]
enum Place {
    Socket(String),
    Address(String),
}

impl Relay {
    /// Listens for connections to the database at this address.
    pub(crate) async fn start(database_url: &str) -> Self {
        let place = Place::of(&database_url.parse().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connected, state) = watch::channel(true);
        let tasks = TaskTracker::new();
        let task = tasks.spawn(serve(listener, place, state));
        Self {
            address,
            connected,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The database's address by way of this wire.
    pub(crate) fn url(&self, database_url: &str) -> String {
        let mut url: Url = database_url.parse().unwrap();
        url.set_query(None);
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    /// Breaks every connection and takes no further ones.
    pub(crate) fn cut(&self) {
        self.connected.send_replace(false);
    }

    /// Takes connections again.
    pub(crate) fn mend(&self) {
        self.connected.send_replace(true);
    }
}

async fn serve(listener: TcpListener, place: Place, state: watch::Receiver<bool>) {
    let tasks = TaskTracker::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if *state.borrow() {
            tasks.spawn(carry(client, place.clone(), state.clone()));
        }
    }
}

async fn carry(client: TcpStream, place: Place, mut state: watch::Receiver<bool>) {
    let carried = async {
        match place {
            Place::Socket(path) => join(client, UnixStream::connect(path).await).await,
            Place::Address(address) => join(client, TcpStream::connect(address).await).await,
        }
    };
    tokio::select! {
        () = carried => {}
        _ = state.wait_for(|connected| !connected) => {}
    }
}

async fn join(mut client: TcpStream, server: std::io::Result<impl AsyncRead + AsyncWrite + Unpin>) {
    if let Ok(mut server) = server {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

impl Place {
    fn of(url: &Url) -> Self {
        let port = url.port().unwrap_or(5432);
        let folder = url.query_pairs().find(|(name, _)| name == "host");
        match folder {
            Some((_, folder)) => Self::Socket(format!("{folder}/.s.PGSQL.{port}")),
            None => Self::Address(format!("{}:{port}", url.host_str().unwrap())),
        }
    }
}
