//! `metering.journal_watermarks`: how far each node's journal is booked.

use chrono::{DateTime, Utc};
use database::{Bulkhead, Database, Error};
use sqlx::PgConnection;
use types::Id;
use types::id::Node;

use super::leases::bigint;
use crate::journal::Watermark;

/// How far a node is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) node: Id<Node>,
    pub(crate) watermark: Watermark,
    pub(crate) oldest_unsettled_at: Option<DateTime<Utc>>,
    pub(crate) shipped_at: DateTime<Utc>,
    /// All that was admitted before it is booked.
    pub(crate) booked_until: Option<DateTime<Utc>>,
    /// The node stops, and nothing is left.
    pub(crate) is_complete: bool,
}

/// Says so in a transaction of its own.
pub(crate) async fn put(database: &Database, report: &Report) -> Result<(), Error> {
    database
        .worker("ledger: report", Bulkhead::Workers, |tx| {
            Box::pin(put_in(tx.connection(), report))
        })
        .await
}

/// Says so in the transaction that books.
pub(crate) async fn put_in(connection: &mut PgConnection, report: &Report) -> Result<(), Error> {
    sqlx::query!(
        "
        INSERT INTO metering.journal_watermarks
               (node_id, settled_position, read_position, oldest_unsettled_at, shipped_at, booked_until, is_complete)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (node_id) DO UPDATE
           SET settled_position = EXCLUDED.settled_position
             , read_position = EXCLUDED.read_position
             , oldest_unsettled_at = EXCLUDED.oldest_unsettled_at
             , shipped_at = EXCLUDED.shipped_at
             , booked_until = EXCLUDED.booked_until
             , is_complete = EXCLUDED.is_complete
        ",
        report.node.uuid(),
        bigint(report.watermark.settled),
        bigint(report.watermark.read),
        report.oldest_unsettled_at,
        report.shipped_at,
        report.booked_until,
        report.is_complete,
    )
    .execute(connection)
    .await?;
    Ok(())
}
