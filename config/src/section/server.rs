//! `[server]`: listeners, limits at the edge, and how it stops.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::report::Report;
use crate::unit;

/// Listeners, limits at the edge, and how it stops.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The address for clients.
    pub listen: SocketAddr,
    /// An address of its own for `/metrics`; none: it is served on [`Server::listen`].
    #[serde(deserialize_with = "unit::address")]
    pub metrics_listen: Option<SocketAddr>,
    /// The folder for the journal, the embedded database and the first keys; already chosen where the file leaves it empty.
    pub data_dir: PathBuf,
    /// The largest request body, in bytes.
    pub request_body_bytes_max: usize,
    /// The largest set of request headers, in bytes.
    pub request_header_bytes_max: u32,
    /// The most request headers.
    pub request_headers_max: usize,
    /// How long a client may take to send its headers.
    #[serde(
        rename = "header_read_timeout_ms",
        deserialize_with = "unit::milliseconds"
    )]
    pub header_read_timeout: Duration,
    /// The most client connections at once.
    pub connections_max: usize,
    /// The most requests being answered at once; more are refused with 503.
    pub requests_in_flight_max: usize,
    /// The most streams of one HTTP/2 connection.
    pub http2_streams_max: u32,
    /// The flow-control window of an HTTP/2 stream, in bytes.
    pub http2_stream_window_bytes: u32,
    /// The flow-control window of an HTTP/2 connection, in bytes.
    pub http2_connection_window_bytes: u32,
    /// How long streams may still run after the signal to stop.
    #[serde(rename = "drain_grace_ms", deserialize_with = "unit::milliseconds")]
    pub drain_grace: Duration,
    /// How long `/readyz` says 503 before the listener closes.
    #[serde(rename = "drain_announce_ms", deserialize_with = "unit::milliseconds")]
    pub drain_announce: Duration,
}

impl Server {
    /// The smallest buffer hyper reads HTTP/1 headers into, in bytes.
    const REQUEST_HEADER_BYTES_MIN: u32 = 8192;
    /// RFC 9113, section 6.9.1: a flow-control window has at most 31 bits.
    const HTTP2_WINDOW_BYTES_MAX: u32 = i32::MAX.unsigned_abs();

    pub(crate) fn check(&self, report: &mut Report) {
        report.positive("server.request_body_bytes_max", self.request_body_bytes_max);
        report.positive("server.request_headers_max", self.request_headers_max);
        report.positive("server.connections_max", self.connections_max);
        report.positive("server.requests_in_flight_max", self.requests_in_flight_max);
        report.positive("server.http2_streams_max", self.http2_streams_max);
        report.duration("server.header_read_timeout_ms", self.header_read_timeout);
        if self.request_header_bytes_max < Self::REQUEST_HEADER_BYTES_MIN {
            report.problem(
                "server.request_header_bytes_max",
                format!("must be at least {}", Self::REQUEST_HEADER_BYTES_MIN),
            );
        }
        self.check_windows(report);
        if self.metrics_listen == Some(self.listen) {
            report.problem(
                "server.metrics_listen",
                "is the same as server.listen; leave it empty to share that listener",
            );
        }
        if !self.data_dir.is_absolute() {
            report.problem("server.data_dir", "must be an absolute path");
        }
    }

    fn check_windows(&self, report: &mut Report) {
        let windows = [
            (
                "server.http2_stream_window_bytes",
                self.http2_stream_window_bytes,
            ),
            (
                "server.http2_connection_window_bytes",
                self.http2_connection_window_bytes,
            ),
        ];
        for (path, bytes) in windows {
            report.positive(path, bytes);
            if bytes > Self::HTTP2_WINDOW_BYTES_MAX {
                report.problem(
                    path,
                    format!("must be at most {}", Self::HTTP2_WINDOW_BYTES_MAX),
                );
            }
        }
    }
}
